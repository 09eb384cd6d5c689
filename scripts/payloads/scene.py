"""Real payloads: docker-test at work beside servers on loopback that record what they are sent."""

import json
import re
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from readers import Payload

KEY = "0123456789abcdef0123456789abcdef"
UUID = "0123abcd-0123-4abc-8abc-0123456789ab"
# By the first part of the path: the kind of what is sent there, and how that vendor says that it has it.
PLACES = {
    "/datadog/api/v2/series": ("DataDog series", 202, b'{"errors":[]}'),
    "/datadog/api/v1/check_run": ("DataDog service check", 202, b'{"status":"ok"}'),
    "/datadog/api/v1/events": ("DataDog event", 202, b'{"status":"ok"}'),
    "/pagerduty/v2/enqueue": ("PagerDuty v2", 202, b'{"status":"success"}'),
    "/pagerduty/generic/2010-04-15/create_event.json": ("PagerDuty v1", 200, b'{"status":"success"}'),
    "/slack": ("Slack", 200, b"ok"),
    "/otlp": ("OTLP", 200, b'{"partialSuccess":{}}'),
    "/pushgateway": ("Pushgateway", 200, b""),
    "/webhook": ("webhook", 200, b""),
    "/template": ("webhook, template", 200, b""),
    f"/ping/{UUID}": ("ping", 200, b"OK"),
    "/kuberhealthy": ("Kuberhealthy", 200, b""),
}
# What ends a line, a field, a text, a comment, a link or a path somewhere, and calls people.
HOSTILE = (
    '"quoted" \\ \'single\' `back` $(id) ${HOME} %s %%%\n# HELP x\n|#host:forged,a:b|h:forged|m:two m: three\n'
    "_e{1,1}:a|b\n_sc|forged|0\n<!channel> <!here> @channel @here <https://evil.example|click> &amp; *bold* "
    "{{ 1 }} {% raw %} </script> ../../etc/passwd \x1b[31m \u202egnp \u2028 \u0085 🦀🦀 grün 日本 \U0010ffff\r\n"
)


