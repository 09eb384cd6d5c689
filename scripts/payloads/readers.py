"""One reader for each kind of payload: the vendor's own model first, then the rules that its schema does not state.

A reader takes a Payload and returns nothing, or raises an exception, which is why it is refused.
"""

import base64
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from datadog_api_client import Configuration
from datadog_api_client.model_utils import ModelNormal, model_to_dict, validate_and_convert_types
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.service_check import ServiceCheck
from datadog_api_client.v2.model.metric_payload import MetricPayload
from google.protobuf.json_format import MessageToDict, Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA
from prometheus_client.parser import text_string_to_metric_families
from slack_sdk.models.blocks import Block

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}")
TAG = re.compile(r"[^\W\d_][\w\-:/.]{0,199}(?<!:)")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FAMILIES = {
    "docker_test_probe_success",
    "docker_test_probe_state",
    "docker_test_probe_attempts",
    "docker_test_probe_duration_seconds",
    "docker_test_probe_last_run_timestamp_seconds",
    "docker_test_probe_measurement",
}
HOUR = 3600


class Refused(Exception):
    """A rule is broken."""


@dataclass
class Payload:
    """What arrived somewhere. `path` is what of it tells its kind apart."""

    kind: str
    body: bytes
    path: str = ""
    method: str = "POST"
    headers: dict = field(default_factory=dict)


def demand(holds, words):
    """Not `assert`, which -O takes out."""
    if not holds:
        raise Refused(words)


def once(pairs):
    """A key that stands twice is read by some as the first and by others as the last."""
    demand(len({key for key, _ in pairs}) == len(pairs), "a key stands twice")
    return dict(pairs)


def document(payload):
    media = payload.headers.get("content-type", "application/json")
    demand(media == "application/json", f"media type {media}")
    constant = lambda word: demand(False, f"{word} is no JSON")
    return json.loads(payload.body.decode(), object_pairs_hook=once, parse_constant=constant)


def keys(value, required, optional=()):
    demand(isinstance(value, dict), "is no object")
    demand(set(required) <= set(value), f"lacks {set(required) - set(value)}")
    demand(set(value) <= set(required) | set(optional), f"has {set(value) - set(required) - set(optional)}")


def text(value, most, least=1):
    demand(isinstance(value, str), "is no text")
    demand(least <= len(value) <= most, f"has {len(value)} characters, of {least} to {most}")
    return value


