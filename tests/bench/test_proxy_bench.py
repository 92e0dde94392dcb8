"""The proxy bench itself: its arithmetic, and a short run of its C parts against nginx."""

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.proxy import machine
from bench.proxy.control import Granting
from bench.proxy.figures import paired_change, slope, spread
from bench.proxy.loads import LOADS, Load, request_body
from bench.proxy.measure import DIRECT
from bench.proxy.native import missing_tools
from bench.proxy.page import BEGIN, END, put_section
from bench.proxy.relay_process import ABLATIONS, missing
from bench.proxy.report import Report, load_report, save_report
from bench.proxy.session import Session, session
from bench.proxy.summary import MEASURES, figure
from bench.proxy.tables import as_markdown, tables
from bench.proxy.targets import nginx
from middleware.records.exchange import Credit
from middleware.records.link import FrameBuffer, decode_from_control, encode_frame
from tests.exchanges import chat_exchange

needs_tools = pytest.mark.skipif(bool(missing_tools()), reason=f"needs {' and '.join(missing_tools())} on the PATH")


def test_ablations_name_parts_that_the_relay_has() -> None:
    """Each cost that the bench leaves out is still there under the name that it replaces."""
    assert {name: missing(name) for name in ABLATIONS} == {name: [] for name in ABLATIONS}


@pytest.fixture
def empty_report() -> Report:
    """A report with nothing measured."""
    return Report(
        "2026-01-01", "python -m bench.proxy", 7, 1, machine.Machine("cpu", 2, 4.0, "Linux", "3", "1"), [], []
    )


@pytest.fixture(scope="module")
def small_session(compiled_product: Path) -> Iterator[Session]:
    """The mock upstream with nginx as the only proxy."""
    with session([nginx()], random.Random(1), lambda _: None, product=compiled_product) as running:
        yield running


def test_paired_change_tells_a_constant_factor_exactly() -> None:
    """A cost that is 5 % higher in every pair is a change of 5 % with no width."""
    change = paired_change([10.0, 20.0, 40.0], [10.5, 21.0, 42.0])
    assert change.percent == pytest.approx(5)
    assert change.high - change.low == pytest.approx(0, abs=1e-9)


def test_paired_change_widens_with_noise() -> None:
    """The interval of noisy pairs holds their mean and reaches beyond the pairs' own standard error."""
    change = paired_change([1.0, 1.0, 1.0, 1.0], [0.9, 1.1, 0.95, 1.05])
    assert change.low < -5
    assert change.high > 5
    assert change.pairs == 4


def test_paired_change_refuses_a_single_pair() -> None:
    """One pair has no bound."""
    with pytest.raises(ValueError, match="two pairs"):
        paired_change([1.0], [1.0])


def test_slope_of_a_line_is_the_line() -> None:
    """Points on a line give its slope and no error."""
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx((2.0, 0.0))


def test_spread_of_nothing_is_nothing() -> None:
    """No values have no median, not zero."""
    assert spread([]) is None


def test_request_bodies_have_the_size_asked_for() -> None:
    """Every load's request body is exactly 1 KB."""
    assert {len(request_body(stream=load.stream, wish=load.wish)) for load in LOADS} == {1024}


def test_stand_in_grants_no_more_than_its_rate() -> None:
    """Ten ticks a second grant 100, and nothing more while nothing is taken."""
    granting = Granting(100)
    assert sum(granting.next() for _ in range(10)) == 100
    assert granting.next() == 0
    granting.taken()
    assert granting.next() == 1
    granting.enabled = False
    granting.taken()
    assert granting.next() == 0