class Recorder:
    """An HTTP server, an agent on UDP and one on a Unix socket."""

    def __init__(self, directory):
        self.payloads, self.unknown, self.lock = [], [], threading.Lock()
        recorder = self

        class Server(ThreadingHTTPServer):
            # All sinks come at once, and a connection that finds no room is a second late.
            request_queue_size = 256

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, answer = recorder.took(self.command, self.path, dict(self.headers), body)
                try:
                    self.send_response(status)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except ConnectionError:
                    # Who ends while it sends does not wait for the answer, and sends it again.
                    pass

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.path = str(directory / "agent.sock")
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix.bind(self.path)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        for agent, name in [(self.udp, "udp"), (self.unix, "unix")]:
            threading.Thread(target=self.listen, args=(agent, name), daemon=True).start()

    def listen(self, agent, name):
        while True:
            body = agent.recv(65536)
            with self.lock:
                self.payloads.append(Payload("DogStatsD", body, name))

    def took(self, method, path, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        for place, (kind, status, answer) in PLACES.items():
            if path.startswith(place):
                with self.lock:
                    self.payloads.append(Payload(kind, body, path.removeprefix(place), method, headers))
                return status, answer
        if path == "/service":
            return 200, b"fine"
        self.unknown.append(f"{method} {path}")
        return 404, b""


def run(program, words, directory, variables, codes):
    """docker-test with nothing of this machine in its environment."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory), **variables}
    ran = subprocess.run(
        [program, *words],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    said = ran.stderr.decode(errors="replace")
    if ran.returncode not in codes:
        raise SystemExit(f"docker-test {' '.join(words)[:80]} ended with {ran.returncode}:\n{said[-2000:]}")
    # What was not sent would not be read, and nobody would know.
    if "has not taken" in said or said.startswith("docker-test: "):
        raise SystemExit(f"not everything was sent:\n{said[-2000:]}")


def watched(recorder, directory):
    """Probes that pass, warn, pass on a retry, fail, cannot be checked and print what they should not, to all sinks."""
    often = {"schedule": "R//PT1S", "attempts": 1, "backoff": "10ms", "splay": "0s"}
    plugin = "echo 'WARNING: slow | time=0.5s;1;2 used=42.5% free=12MB odd=3foo \"a b\"=7c state=0 1st=-0.25ms'; exit 1"
    # In this file a dollar begins a variable, and the name of a probe has no part of a glob and one line.
    free = HOSTILE.strip().replace("$", "$$")
    name = re.sub(r"[\[\]*?,=\x00-\x1f\x7f-\x9f]", "", HOSTILE).encode()[:190].decode(errors="ignore").strip()
    probes = {
        "fine": {"http": {"url": recorder.url + "/service", "expect": {"status": 200}}},
        "warns": {"command": {"run": plugin, "nagios": True}},
        "retried": {"command": "if test -e once; then rm once; else touch once; exit 1; fi", "attempts": 3},
        "down": {"command": "echo looking; test -e up", "attempts": 2, "tags": ["team:shop", "env:staging", "word"]},
        "unclean": {"command": "true", "cleanup": "exit 3"},
        "odd": {"command": ["/no/such/program"]},
        name: {
            "command": "cat hostile; test -e up",
            "host": free,
            "type": free,
            "tags": [free, f"key:{free}", f"{free}:value", "host:forged", "#host:forged", "1attempt:7"] + many_tags(),
        },
        "hostile.plugin": {"command": {"run": "cat hostile; exit 2", "nagios": True}, "host": "🦀" * 300},
    }
    site = recorder.url
    sinks = {
        "datadog": {"api_key": KEY, "url": site + "/datadog", "env": "prod", "version": "1.4"},
        "dogstatsd": {"url": f"udp://127.0.0.1:{recorder.udp.getsockname()[1]}"},
        "dogstatsd.unix": {"url": f"unixgram://{recorder.path}"},
        "otlp": {"url": site + "/otlp", "headers": {"x-otlp-key": KEY}, "env": "prod", "version": "1.4"},
        "pagerduty": {"routing_key": KEY, "url": site + "/pagerduty"},
        "pagerduty.old": {"service_key": KEY, "url": site + "/pagerduty"},
        "slack": {"url": site + "/slack/services/T0/B0/" + KEY},
        "webhook": {"url": site + "/webhook", "authorization": "Bearer token", "runs": True},
        "webhook.template": {
            "url": site + "/template",
            "template": '{"message": "of {{ host }}: {{ summary }}", "probe": {{ name }}}',
        },
        "ping": {"url": f"{site}/ping/{UUID}"},
        "kuberhealthy": {"url": site + "/kuberhealthy", "run_uuid": UUID},
        "prometheus": {"textfile": "metrics"},
        "pushgateway": {"url": site + "/pushgateway"},
    }
    suite = {
        "version": 1,
        "probes": {name: {**often, **probe} for name, probe in probes.items()},
        "alert": {"tell": ["degraded", "cleanup"], "reminder": "1s"},
        "notify": sinks,
    }
    # JSON is YAML, but for surrogates.
    (directory / "docker-test.yaml").write_text(json.dumps(suite, ensure_ascii=False))
    (directory / "metrics").mkdir()
    return ["watch", "--no-labels", "--once", "--state-dir", "state"]


def many_tags():
    return [f"number{number}:{'x' * 190}" for number in range(150)]


def record(program, directory):
    """Everything that a watch and harnesses send, and what they write."""
    directory = Path(directory)
    recorder = Recorder(directory)
    labels = " ".join(f"'{HOSTILE.strip().replace(chr(10), ' ')[:40]}{number}'={number}.5s" for number in range(300))
    (directory / "hostile").write_text(HOSTILE.strip() + "|" + labels + "\n" + HOSTILE * 300)
    words = watched(recorder, directory)
    # Down, still down, which reminds of what is open, and up again, which resolves it and is a change.
    for step in range(3):
        if step == 2:
            (directory / "up").touch()
        run(program, words, directory, {}, codes=(0, 1, 125))
        read_textfiles(recorder, directory / "metrics")
        time.sleep(1.1)
    harnesses(program, recorder, directory)
    # Datagrams are on their way for as long as it takes; nobody says that one is the last.
    time.sleep(0.5)
    if recorder.unknown:
        raise SystemExit(f"requests to nobody: {recorder.unknown}")
    with recorder.lock:
        return list(recorder.payloads)


def read_textfiles(recorder, directory):
    for path in sorted(directory.glob("*.prom")):
        recorder.payloads.append(Payload("Prometheus textfile", path.read_bytes(), path.name))


def harnesses(program, recorder, directory):
    """The same sinks as a job has them: by variables, once with DataDog and PagerDuty v2, once with an agent and v1."""
    site = recorder.url
    new = {
        "DD_API_KEY": KEY,
        "DD_URL": site + "/datadog",
        "DD_TAGS": "team:shop env:prod",
        "OTEL_EXPORTER_OTLP_ENDPOINT": site + "/otlp",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-otlp-key={KEY}",
        "PAGERDUTY_ROUTING_KEY": KEY,
        "PAGERDUTY_URL": site + "/pagerduty",
        "SLACK_WEBHOOK_URL": site + "/slack/services/T0/B0/" + KEY,
        "PING_URL": f"{site}/ping/{UUID}",
        "KH_REPORTING_URL": site + "/kuberhealthy",
        "KH_RUN_UUID": UUID,
    }
    old = {
        "DD_AGENT_HOST": "127.0.0.1",
        "DD_DOGSTATSD_PORT": str(recorder.udp.getsockname()[1]),
        "DD_ENTITY_ID": "en-0123",
        "PAGERDUTY_SERVICE_KEY": KEY,
        "PAGERDUTY_URL": site + "/pagerduty",
    }
    for number, sinks in enumerate([new, old]):
        hostile = dict.fromkeys(["DOCKER_TEST_NAME", "DOCKER_TEST_TYPE", "DOCKER_TEST_TAG", "HOST"], HOSTILE.strip())
        for name, script, more in [
            ("passes", "true", {}),
            ("fails", "echo no; exit 1", {}),
            ("retries", f"test -e again{number} || {{ touch again{number}; exit 1; }}", {}),
            ("hostile", "cat hostile; exit 1", hostile),
        ]:
            variables = {"DOCKER_TEST_NAME": f"job.{name}", "DOCKER_TEST_BACKOFF": "10ms", **sinks, **more}
            run(program, ["harness", "--", "sh", "-c", script], directory, variables, codes=(0, 1))
