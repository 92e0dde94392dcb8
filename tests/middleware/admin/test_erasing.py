"""Kept content is for operators only, and everything that is known of a conversation can be erased."""

from collections.abc import Callable
from typing import Any

import pytest

from middleware.admin import Access
from middleware.errors import ConfigurationError, StoreUnavailable
from middleware.records.content import Content, SealedContent
from middleware.records.conversation import ProbeResult

NOW = 1_794_500_000.0
READ, OPERATE = "read-token-0123456789", "operate-token-0123456789"
PATH = "/api/v1/conversations/conv-1"


def opened(sealed: SealedContent) -> Content:
    if sealed.sealed == "lost":
        raise ConfigurationError("sealed with another key")
    return Content(sealed.deployment, sealed.conversation, sealed.turn, sealed.at, sealed.sealed, "a reply")


def fill(store: Any, sealed: str = "said") -> None:
    store.save_content(SealedContent("tutor", "hashed-conv-1", 1, NOW - 10, sealed))
    store.save_probe(ProbeResult("tutor", "hashed-conv-1", 1, "perception", "scored", {"Joy": 1.0}, at=NOW - 9))


def test_kept_content_is_told_by_turn(serve: Callable[..., Any]) -> None:
    """Under the application's own name of the conversation."""
    admin = serve(open_content=opened)
    fill(admin.store)
    with admin.client() as client:
        body = client.get(f"{PATH}/content").json()
    turns = [{"turn": 1, "at": NOW - 10, "user": "said", "assistant": "a reply"}]
    assert body == {"conversation": "conv-1", "deployment": "tutor", "turns": turns}


def test_without_content_or_key_the_answer_says_why(serve: Callable[..., Any]) -> None:
    """Off, nothing kept, sealed with a lost key."""
    with serve().client() as client:
        assert client.get(f"{PATH}/content").json()["error"]["code"] == "content_off"
    admin = serve(open_content=opened)
    with admin.client() as client:
        assert client.get(f"{PATH}/content").json()["error"]["code"] == "conversation_unknown"
        fill(admin.store, "lost")
        lost = client.get(f"{PATH}/content")
    assert (lost.status_code, lost.json()["error"]["code"]) == (409, "content_unreadable")


@pytest.mark.parametrize("path", [f"{PATH}/content", f"{PATH}/conten%74"])
def test_a_reader_reads_numbers_and_not_what_was_said(serve: Callable[..., Any], path: str) -> None:
    """However the path is written; nor may it erase."""
    admin = serve(
        open_content=opened, access=Access.for_listener("127.0.0.1:0", read_token=READ, operate_token=OPERATE)
    )
    fill(admin.store)
    with admin.client(authorization=f"Bearer {READ}") as client:
        assert client.get(path).status_code == 403
        assert client.delete(PATH).status_code == 403
        assert client.get(f"{PATH}/emotions").status_code == 200
    with admin.client(authorization=f"Bearer {OPERATE}") as client:
        assert client.get(path).status_code == 200


def test_erasing_removes_from_store_and_memory_and_is_no_error_twice(serve: Callable[..., Any]) -> None:
    """The answer counts what went."""
    forgotten: list[list[str]] = []
    admin = serve(open_content=opened, forget=forgotten.append)
    fill(admin.store)
    with admin.client() as client:
        first, second = (client.delete(PATH).json() for _ in range(2))
        assert client.get(f"{PATH}/emotions").status_code == 404
    assert first == {"conversation": "conv-1", "scores": 1, "content": 1, "events": 0, "places": 0}
    assert (second["scores"], second["content"]) == (0, 0)
    assert forgotten[0] == ["conv-1", "hashed-conv-1"]


def test_memory_forgets_once_the_store_has_erased(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was being saved until then is in memory by then; so nothing is told of it afterwards. Also where the store
    fails, which may be after it removed what it has."""
    left: list[int] = []

    def failing(_keys: list[str]) -> None:
        raise StoreUnavailable("a long read", reason="locked")

    admin = serve(forget=lambda keys: left.append(sum(len(admin.store.emotions_of(key)) for key in keys)))
    fill(admin.store)
    with admin.client() as client:
        assert client.delete(PATH).json()["scores"] == 1
        assert left == [0]
        monkeypatch.setattr(admin.store, "erase", failing)
        assert client.delete(PATH).status_code == 503
    assert left == [0, 0]
