"""What one exchange costs on its way from a pod to the monitor: CPU, bytes, memory. Run: python -m bench.fleet"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
from prometheus_client import CollectorRegistry

from middleware.control.arrivals import Arrivals
from middleware.metrics import Metrics
from middleware.probe.redaction import redacted
from middleware.records.conversation import Skipped
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation, Observations
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.hashing import salt_fingerprint
from middleware.traffic.selecting import Picking, Selection, SelectionRule

SALT = b"a salt of at least sixteen bytes"
SENTENCE = "I have read the chapter twice and the second rule still makes no sense to me at all. "
ROUNDS = 200


def exchange(turns: int, number: int = 0) -> Exchange:
    """A conversation of so many turns of the user, about 350 characters a message."""
    messages = []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"{number}.{turn} " + SENTENCE * 4})
        messages.append({"role": "assistant", "content": f"{turn} " + SENTENCE * 4})
    body = {"model": "m", "messages": messages[:-1]}
    answer = {"choices": [{"index": 0, "message": messages[-1], "finish_reason": "stop"}]}
    given = json.dumps(body).encode(), json.dumps(answer).encode()
    return Exchange(
        "tutor",
        "openai_chat",
        b"POST",
        b"/v1",
        [],
        given[0],
        False,
        200,
        [],
        given[1],
        False,
        True,
        "",
        "",
        1.0,
        0.1,
        1.0,
    )


def milliseconds(work: Callable[[int], object]) -> float:
    """Median CPU time of one call."""
    times = []
    for number in range(ROUNDS):
        started = time.process_time()
        work(number)
        times.append(time.process_time() - started)
    return statistics.median(times) * 1000


def resident(module: str) -> float:
    """MiB of a process that has imported a composition root, and made nothing."""
    code = f"import {module}, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return int(done.stdout) / 1024


def main() -> None:
    """Print the table."""
    selection = Selection([SelectionRule("tutor", 1.0)], SALT)
    picking = Picking(selection, clean=redacted, characters=12_000)
    print(f"{'turns':>5} {'body KiB':>9} {'sent KiB':>9} {'pod ms':>7} {'unsampled ms':>12} {'monitor ms':>10}")
    for turns in (1, 5, 20, 100):
        given = exchange(turns)
        pod = milliseconds(lambda _, given=given: picking.pick_exchange(given))
        left_out = Picking(Selection([SelectionRule("tutor", 1e-12)], SALT), clean=redacted, characters=12_000)
        stays = milliseconds(lambda _, given=given, left_out=left_out: left_out.pick_exchange(given))
        picked = picking.pick_exchange(given)
        assert not isinstance(picked, Skipped)
        delivery = msgspec.json.encode(Observations((picked,), salt_fingerprint(SALT)))
        arrivals = Arrivals(picking, asyncio.Queue(8), metrics=Metrics(CollectorRegistry()), clock=lambda: 1.0)
        taken = milliseconds(lambda number, picked=picked, arrivals=arrivals: take_in(arrivals, picked, number))
        size = len(given.request_body) / 1024
        print(f"{turns:5d} {size:9.1f} {len(delivery) / 1024:9.1f} {pod:7.2f} {stays:12.2f} {taken:10.2f}")
    observer, control = resident("middleware.control.observing"), resident("middleware.control.composition")
    print(f"observer process {observer:.0f} MiB, control process {control:.0f} MiB, at start")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tracker, count = ConversationTracker(SALT), 16_000
    for number in range(count):
        heard = selection.of_exchange(exchange(1, number))
        assert isinstance(heard, Observation)
        tracker.observe(heard)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - own
    print(f"tracker with {count} exchanges: {len(tracker)} hashes, {grown:.0f} MiB more, pid {os.getpid()}")


def take_in(arrivals: Arrivals, observation: Observation, number: int) -> None:
    """As the monitor does it, decoding included."""
    delivery = Observations((msgspec.structs.replace(observation, id=str(number)),), salt_fingerprint(SALT))
    observed = arrivals._observed(msgspec.json.encode(delivery))  # noqa: SLF001 - without an event loop's own time
    assert isinstance(observed[0], Observation)
    ConversationTracker(SALT).observe(observed[0])


if __name__ == "__main__":
    main()