def one_line(value, most, least=1):
    text(value, most, least)
    demand(not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", value), "is not one line")


# DataDog


def model(kind, value):
    """Reads by a model of DataDog's client with all checks of types on. Nothing may be unknown to it, or get lost."""
    read = validate_and_convert_types(value, (kind,), ["body"], True, True, Configuration())
    known(read)
    demand(model_to_dict(read, serialize=True) == value, "is not the same after it was read")


def known(read):
    # What its client cannot read, such as a word that an enum does not have, it keeps and marks.
    demand(not getattr(read, "_unparsed", False), f"{kind_of(read)} cannot be parsed")
    if isinstance(read, list):
        for one in read:
            known(one)
    elif isinstance(read, ModelNormal):
        others = set(read._data_store) - set(read.openapi_types)
        demand(not others, f"{kind_of(read)} knows no {others}")
        for one in read._data_store.values():
            known(one)


def kind_of(read):
    return type(read).__name__


def tags(values):
    demand(len(values) <= 100, f"has {len(values)} tags")
    demand(len(set(values)) == len(values), "has a tag twice")
    for tag in values:
        demand(TAG.fullmatch(tag), f"tag {tag!r}")
    demand(sum(tag.startswith("host:") for tag in values) <= 1, "has two hosts")


def recent(at, past, future=600):
    demand(type(at) is int, f"time {at!r}")
    demand(-past <= at - time.time() <= future, f"time {at} is not taken any more, or not yet")


def of_datadog(payload):
    demand(payload.method == "POST", payload.method)
    demand(payload.headers.get("dd-api-key"), "there is no key")
    demand(len(payload.body) <= 512_000, f"has {len(payload.body)} bytes")
    return document(payload)


def series(payload):
    body = of_datadog(payload)
    model(MetricPayload, body)
    demand(body["series"], "has no series")
    for one in body["series"]:
        keys(one, ["metric", "type", "points", "resources", "tags"], ["unit"])
        demand(NAME.fullmatch(one["metric"]), f"name {one['metric']!r}")
        demand(one["type"] in (1, 3), f"type {one['type']}")
        demand(len(one["points"]) == 1, "has one point")
        recent(one["points"][0]["timestamp"], HOUR)
        demand(type(one["points"][0]["value"]) in (int, float), "a value is a number")
        demand([resource["type"] for resource in one["resources"]] == ["host"], "is of one host")
        one_line(one["resources"][0]["name"], 255, least=0)
        tags(one["tags"])


def checks(payload):
    body = of_datadog(payload)
    demand(isinstance(body, list) and body, "is a list of checks")
    for one in body:
        model(ServiceCheck, one)
        keys(one, ["check", "host_name", "status", "tags", "message", "timestamp"])
        demand(NAME.fullmatch(one["check"]), f"name {one['check']!r}")
        one_line(one["host_name"], 255, least=0)
        one_line(one["message"], 1000, least=0)
        recent(one["timestamp"], 600)
        tags(one["tags"])


def event(payload):
    body = of_datadog(payload)
    model(EventCreateRequest, body)
    one_line(body["title"], 100)
    text(body["text"], 4000)
    demand("%%%" not in body["title"] + body["text"], "a stranger's Markdown begins")
    demand(not re.search(r"@\w", body["title"] + body["text"]), "a stranger writes to somebody")
    demand(len(body["aggregation_key"].encode()) <= 100, "the key is too long")
    recent(body["date_happened"], 18 * HOUR)
    one_line(body["host"], 255, least=0)
    tags(body["tags"])


def monitor(payload):
    body = document(payload)
    model(Monitor, body)
    keys(body, ["name", "type", "query", "message", "tags", "priority", "options"])
    for tag in body["tags"]:
        demand(TAG.fullmatch(tag), f"tag {tag!r}")


# DogStatsD. There is no client that reads it: these are the rules of its protocol, version 1.3.

FIELDS = {
    "metric": [("kind", r"[cg]"), ("tags", r"#.*"), ("time", r"T\d+")],
    "check": [("time", r"d:\d+"), ("host", r"h:.*"), ("tags", r"#.*"), ("message", r"m:.*")],
    "event": [
        ("time", r"d:\d+"),
        ("host", r"h:.*"),
        ("key", r"k:.*"),
        ("priority", r"p:(normal|low)"),
        ("type", r"t:(error|warning|info|success)"),
        ("tags", r"#.*"),
    ],
}
NEEDED = {"metric": {"kind", "time"}, "check": {"time", "message"}, "event": {"time", "key", "priority", "type"}}


def datagram(payload):
    most = 8192 if payload.path == "unix" else 1432
    demand(0 < len(payload.body) <= most, f"has {len(payload.body)} bytes")
    for line in payload.body.decode().split("\n"):
        if line.startswith("_e{"):
            head = re.match(r"_e\{(\d+),(\d+)\}:", line)
            demand(head, f"head of {line[:40]!r}")
            rest = line[head.end() :].encode()
            title, about = int(head[1]), int(head[2])
            demand(rest[title : title + 1] == b"|", "the title is not as long as it says")
            demand(rest[title + 1 + about : title + 2 + about] in (b"|", b""), "the text is not as long as it says")
            demand(b"|" not in rest[:title] + rest[title + 1 : title + 1 + about], "free text ends a field")
            fields("event", rest[title + 2 + about :].decode())
        elif line.startswith("_sc|"):
            _, name, status, rest = line.split("|", 3)
            demand(NAME.fullmatch(name), f"name {name!r}")
            demand(status in "0123" and len(status) == 1, f"status {status!r}")
            fields("check", rest)
        else:
            head, _, rest = line.partition("|")
            name, _, value = head.partition(":")
            demand(NAME.fullmatch(name), f"name {name!r}")
            demand(re.fullmatch(r"-?\d+(\.\d+)?", value), f"value {value!r}")
            fields("metric", rest)


def fields(kind, rest):
    """Each once, in this order, and nothing that free text has added."""
    met, waiting = set(), list(FIELDS[kind])
    for part in rest.split("|"):
        while waiting and not re.fullmatch(waiting[0][1], part):
            waiting.pop(0)
        demand(waiting, f"field {part[:80]!r}")
        name, _ = waiting.pop(0)
        met.add(name)
        if name == "tags":
            tags(part[1:].split(","))
        if name == "message":
            demand(not re.search(r"(?<!\\)m:", part[2:]), "a message within the message")
    demand(NEEDED[kind] <= met, f"lacks {NEEDED[kind] - met}")


# OTLP


def otlp(payload):
    demand(payload.method == "POST", payload.method)
    demand(payload.path == "/v1/metrics", f"path {payload.path}")
    demand(payload.headers.get("x-otlp-key"), "there is no key")
    demand(len(payload.body) <= 512_000, f"has {len(payload.body)} bytes")
    body = document(payload)
    read = Parse(payload.body, ExportMetricsServiceRequest())
    # The encoding has enums as numbers, and the library writes both kinds; what it does not know it refuses itself.
    written = MessageToDict(read, use_integers_for_enums=True, always_print_fields_with_no_presence=False)
    demand(without_defaults(body) == written, "is not the same after it was read")
    demand(len(read.resource_metrics) == 1 and len(read.resource_metrics[0].scope_metrics) == 1, "is of one resource")
    resource = attributes(read.resource_metrics[0].resource.attributes)
    demand(resource.get("service.name"), "the resource has no service.name")
    known = {"service.name", "service.version", "deployment.environment.name", "host.name"}
    demand(set(resource) <= known, f"resource {set(resource) - known}")
    of_scope = read.resource_metrics[0].scope_metrics[0]
    demand(of_scope.scope.name == "docker-test" and of_scope.metrics, "has a scope and metrics")
    for metric in of_scope.metrics:
        demand(NAME.fullmatch(metric.name), f"name {metric.name!r}")
        demand(metric.WhichOneof("data") in ("gauge", "sum"), f"{metric.name} is no gauge and no sum")
        demand(len(getattr(metric, metric.WhichOneof("data")).data_points) == 1, "has one point")
        point = getattr(metric, metric.WhichOneof("data")).data_points[0]
        demand(point.WhichOneof("value"), "has no value")
        recent(point.time_unix_nano // 10**9, HOUR)
        if metric.WhichOneof("data") == "sum":
            demand(metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA, "counts since the last point")
            demand(metric.sum.is_monotonic and point.as_int == 1, "an attempt counts one")
            demand(0 < point.start_time_unix_nano <= point.time_unix_nano, "begins after it ends")
        tags([f"{key}:{value}".rstrip(":") for key, value in attributes(point.attributes).items()])


def attributes(pairs):
    """Keys have to be unique, and ours are text."""
    demand(all(pair.value.WhichOneof("value") == "string_value" for pair in pairs), "an attribute is text")
    demand(len({pair.key for pair in pairs}) == len(pairs), "a key stands twice")
    return {pair.key: pair.value.string_value for pair in pairs}


def without_defaults(value):
    """As the library writes it: a unit that is empty is left out."""
    if isinstance(value, list):
        return [without_defaults(one) for one in value]
    if isinstance(value, dict):
        return {key: without_defaults(one) for key, one in value.items() if (key, one) != ("unit", "")}
    return value


# PagerDuty. Its published schemas take a trigger without payload and a summary of any length; its service does not.


def details(value):
    demand(isinstance(value, dict) and value, "there are details")
    demand(all(isinstance(one, str) for one in value.values()), "a detail is text")


def incident(payload, key, action, name, more):
    """What both versions have, under the words of each. None where it is a resolve, which has no more to it."""
    demand(payload.method == "POST", payload.method)
    demand(len(payload.body) <= 512_000, f"has {len(payload.body)} bytes")
    body = document(payload)
    demand(re.fullmatch(r"[0-9A-Za-z]{32}", body[key]), "the key has 32 letters and digits")
    demand(0 < len(body[name].encode()) <= 255, f"the {name} has 1 to 255 bytes")
    if body[action] == "resolve":
        keys(body, [key, action, name])
        return None
    demand(body[action] == "trigger", body[action])
    keys(body, [key, action, name, *more])
    return body


def pagerduty(payload):
    body = incident(payload, "routing_key", "event_action", "dedup_key", ["payload", "client"])
    if body is None:
        return
    about = body["payload"]
    keys(about, ["summary", "source", "severity", "timestamp", "component", "class", "custom_details"])
    one_line(about["summary"], 1024)
    one_line(about["source"], 255)
    demand(about["severity"] in ("critical", "error", "warning", "info"), about["severity"])
    demand(RFC_3339.fullmatch(about["timestamp"]), about["timestamp"])
    one_line(about["component"], 255, least=0)
    one_line(about["class"], 255, least=0)
    details(about["custom_details"])


def pagerduty_v1(payload):
    body = incident(payload, "service_key", "event_type", "incident_key", ["description", "details", "client"])
    if body is None:
        return
    one_line(body["description"], 1024)
    details(body["details"])


# Slack


def slack(payload):
    demand(payload.method == "POST", payload.method)
    body = document(payload)
    keys(body, ["text", "blocks"], ["unfurl_links", "unfurl_media"])
    text(body["text"], 40_000)
    demand(0 < len(body["blocks"]) <= 50, f"has {len(body['blocks'])} blocks")
    markup = [body["text"]]
    for block in body["blocks"]:
        read = Block.parse(block)
        demand(read is not None, f"there is no block {block.get('type')!r}")
        # `to_dict` asks the validators; what the model does not know is not in it.
        demand(same(read.to_dict(), block), f"block {block['type']} is not the same after it was read")
        for part in parts(block):
            demand(part["type"] in ("plain_text", "mrkdwn"), part["type"])
            most = 150 if block["type"] == "header" else 2000 if part in block.get("fields", []) else 3000
            text(part["text"], most)
            if part["type"] == "mrkdwn":
                markup.append(part["text"])
    for one in markup:
        demand(not re.search(r"[<>]|&(?!amp;|lt;|gt;)", one), "a stranger's markup")
        demand(not re.search(r"@\w", one), "a stranger calls somebody")


def parts(block):
    return [part for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])] if part]


