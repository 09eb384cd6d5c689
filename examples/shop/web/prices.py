"""What an order costs, in cents."""

DISCOUNTS = {"reader": 0, "staff": 30}


def total(price: int, quantity: int, customer: str) -> int:
    if quantity < 1:
        raise ValueError("an order has at least one book")
    return (price * quantity * (100 - discount(quantity, customer)) + 50) // 100


def discount(quantity: int, customer: str) -> int:
    """In percent. A school pays less for a whole class."""
    if customer == "school":
        return 20 if quantity >= 10 else 5
    return DISCOUNTS[customer]
