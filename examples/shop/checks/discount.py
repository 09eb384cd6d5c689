import os

import shop

EXPECTED = {
    ("reader", 1): 900,
    ("school", 1): 855,
    ("school", 10): 7200,
    ("staff", 1): 630,
}


def test_the_customer_pays_what_is_agreed():
    customer, quantity = os.environ["CUSTOMER"], int(os.environ["QUANTITY"])
    status, said = shop.order("Emma", quantity, customer)
    assert status == 201, said
    assert said["total"] == EXPECTED[customer, quantity]