def same(read, sent):
    """Models are written as objects, and in the order of their own."""
    return json.loads(json.dumps(read, default=lambda one: one.to_dict())) == sent


# Prometheus


def exposition(payload):
    demand(payload.body.endswith(b"\n"), "the last line has no end")
    met = {}
    for family in text_string_to_metric_families(payload.body.decode()):
        demand(family.name in FAMILIES and family.name not in met, f"family {family.name}")
        demand(family.type == "gauge" and family.documentation, f"{family.name} is a gauge with help")
        met[family.name] = family
        labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        demand(labels and len(set(labels)) == len(labels), f"{family.name} has a sample twice, or none")
        for sample in family.samples:
            demand(sample.timestamp is None, "a textfile and a push have no times")
            demand(sample.labels["probe"] and sample.labels["type"] is not None, "has no probe")
            for value in sample.labels.values():
                one_line(value, 200, least=0)
    demand(FAMILIES - set(met) <= {"docker_test_probe_measurement"}, f"lacks {FAMILIES - set(met)}")
    return met


def pushed(payload):
    demand(payload.method == "PUT", payload.method)
    demand(payload.headers.get("content-type", "").startswith("text/plain; version=0.0.4"), "media type")
    met = exposition(payload)
    empty, metrics, *group = payload.path.split("/")
    demand((empty, metrics) == ("", "metrics") and len(group) == 6, f"path {payload.path}")
    read = {}
    for label, value in zip(group[::2], group[1::2]):
        label, _, encoding = label.partition("@")
        if encoding:
            demand(encoding == "base64", encoding)
            value = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode() if value != "=" else ""
        else:
            value = unquote(value, errors="strict")
        read[label] = value
    demand(list(read) == ["job", "probe", "host"], f"group {list(read)}")
    for sample in (sample for family in met.values() for sample in family.samples):
        # A gateway refuses labels that contradict its group.
        demand(sample.labels["probe"] == read["probe"], "the group is another probe's")
        demand(sample.labels.get("host", "") == read["host"], "the group is another host's")


