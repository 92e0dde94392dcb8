"""The relay's log never waits."""

import json
import os

from middleware.proxy.logs import JsonLog


def test_lines_are_json_with_level_event_and_fields() -> None:
    """One object a line, in the order of the events; a fault has its traceback."""
    ours, theirs = os.pipe()
    log = JsonLog(theirs)
    log.info("listening", port=1)
    log.warning("odd")
    try:
        raise ValueError("no")
    except ValueError as error:
        log.fault("failed", error, where="here")
    os.close(theirs)
    with os.fdopen(ours) as lines:
        first, second, third = (json.loads(line) for line in lines)
    assert (first["level"], first["event"], first["port"]) == ("info", "listening", 1)
    assert (second["level"], second["event"]) == ("warning", "odd")
    assert third["level"] == "error"
    assert "ValueError: no" in third["traceback"]


def test_a_stuck_reader_costs_lines_and_never_time() -> None:
    """A full pipe loses lines instead of blocking; the next line that passes says how many."""
    ours, theirs = os.pipe()
    log = JsonLog(theirs)
    for _ in range(1000):
        log.info("request", path="/" + "x" * 1000)
    lost = log.dropped
    assert lost > 0
    while lost_bytes := os.read(ours, 1 << 20):
        if len(lost_bytes) < 1 << 20:
            break
    log.info("after")
    assert json.loads(os.read(ours, 4096))["lines_dropped"] == lost
    assert log.dropped == 0
    os.close(ours)
    log.info("to nobody")
    assert log.dropped == 1
    os.close(theirs)


def test_a_line_that_is_too_long_is_cut() -> None:
    """What a pipe might not take in one piece is told without its fields."""
    ours, theirs = os.pipe()
    JsonLog(theirs).info("request", path="x" * 5000)
    os.close(theirs)
    with os.fdopen(ours) as lines:
        (line,) = (json.loads(line) for line in lines)
    assert line["cut"]
    assert "path" not in line
