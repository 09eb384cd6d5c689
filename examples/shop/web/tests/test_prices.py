import pytest

import prices


def test_a_reader_pays_the_price():
    assert prices.total(900, 2, "reader") == 1800


def test_a_school_pays_less_for_a_class():
    assert prices.total(900, 9, "school") == 7695
    assert prices.total(900, 10, "school") == 7200


def test_half_a_cent_is_rounded_up():
    assert prices.total(10, 1, "school") == 10


def test_nothing_cannot_be_ordered():
    with pytest.raises(ValueError):
        prices.total(900, 0, "reader")