# Others


def webhook(payload):
    demand(payload.method == "POST", payload.method)
    body = document(payload)
    demand(body["kind"] in ("alert", "finished"), body["kind"])
    about = ["kind", "name", "type", "host", "tags", "run", "at", "summary"]
    of_alert = ["action", "subject", "severity", "dedup_key", "since", "reminder", "details"]
    of_run = ["verdict", "state", "seconds", "attempts", "output"]
    keys(body, about + of_alert + of_run)
    others = of_run if body["kind"] == "alert" else [key for key in of_alert if key != "details"]
    demand(all(body[key] is None for key in others), "has what is of the other kind")
    demand(RFC_3339.fullmatch(body["at"]), body["at"])
    one_line(body["summary"], 1024, least=0)


def from_template(payload):
    body = document(payload)
    keys(body, ["message", "probe"])


def ping(payload):
    demand(payload.method == "POST", payload.method)
    path, _, query = payload.path.partition("?")
    exit_code = re.fullmatch(r"/(\d{1,3})", path)
    demand(path in ("", "/start", "/fail") or (exit_code and int(exit_code[1]) < 256), f"path {path}")
    demand(UUID.fullmatch(query.removeprefix("rid=")), f"query {query}")
    payload.body.decode()
    demand(len(payload.body) <= 100_000, f"has {len(payload.body)} bytes")


