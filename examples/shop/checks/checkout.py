import psycopg2

import shop


def row(number: int) -> tuple:
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT title, quantity, customer, total FROM orders WHERE id = %s", (number,))
            return cursor.fetchone()
    finally:
        connection.close()


def test_an_order_is_in_the_database_and_out_of_stock():
    before = shop.stock("Dune")
    status, said = shop.order("Dune", 1)
    assert (status, said["total"]) == (201, 1200)
    assert row(said["id"]) == ("Dune", 1, "reader", 1200)
    # What the cache knew is old by now.
    assert shop.stock("Dune") == before - 1


def test_more_than_there_is_cannot_be_ordered():
    left = shop.stock("Dune")
    assert shop.order("Dune", left + 1) == (409, {"error": "not enough copies"})
    assert shop.stock("Dune") == left


def test_what_there_is_not_cannot_be_ordered():
    assert shop.order("Dune II'; DROP TABLE orders; --", 1)[0] == 404
    assert shop.order("Dune", 0)[0] == 400
