"""A shopping basket whose amounts are whole cents."""


class Basket:
    def __init__(self):
        self._lines = {}

    def add(self, article, cents, count=1):
        if count < 1:
            raise ValueError(f"{count} pieces of {article}: at least one is needed")
        price, already = self._lines.get(article, (cents, 0))
        if price != cents:
            raise ValueError(f"{article} costs {price} cents, not {cents}")
        self._lines[article] = (cents, already + count)

    def total(self):
        return sum(cents * count for cents, count in self._lines.values())


if __name__ == "__main__":
    basket = Basket()
    basket.add("tea", 450, 2)
    print(basket.total())
