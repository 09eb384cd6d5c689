"""What must be refused: real payloads with one thing broken each. A reader that takes everything is none."""

import copy
import json
from dataclasses import replace

# What is done to the document, by kind of payload: where, and what stands there then. GONE takes it out.
GONE = object()
OTLP_METRIC = ["resourceMetrics", 0, "scopeMetrics", 0, "metrics", 0]
OTLP_POINT = [*OTLP_METRIC, "sum", "dataPoints", 0]
OF_JSON = {
    "DataDog series": [
        (["series"], GONE),
        (["series"], []),
        (["series", 0, "metric"], GONE),
        (["series", 0, "metric"], "1st.state"),
        (["series", 0, "type"], "count"),
        (["series", 0, "type"], 7),
        (["series", 0, "points", 0, "timestamp"], "now"),
        (["series", 0, "points", 0, "timestamp"], 1),
        (["series", 0, "points", 0, "value"], "1"),
        (["series", 0, "tags"], "host:a"),
        (["series", 0, "tags", 0], "a tag"),
        (["series", 0, "tags"], [f"a{number}" for number in range(101)]),
        (["series", 0, "resources", 0, "nam"], "a"),
        (["series", 0, "colour"], "red"),
    ],
    "DataDog service check": [
        ([0, "status"], 4),
        ([0, "status"], "ok"),
        ([0, "host_name"], GONE),
        ([0, "tags"], GONE),
        ([0, "timestamp"], 1.5),
        ([0, "message"], "two\nlines"),
    ],
    "DataDog event": [
        (["title"], GONE),
        (["text"], "a" * 4001),
        (["text"], "%%% \n# Markdown"),
        (["text"], "call @channel"),
        (["alert_type"], "catastrophe"),
        (["priority"], 1),
        (["aggregation_key"], "a" * 101),
    ],
    "DataDog monitor": [(["type"], "feeling"), (["query"], GONE), (["options", "thresholds", "critical"], "1")],
    "OTLP": [
        (["resourceMetrics"], GONE),
        (["resourceMetrics"], []),
        (["resourceMetrics", 0, "resource"], GONE),
        (["resourceMetrics", 0, "resource", "attributes", 0, "key"], "service"),
        (["resourceMetrics", 0, "resource", "attributes", 0, "value", "stringValue"], 1),
        (["resourceMetrics", 0, "scopeMetrics", 0, "scope", "name"], GONE),
        ([*OTLP_METRIC, "name"], GONE),
        ([*OTLP_METRIC, "name"], "1st.success"),
        ([*OTLP_METRIC, "kind"], "sum"),
        ([*OTLP_METRIC, "sum"], GONE),
        ([*OTLP_METRIC, "gauge"], {"dataPoints": []}),
        ([*OTLP_METRIC, "sum", "aggregationTemporality"], 2),
        ([*OTLP_METRIC, "sum", "aggregationTemporality"], "DELTA"),
        ([*OTLP_METRIC, "sum", "isMonotonic"], GONE),
        ([*OTLP_METRIC, "sum", "dataPoints"], []),
        ([*OTLP_POINT, "timeUnixNano"], "now"),
        ([*OTLP_POINT, "timeUnixNano"], "1"),
        ([*OTLP_POINT, "timeUnixNano"], -1),
        ([*OTLP_POINT, "startTimeUnixNano"], GONE),
        ([*OTLP_POINT, "asInt"], GONE),
        ([*OTLP_POINT, "asInt"], "one"),
        ([*OTLP_POINT, "asInt"], "1.5"),
        ([*OTLP_POINT, "attributes", 0, "value", "stringValue"], ["a"]),
        ([*OTLP_POINT, "attributes", 0, "key"], "attempt"),
        ([*OTLP_POINT, "attributes", 0], {"attempt": "1"}),
        ([*OTLP_POINT, "colour"], "red"),
    ],
    "PagerDuty v2": [
        (["routing_key"], "short"),
        (["dedup_key"], GONE),
        (["dedup_key"], "a" * 256),
        (["payload"], GONE),
        (["payload", "summary"], "a" * 1025),
        (["payload", "summary"], ""),
        (["payload", "source"], GONE),
        (["payload", "severity"], "fatal"),
        (["payload", "custom_details"], "text"),
        (["payload", "custom_details", "output"], "a" * 512_000),
        (["event_action"], "open"),
        (["more"], 1),
    ],
    "PagerDuty v1": [
        (["service_key"], "short"),
        (["incident_key"], GONE),
        (["description"], GONE),
        (["description"], "a" * 1025),
        (["event_type"], "open"),
    ],
    "Slack": [
        (["text"], GONE),
        (["text"], "<!channel>"),
        (["blocks"], []),
        (["blocks", 0, "type"], "heading"),
        (["blocks", 0, "text", "text"], "a" * 151),
        (["blocks", 0, "text", "text"], ""),
        (["blocks", 0, "colour"], "red"),
        (["blocks", 1, "text", "text"], "a" * 3001),
    ],
    "webhook": [(["kind"], "rumour"), (["at"], "now"), (["summary"], GONE)],
    "webhook, template": [(["message"], GONE)],
    "Kuberhealthy": [(["ok"], "true"), (["errors"], GONE), (["ok"], None)],
}
# What stands in the place of the bytes, or is done to them.
OF_BYTES = {
    "DogStatsD": [
        lambda body: body + b"\n",
        lambda body: body + b"\n" + b"a" * 8192,
        lambda _: b"a b:1|c|T1",
        lambda _: b"a:one|c|T1",
        lambda _: b"a:1|c|#host:a|T1|T2",
        lambda _: b"a:1|x|T1",
        lambda _: b"_sc|a|4|d:1|m:",
        lambda _: b"_sc|a|0|d:1|m:one|h:forged",
        lambda _: b"_sc|a|0|d:1|m:one m:two",
        lambda _: b"_e{1,1}:aa|b|d:1|k:a|p:low|t:error",
        lambda _: b"_e{2,1}:\xc3\xa4|bc|d:1|k:a|p:low|t:error",
        lambda _: b"_e{1,1}:a|b|d:1|k:a|p:high|t:error",
        lambda _: b"\xff",
    ],
    "Prometheus textfile": [
        lambda body: body[:-1],
        lambda body: body + body,
        lambda body: body.replace(b" gauge", b" counter", 1),
        lambda body: body.replace(b"docker_test_probe_state", b"docker_test_probe_mood"),
        lambda body: body.replace(b"} ", b"} x", 1),
        lambda body: body.replace(b'",type="', b'",type=', 1),
        lambda body: body.replace(b'{probe="', b'{probe="a",probe="', 1),
        lambda body: body.rstrip(b"\n") + b" 1772366400000\n",
    ],
    "Pushgateway": [lambda body: body[:-1], lambda body: body.replace(b'probe="', b'probe="other ', 1)],
    "ping": [lambda _: b"\xff", lambda _: b"a" * 100_001],
}
ANY_JSON = [
    lambda body: body.rstrip()[:-1],
    lambda body: body + b"}",
    lambda body: b"\xff" + body,
    lambda _: b"",
    lambda _: b"null",
]


def changed(body, place, value):
    """The document with another value at a place."""
    body = copy.deepcopy(body)
    at = body
    for step in place[:-1]:
        at = at[step]
    if value is GONE:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return body


def broken(payloads, kind):
    """Broken payloads of a kind, each with words for what is wrong. None where nothing was sent that can be broken so."""
    for whole in (payload for payload in payloads if payload.kind == kind):
        try:
            documents = [
                (f"{kind}: {place} {shown(value)}", json.dumps(changed(json.loads(whole.body), place, value)).encode())
                for place, value in OF_JSON.get(kind, [])
            ]
        except (KeyError, IndexError, TypeError):
            continue  # What resolves something has less to break than what opens it.
        changes = OF_BYTES.get(kind, []) + (ANY_JSON if kind in OF_JSON else [])
        bodies = [(f"{kind}: bytes, {number}", change(whole.body)) for number, change in enumerate(changes)]
        return [(name, replace(whole, body=body)) for name, body in documents + bodies]
    return []


def shown(value):
    return "gone" if value is GONE else repr(value)[:30]
