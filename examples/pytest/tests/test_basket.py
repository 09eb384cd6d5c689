import pytest

from app.basket import Basket


@pytest.mark.parametrize(("count", "total"), [(1, 450), (2, 900), (10, 4500)])
def test_a_line_is_price_times_count(count, total):
    basket = Basket()
    basket.add("tea", 450, count)
    assert basket.total() == total


def test_the_same_article_is_added_up():
    basket = Basket()
    basket.add("tea", 450)
    basket.add("tea", 450)
    assert basket.total() == 900


def test_two_prices_for_one_article_are_refused():
    basket = Basket()
    basket.add("tea", 450)
    with pytest.raises(ValueError, match="450"):
        basket.add("tea", 460)


def test_nothing_cannot_be_added():
    with pytest.raises(ValueError, match="at least one"):
        Basket().add("tea", 450, 0)
