"""A remembered head says what judging it anew would have said, or nothing."""

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from middleware.proxy.counters import Cell
from middleware.proxy.errors import Refused
from middleware.proxy.framing import FramingError, judge_request
from middleware.proxy.heads import RequestRules, read_request
from middleware.proxy.memo import Memo
from middleware.records.relay import DeploymentMatch
from tests.middleware.proxy.changing_lines import changed

RULES = RequestRules(b"up:1")
LIMIT = 1000
TRACE = b"traceparent: 00-%032d-%016d-01"


@dataclass(frozen=True)
class Sent:
    """A request of this head and body."""

    lines: tuple[bytes, ...]
    body: bytes = b"{}"

    @property
    def head(self) -> bytes:
        return b"POST /v1/chat/completions HTTP/1.1\r\n" + b"".join(b"%s\r\n" % line for line in self.lines) + b"\r\n"

    @property
    def data(self) -> bytes:
        return self.head + self.body


def sent(*lines: bytes, body: bytes = b"{}") -> Sent:
    return Sent((b"Host: me", *lines, b"Content-Length: %d" % len(body)), body)


def memo(request: Sent, before: Memo | None = None) -> Memo:
    head = read_request(request.head, RULES)
    found = Memo.of(request.head, head, Cell("default", "openai_chat"), DeploymentMatch("default"), "", before)
    assert found is not None
    return found


def judged(request: Sent) -> bytes:
    """What goes upstream where nothing is remembered."""
    return read_request(request.head, RULES).forwarded + request.body


def test_the_same_head_with_another_length_is_known() -> None:
    """SDKs send one head again and again but for its Content-Length."""
    known = memo(sent(b"Connection: keep-alive"))
    again = sent(b"Connection: keep-alive", body=b'{"a": 1}')
    assert known.repeat(again.data, LIMIT) == (judged(again), len(again.head))


def test_ids_that_changed_once_may_change_again() -> None:
    """Traced calls: an id for each request, before and after Content-Length, is put into its place."""
    first, second, third = (
        Sent((b"Host: me", TRACE % (n, n), b"Content-Length: 2", b"X-Request-Id: %08d" % (n * 7))) for n in (1, 2, 3)
    )
    known = memo(second, memo(first))
    assert known.repeat(third.data, LIMIT) == (judged(third), len(third.head))
    assert memo(second).repeat(third.data, LIMIT) is None


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-Id: ccccc", id="longer"),
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-Id: a\r\nb", id="a line end"),
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-Id: a\x00bb", id="NUL"),
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-Id: a\tbb", id="a tab"),
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-Id: a\xffbb", id="not ASCII"),
        pytest.param(b"X-Id: aaaa", b"X-Id: bbbb", b"X-If: cccc", id="another name"),
        pytest.param(b"X-Eqwatch-Opt-Out: 0000", b"X-Eqwatch-Opt-Out: 1111", b"X-Eqwatch-Opt-Out: 2222", id="ours"),
        pytest.param(b"X-Api-Key: aaaa", b"X-Api-Key: bbbb", b"X-Api-Key: cccc", id="a credential"),
        pytest.param(b"Authorization: aaaa", b"Authorization: bbbb", b"Authorization: cccc", id="another credential"),
        pytest.param(b"Content-Type: aaaa", b"Content-Type: bbbb", b"Content-Type: cccc", id="a type"),
        pytest.param(b"Content-Encoding: aaaa", b"Content-Encoding: zstd", b"Content-Encoding: gzip", id="an encoding"),
        pytest.param(b"Transfer-Encoding: aaaa", b"X-Id: bbbb", b"X-Id: cccc", id="what was refused"),
    ],
)
def test_nothing_else_may_change(first: bytes, second: bytes, third: bytes) -> None:
    """Only an id of the same form in a line that no rule names is taken for known."""
    before = None
    with contextlib.suppress(Refused):
        before = memo(sent(first))
    assert memo(sent(second), before).repeat(sent(third).data, LIMIT) is None


def test_what_varied_once_may_vary_again_after_a_pause() -> None:
    """An id that two heads happen to share is still known to change; so is one that has become longer."""
    first, same, longer, last = (
        sent(b"X-Id: %s" % i, b"X-Other: %d" % n) for n, i in enumerate((b"a", b"b", b"b", b"cc"))
    )
    known = memo(longer, memo(same, memo(first)))
    assert known.repeat(sent(b"X-Id: z", b"X-Other: 9").data, LIMIT) is not None
    known = memo(last, known)
    assert known.repeat(sent(b"X-Id: zz", b"X-Other: 9").data, LIMIT) is not None


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length", b"CONTENT-LENGTH"])
def test_the_length_is_known_however_it_is_written(name: bytes) -> None:
    """Node's fetch writes it in lower case."""
    first, again = (Sent((b"Host: me", name + b": %d" % len(body)), body) for body in (b"{}", b'{"a": 1}'))
    assert memo(first).repeat(again.data, LIMIT) == (judged(again), len(again.head))


