"""The shop: sells books out of PostgreSQL, and remembers in Redis how many are left.

GET /health          200 while both answer
GET /stock/TITLE     {"left": 3}
POST /orders         {"title": "Emma", "quantity": 1, "customer": "reader"} becomes {"id": 1, "total": 900}
"""

import json
import os
import signal
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import redis

import prices

cache = redis.Redis(host=os.environ.get("REDIS_HOST", "localhost"), socket_timeout=5)


class Refused(Exception):
    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


def database():
    # Where it is and who asks is said by PGHOST, PGDATABASE, PGUSER and PGPASSWORD.
    return psycopg2.connect("", connect_timeout=5)


def health() -> dict:
    cache.ping()
    connection = database()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM stock LIMIT 1")
    finally:
        connection.close()
    return {"health": "good"}


def stock(title: str) -> dict:
    known = cache.get(f"stock:{title}")
    if known is not None:
        return {"left": int(known)}
    connection = database()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT copies FROM stock WHERE title = %s", (title,))
            row = cursor.fetchone()
    finally:
        connection.close()
    if row is None:
        raise Refused(404, "no such book")
    cache.set(f"stock:{title}", row[0], ex=60)
    return {"left": row[0]}


def order(wanted: dict) -> dict:
    title, quantity, customer = wanted["title"], int(wanted["quantity"]), wanted["customer"]
    connection = database()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT price, copies FROM stock WHERE title = %s FOR UPDATE", (title,))
            row = cursor.fetchone()
            if row is None:
                raise Refused(404, "no such book")
            if row[1] < quantity:
                raise Refused(409, "not enough copies")
            cost = prices.total(row[0], quantity, customer)
            cursor.execute("UPDATE stock SET copies = copies - %s WHERE title = %s", (quantity, title))
            cursor.execute(
                "INSERT INTO orders (title, quantity, customer, total) VALUES (%s, %s, %s, %s) RETURNING id",
                (title, quantity, customer, cost),
            )
            number = cursor.fetchone()[0]
    finally:
        connection.close()
    cache.delete(f"stock:{title}")
    return {"id": number, "total": cost}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(200, health)
        elif self.path.startswith("/stock/"):
            title = urllib.parse.unquote(self.path[len("/stock/"):])
            self.answer(200, lambda: stock(title))
        else:
            self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/orders":
            self.answer(201, lambda: order(json.loads(body)))
        else:
            self.send_error(404)

    def answer(self, status: int, work) -> None:
        try:
            said = work()
        except Refused as refused:
            status, said = refused.status, {"error": str(refused)}
        except (KeyError, TypeError, ValueError) as error:
            status, said = 400, {"error": f"not understood: {error}"}
        except (psycopg2.Error, redis.RedisError) as error:
            print(f"{self.path}: {error}", file=sys.stderr)
            status, said = 503, {"error": "database or cache does not answer"}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container has no default action for it, and would be killed after the grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("open on port 8080")
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
