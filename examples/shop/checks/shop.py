"""The shop as its customers reach it."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request


def call(path: str, body: dict | None = None) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["SHOP"] + path, data)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def stock(title: str) -> int:
    status, said = call("/stock/" + urllib.parse.quote(title))
    assert status == 200, said
    return said["left"]


def order(title: str, quantity: int, customer: str = "reader") -> tuple[int, dict]:
    return call("/orders", {"title": title, "quantity": quantity, "customer": customer})
