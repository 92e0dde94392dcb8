"""A remembered answer's head says what judging it anew would have said, or nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from middleware.proxy.answers import Answers
from middleware.proxy.errors import Refused
from middleware.proxy.framing import FramingError, ResponseFramer
from middleware.proxy.heads import read_response
from tests.middleware.proxy.changing_lines import changed

DATE = b"Date: Sat, 28 Nov 2026 08:00:%02d GMT"


def answer(*lines: bytes, body: bytes = b"{}", status: bytes = b"200 OK", length: bytes | None = None) -> bytes:
    declared = b"%d" % len(body) if length is None else length
    head = b"HTTP/1.1 " + status + b"\r\n" + b"".join(b"%s\r\n" % line for line in lines)
    return head + b"content-length: " + declared + b"\r\nServer: s\r\n\r\n" + body


def ended(data: bytes) -> int:
    return data.index(b"\r\n\r\n") + 4


def learnt(*answers: bytes) -> Answers:
    memory = Answers()
    for data in answers:
        memory.learn(read_response(data, ended(data), b"POST"), data[: ended(data)])
    return memory


def judged(data: bytes) -> tuple[bytes, int]:
    return read_response(data, ended(data), b"POST").forward(data), ended(data)


def test_the_same_head_with_another_length_is_known() -> None:
    """With and without lines that do not pass on."""
    for lines in ((), (b"Connection: keep-alive", b"Keep-Alive: timeout=5")):
        again = answer(*lines, body=b'{"a": 1}')
        assert learnt(answer(*lines)).repeat(again) == judged(again)


@pytest.mark.parametrize("same", [True, False])
def test_an_answer_cut_anywhere_is_not_known(same: bool) -> None:
    """Reads end where they like, also between the name of the length and its digits."""
    answers = [answer(DATE % (1 if same else n)) for n in range(3)]
    memory = learnt(*answers[:2])
    assert memory.repeat(answers[2]) is not None
    for end in range(len(answers[2])):
        assert memory.repeat(answers[2][:end]) is None


def test_times_ids_and_counts_that_changed_once_may_change_again() -> None:
    """Date each second, an id for each answer, what is left of a rate limit."""
    lines = [
        (DATE % n, b"x-request-id: req_%06d" % (n * 77), b"x-ratelimit-remaining: %d" % (n + 200)) for n in range(4)
    ]
    memory = learnt(answer(*lines[0]), answer(*lines[1]))
    for more in lines[2:]:
        assert memory.repeat(answer(*more, body=b"1")) == judged(answer(*more, body=b"1"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(answer(b"X-A: 2", body=b"2", status=b"429 Too Many Requests"), id="another status"),
        pytest.param(answer(b"X-A: 2", b"Connection: close"), id="a line more"),
        pytest.param(answer(b"Set-Cookie: a"), id="another line"),
        pytest.param(answer(b"X-A: 22"), id="a longer value"),
        pytest.param(answer(b"X-A: 2", length=b"1"), id="more than its length"),
        pytest.param(answer(b"X-A: 2", length=b"3"), id="a body that is not there yet"),
        pytest.param(answer(b"X-A: 2", length=b"-2"), id="no length"),
        pytest.param(answer(b"X-A: 2")[:30], id="half a head"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_nothing_else_is_known(other: bytes) -> None:
    """It takes the long way."""
    assert learnt(answer(b"X-A: 0"), answer(b"X-A: 1")).repeat(other) is None


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(answer(status=b"204 No Content", body=b"", length=b"2"), id="no content"),
        pytest.param(answer(status=b"404 Not Found"), id="not 200"),
        pytest.param(answer(b"Connection: close"), id="closes"),
        pytest.param(answer().replace(b"HTTP/1.1", b"HTTP/1.0"), id="an old version"),
        pytest.param(answer().replace(b"content-length: 2", b"Transfer-Encoding: chunked"), id="chunked"),
    ],
)
def test_only_plain_answers_are_remembered(first: bytes) -> None:
    """What ends otherwise, or ends the connection, is judged each time."""
    assert learnt(first, first).repeat(first) is None


def test_where_no_head_comes_again_hardly_any_is_remembered() -> None:
    """After a few in vain, most are left; once one comes again, new ones are remembered as in the beginning."""
    memory = learnt(*(answer(b"Set-Cookie: %d" % n) for n in range(10)))
    assert memory.template is None
    same = answer(b"Via: 1")
    tries = 0
    while memory.repeat(same) is None:
        memory.learn(read_response(same, ended(same), b"POST"), same[: ended(same)])
        tries += 1
    assert 100 < tries < 300
    other = answer(b"Via: 2")
    memory.learn(read_response(other, ended(other), b"POST"), other[: ended(other)])
    assert memory.repeat(other) == judged(other)


def test_too_many_values_that_vary_are_not_followed() -> None:
    """It would cost as much as judging the head."""
    lines = [tuple(b"x-%d: %d" % (name, n) for name in range(4)) for n in range(3)]
    assert learnt(answer(*lines[0]), answer(*lines[1])).repeat(answer(*lines[2])) is None


_NAMES = st.sampled_from(
    [b"x-request-id", b"Date", b"openai-version", b"Connection", b"Keep-Alive", b"Transfer-Encoding", b"X-Eqwatch-A"]
)
_VALUES = st.sampled_from(
    [b"aaaa", b"bb b", b"chunked", b"close", b"x-request-id", b"a\rbb", b"a\x00bb", b"\xe9bbb", b""]
)
_LINES = st.lists(st.tuples(_NAMES, _VALUES).map(b": ".join), max_size=4)
_CHANGES = st.lists(st.tuples(st.integers(0, 3), _VALUES), max_size=3)
_STATUS = st.sampled_from([b"200 OK", b"200 Fine", b"201 Created", b"204 No Content", b"500 Oh"])


@given(st.lists(_STATUS, min_size=3, max_size=3), _LINES, _CHANGES, _CHANGES)
@example([b"200 OK"] * 3, [b"x-request-id: aaaa", b"Connection: close"], [(0, b"bb b")], [(0, b"aaaa")])
def test_what_is_known_is_what_judging_would_say(
    statuses: list[bytes], lines: list[bytes], once: list[tuple[int, bytes]], again: list[tuple[int, bytes]]
) -> None:
    """Whatever the heads: a whole answer passes on only as the judge and llhttp would let it."""
    memory = Answers()
    heads = [lines, changed(lines, once), changed(changed(lines, once), again)]
    for status, head_lines, body in zip(statuses, heads, (b"{}", b"", b"123"), strict=True):
        data = answer(*head_lines, body=body, status=status)
        known = memory.repeat(data)
        try:
            head = read_response(data, ended(data), b"POST")
            framer = ResponseFramer()
            framer.feed(data)
        except (Refused, *FramingError):
            assert known is None
            return
        if known is None:
            if head.length == len(body) and head.keep_alive:
                memory.learn(head, data[: ended(data)])
            continue
        assert known == judged(data)
        assert (head.status, head.length, head.keep_alive) == (200, len(body), True)
        assert framer.done
