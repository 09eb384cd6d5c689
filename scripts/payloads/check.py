"""Has what docker-test sends read by others than docker-test. See scripts/check-payloads."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from breakages import broken
from readers import READERS, Payload, refusal
from scene import record

MOST_SHOWN = 40


def examples(root):
    """Monitors that people send by hand."""
    monitors = sorted((root / "examples/monitoring").glob("datadog-*.json"))
    return [Payload("DataDog monitor", path.read_bytes()) for path in monitors]


def say(text):
    print(f"   {text}", file=sys.stderr)


def main(program, root, only_broken):
    with tempfile.TemporaryDirectory(prefix="dt-payloads-") as directory:
        payloads = record(program, directory) + examples(root)
    faults, tried, taken = [], 0, 0
    samples = []
    for kind in READERS:
        wrong = broken(payloads, kind)
        if not wrong:
            faults.append(f"nothing of this kind was sent, or nothing that can be broken: {kind}")
        for name, payload in wrong:
            tried += 1
            if refusal(payload) is None:
                taken += 1
                faults.append(f"a reader takes what is broken: {name}")
        samples.extend(payload for _, payload in wrong[:1])
    say(f"{tried} broken payloads, {taken} of them taken")
    refused = 0
    payloads = samples if only_broken else payloads
    for payload in payloads:
        why = refusal(payload)
        if why is not None:
            refused += 1
            faults.append(f"{payload.kind} {payload.path[:80]}: {why[:500]}\n      {payload.body[:300]!r}")
    for kind, count in sorted(Counter(payload.kind for payload in payloads).items()):
        say(f"{count:4} {kind}")
    for fault in faults[:MOST_SHOWN]:
        print(f"xx {fault}", file=sys.stderr)
    print(f"{len(payloads)} payloads read, {refused} refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] == ["--broken"]))