@pytest.mark.parametrize("length", [b"", b" 8", b"8 ", b"+8", b"0x8", b"7", b"9", b"8" * 16, b"8" * 5000])
def test_only_the_length_of_the_body_is_known(length: bytes) -> None:
    """Anything else in its place takes the long way, which judges it."""
    body = b'{"a": 1}'
    assert memo(sent()).repeat(Sent((b"Host: me", b"Content-Length: " + length), body).data, LIMIT) is None


@pytest.mark.parametrize("more", [b"", b"x", b"POST / HTTP/1.1\r\n"])
def test_only_a_whole_request_is_known(more: bytes) -> None:
    """A body that is cut short, or that is followed by something, takes the long way."""
    known = memo(sent())
    data = sent().data
    assert known.repeat(data[:-1] if not more else data + more, LIMIT) is None


@pytest.mark.parametrize("same", [True, False])
def test_a_request_cut_anywhere_is_not_known(same: bool) -> None:
    """Reads end where they like, also between the name of the length and its digits."""
    requests = [Sent((b"Host: me", b"Content-Length: 2", b"X-Id: %d" % (1 if same else n))) for n in (1, 2, 3)]
    known = memo(requests[1], memo(requests[0]))
    data = requests[2].data
    assert known.repeat(data, LIMIT) is not None
    for end in range(len(data)):
        assert known.repeat(data[:end], LIMIT) is None


def test_a_body_over_the_limit_is_not_known() -> None:
    """The long way refuses it."""
    known = memo(sent())
    assert known.repeat(sent(body=b"x" * (LIMIT + 1)).data, LIMIT) is None


def test_an_id_that_stands_there_twice_is_not_put_in_place() -> None:
    """Where it belongs could not be told."""
    first, second, third = (sent(b"X-Id: %s" % i, b"X-Id: %s" % i) for i in (b"aaaa", b"bbbb", b"cccc"))
    assert memo(second, memo(first)).repeat(third.data, LIMIT) is None


def test_an_id_that_connection_names_is_not_put_in_place() -> None:
    """It does not pass on at all."""
    first, second, third = (sent(b"Connection: x-id", b"X-Id: %s" % i) for i in (b"aaaa", b"bbbb", b"cccc"))
    assert memo(second, memo(first)).repeat(third.data, LIMIT) is None


_NAMES = st.sampled_from(
    [b"X-Request-Id", b"traceparent", b"X-A", b"Accept", b"Connection", b"Content-Type", b"Host", b"X-Eqwatch-Opt-Out"]
)
_VALUES = st.sampled_from(
    [b"aaaa", b"bbbb", b"0-1-2-3", b"x-a", b"close", b"keep-alive", b"a\rbb", b"a\x00bb", b"a b c"]
)
_LINES = st.lists(st.tuples(_NAMES, _VALUES).map(b": ".join), max_size=4)
_CHANGES = st.lists(st.tuples(st.integers(0, 3), _VALUES), max_size=3)


@given(_LINES, _CHANGES, _CHANGES)
@example([b"X-A: aaaa", b"Connection: close"], [(0, b"bbbb")], [(0, b"aaaa")])
def test_what_is_known_is_what_judging_would_say(
    lines: list[bytes], once: list[tuple[int, bytes]], again: list[tuple[int, bytes]]
) -> None:
    """Whatever the heads: a memo passes a request on only as the judge would, and holds the same facts."""
    requests = [sent(*lines), sent(*changed(lines, once)), sent(*changed(changed(lines, once), again))]
    known: Memo | None = None
    for request in requests:
        repeated = known.repeat(request.data, LIMIT) if known is not None else None
        try:
            head = read_request(request.head, RULES)
            judge_request(request.head)
        except (Refused, *FramingError):
            assert repeated is None
            return
        if repeated is None:
            known = memo(request, known)
            continue
        assert known is not None
        assert repeated == (head.forwarded + request.body, len(request.head))
        for field in head.__struct_fields__:
            if field != "forwarded":
                assert getattr(known.head, field) == getattr(head, field)