def test_stand_in_speaks_the_link_protocol() -> None:
    """The stand-in grants credit over the socket that it inherits, takes exchanges and ends with the socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.set_inheritable(theirs.fileno(), True)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.proxy.control", "50"],
            env={**os.environ, "EQWATCH_RELAY_FD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        ours.settimeout(60)
        frames = FrameBuffer()
        granted = [decode_from_control(payload) for payload in frames.feed(ours.recv(4096))]
        ours.sendall(encode_frame(chat_exchange(b"{}", b"{}", deployment="default")))
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(60) == 0
    assert granted[0] == Credit(5)


def test_section_replaces_only_what_is_between_the_markers(tmp_path, empty_report: Report) -> None:
    """Writing twice leaves the hand-written text around one generated section."""
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\ntail\n")
    put_section(page, as_markdown(empty_report))
    put_section(page, as_markdown(empty_report))
    text = page.read_text()
    assert text.startswith("# Title\n")
    assert text.endswith("tail\n")
    assert "old" not in text
    assert text.count("Measured on 2026-01-01") == 1


def test_page_without_markers_is_left_alone(tmp_path) -> None:
    """A page that lacks the markers is refused and not changed."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    with pytest.raises(ValueError, match="markers"):
        put_section(page, "new")
    assert page.read_text() == "# Title\n"


@needs_tools
def test_short_run_counts_cost_and_survives_json(small_session: Session, empty_report: Report, tmp_path) -> None:
    """Two tiny loads give nginx a cost above zero without errors, and the report is the same after JSON."""
    empty_report.targets = [DIRECT, "nginx"]
    loads = [
        Load("json c=64", 8, 0.3, 0.1),
        Load("sse 50x50/s", 5, 0.4, 0.1, stream=True, wish="delay=5 pace=10 chunks=10", spread_ms=50),
    ]
    small_session.rounds(empty_report, 2, loads)
    assert len(empty_report.samples) == 8
    assert all(not s.failure and s.figures["errors"] == 0 and s.figures["measured"] > 0 for s in empty_report.samples)
    for load in loads:
        cost = figure(empty_report, load.name, "nginx", MEASURES["cpu"])
        assert cost.value is not None
        assert cost.value.low > 0
        assert cost.ratio is not None
        assert cost.ratio.median == 1
        assert figure(empty_report, load.name, DIRECT, MEASURES["cpu"]).value is None
    assert all(s.figures["chunks"] > 0 for s in empty_report.samples if s.load == "sse 50x50/s")
    save_report(empty_report, tmp_path / "report.json")
    again = load_report(tmp_path / "report.json")
    assert list(tables(again)) == list(tables(empty_report))


@needs_tools
def test_open_loop_keeps_its_schedule(small_session: Session) -> None:
    """An open loop of 200 requests/s starts that many, and its latencies count from the due instants."""
    figures = small_session.native.run_load(Load("rate", 4, 2.0, 0.0, rate=200), small_session.mock.port)
    # What a busy machine delays is made up for, but for what is due just before the end.
    assert 100 <= figures["requests"] <= 401
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["max_us"]


@needs_tools
def test_answers_other_than_200_are_errors(small_session: Session) -> None:
    """The load generator counts an asked-for 429 as an error, each time."""
    figures = small_session.native.run_load(Load("429", 2, 0.2, 0.0, wish="status=429"), small_session.mock.port)
    assert figures["errors"] == figures["requests"] > 0


@needs_tools
def test_mock_sees_a_client_leave(small_session: Session) -> None:
    """A client that closes in mid-stream is counted as cancelled, and one that read its answer is not."""
    mock = small_session.mock
    before = mock.stats()
    whole = urllib.request.Request(f"http://127.0.0.1:{mock.port}/", data=request_body(stream=False, wish=""))
    with urllib.request.urlopen(whole, timeout=60) as answer:
        assert b"chatcmpl-bench" in answer.read()
    body = request_body(stream=True, wish="pace=20 chunks=100")
    with socket.create_connection(("127.0.0.1", mock.port), timeout=60) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    deadline = time.monotonic() + 60
    while mock.stats()["cancelled"] == before["cancelled"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mock.stats()["cancelled"] == before["cancelled"] + 1