def kuberhealthy(payload):
    demand(payload.method == "POST", payload.method)
    demand(payload.headers.get("kh-run-uuid"), "there is no kh-run-uuid")
    body = document(payload)
    keys(body, ["ok", "errors"])
    demand(type(body["ok"]) is bool, "ok is true or false")
    demand(bool(body["errors"]) != body["ok"], "errors go with what is not ok, and with nothing else")
    for error in body["errors"]:
        one_line(error, 10_000)


READERS = {
    "DataDog series": series,
    "DataDog service check": checks,
    "DataDog event": event,
    "DataDog monitor": monitor,
    "DogStatsD": datagram,
    "OTLP": otlp,
    "PagerDuty v2": pagerduty,
    "PagerDuty v1": pagerduty_v1,
    "Slack": slack,
    "Prometheus textfile": exposition,
    "Pushgateway": pushed,
    "webhook": webhook,
    "webhook, template": from_template,
    "ping": ping,
    "Kuberhealthy": kuberhealthy,
}


def refusal(payload):
    """Why a payload is refused, or None. Whatever a reader stumbles over is a refusal."""
    try:
        READERS[payload.kind](payload)
    except Exception as error:  # a vendor's client has exceptions of its own, and a key that is not there is one too
        return f"{type(error).__name__}: {error}"
    return None
