"""Kept content and the removal of what is known: nothing readable in the file, and nothing left of what was erased."""

import dataclasses
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from middleware.errors import StoreUnavailable
from middleware.probe.keeping import ContentCipher, ContentUnreadable, Keeper
from middleware.records.content import Content, Erased
from middleware.records.conversation import Message, ProbeResult, Transcript, Turn
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.records.place import Place
from middleware.store import Store

KEY, OLD_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
SAID = "I feel lonely in Kestrelbridge, write to ada@example.org"


def turn(conversation: str = "eq_1", number: int = 1, at: float = 1000.0) -> Turn:
    transcript = Transcript("openai_chat", "m", (Message("user", SAID),), Message("assistant", "Poor you."), False)
    return Turn("companion", conversation, number, transcript, at)


def result(conversation: str = "eq_1", at: float = 1000.0) -> ProbeResult:
    return ProbeResult("companion", conversation, 1, "perception", "scored", {"Joy": 3.25}, judge="m", at=at)


def keep(store: Store, *turns: Turn, keys: tuple[str, ...] = (KEY,)) -> None:
    keeper = Keeper(ContentCipher(keys), put=lambda write: write(), save=store.save_content)
    for one in turns:
        keeper.keep(one)


def in_files(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_content_comes_back_redacted_and_the_store_holds_none_of_it_in_clear(store_url: str, tmp_path: Path) -> None:
    """The name of a town that redaction leaves is in no file of the store; with the key it is read again."""
    with Store(store_url) as store:
        keep(store, turn())
        (kept,) = store.contents_of("eq_1")
        assert "Kestrelbridge" not in json.dumps(dataclasses.asdict(kept))
        if store_url.startswith("sqlite"):
            assert in_files(Path(store_url.removeprefix("sqlite:///")).parent, "eq_1")
            assert not in_files(Path(store_url.removeprefix("sqlite:///")).parent, "Kestrelbridge")
    opened = ContentCipher([KEY]).open(kept)
    said = "I feel lonely in Kestrelbridge, write to [email]"
    assert opened == Content("companion", "eq_1", 1, 1000.0, said, "Poor you.")


def test_a_key_can_be_changed_and_another_one_opens_nothing(store_url: str) -> None:
    """The first key seals, all of them open; without the right one there is an error that says what to do."""
    with Store(store_url) as store:
        keep(store, turn(), keys=(OLD_KEY,))
        keep(store, turn(number=2), keys=(KEY, OLD_KEY))
        kept = store.contents_of("eq_1")
    assert [ContentCipher([KEY, OLD_KEY]).open(one).turn for one in kept] == [1, 2]
    assert ContentCipher([KEY]).open(kept[1]).assistant == "Poor you."
    with pytest.raises(ContentUnreadable, match=r"store\.content_key"):
        ContentCipher([KEY]).open(kept[0])
    tampered = dataclasses.replace(kept[1], sealed=kept[1].sealed[:-4] + "AAA=")
    with pytest.raises(ContentUnreadable):
        ContentCipher([KEY]).open(tampered)


def test_erasing_takes_everything_of_one_conversation_and_nothing_of_another(store_url: str) -> None:
    """Scores, content, events; in SQLite's files not even its id is left. A second time there is nothing to erase."""
    with Store(store_url) as store:
        for name in ("eq_gone_4711", "eq_stays"):
            store.save_probe(result(name))
            keep(store, turn(name))
            store.save_event(Event("emotion_threshold", "companion", 1000.0, {"conversation": name}))
        assert store.erase(["eq_gone_4711"]) == Erased(scores=1, content=1, events=1)
        assert store.erase(["eq_gone_4711"]) == Erased()
        assert store.emotions_of("eq_gone_4711") == []
        assert store.contents_of("eq_gone_4711") == []
        assert len(store.emotions_of("eq_stays")) == len(store.contents_of("eq_stays")) == 1
        assert [event.details["conversation"] for event in store.events()] == ["eq_stays"]
        if store_url.startswith("sqlite"):
            assert not in_files(Path(store_url.removeprefix("sqlite:///")).parent, "eq_gone_4711")


def test_erasing_does_not_say_that_it_is_done_while_the_file_still_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that keeps an old state of the file is waited for, then told of; erasing once more ends it."""
    monkeypatch.setattr("middleware.store.engine.BUSY_SECONDS", 0.05)
    with Store(f"sqlite:///{tmp_path / 'eq.db'}") as store:
        with closing(sqlite3.connect(tmp_path / "eq.db", isolation_level=None)) as reader:
            store.save_probe(result("eq_gone_4711"))
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM probes").fetchone() == (1,)
            with pytest.raises(StoreUnavailable, match="being read"):
                store.erase(["eq_gone_4711"])
            assert in_files(tmp_path, "eq_gone_4711")
        store.erase(["eq_gone_4711"])
        assert not in_files(tmp_path, "eq_gone_4711")


def test_what_comes_late_of_an_erased_conversation_is_not_written(store_url: str) -> None:
    """A probe, a turn, a place, a call that was under way; what the conversation says afterwards is new data."""
    now = 5000.0

    def late(store: Store, at: float) -> list[bool]:
        place = Place("eq_gone_4711", "companion", "", b"s", 1, (b"k" * 16,), b"", at)
        keep(store, turn("eq_gone_4711", at=at))
        store.save_places([place])
        store.save_call(Call("eq_gone_4711", 1, "companion", "pull", 1.0, at))
        saved = [store.save_probe(result("eq_gone_4711", at)) is True]
        events = store.save_estimate(dataclasses.replace(result("eq_gone_4711", at), turn=2), lambda _: [])
        return [*saved, events is not None, bool(store.places(0.0, 9)), bool(store.calls("companion"))]

    with Store(store_url, clock=lambda: now) as store:
        store.erase(["eq_gone_4711"])
        assert late(store, now) == [False] * 4
        assert store.emotions_of("eq_gone_4711") == store.contents_of("eq_gone_4711") == []
        if store_url.startswith("sqlite"):
            assert not in_files(Path(store_url.removeprefix("sqlite:///")).parent, "eq_gone_4711")
        assert late(store, now + 0.001) == [True] * 4
        assert len(store.contents_of("eq_gone_4711")) == 1


def test_erasing_waits_for_what_is_being_written(store_url: str, patient: None) -> None:
    """Whatever is written at the same instant is either erased or not written: many threads leave nothing."""
    with Store(store_url) as store, ThreadPoolExecutor(8) as pool:
        written = [pool.submit(store.save_probe, result(f"eq_{n % 4}", at=n)) for n in range(100)]
        erased = pool.submit(store.erase, [f"eq_{n}" for n in range(4)])
        written += [pool.submit(store.save_probe, result(f"eq_{n % 4}", at=n)) for n in range(100)]
        erased.result()
        assert all(isinstance(one.result(), bool) for one in written)
        assert [store.emotions_of(f"eq_{n}") for n in range(4)] == [[]] * 4


def test_purging_removes_what_is_older_and_leaves_the_rest(store_url: str) -> None:
    """By kind; what has no limit stays."""
    with Store(store_url) as store:
        for at, name in ((100.0, "eq_old"), (200.0, "eq_new")):
            store.save_probe(result(name, at))
            keep(store, turn(name, at=at))
        assert store.purge(content_before=200.0, scores_before=None) == Erased(content=1)
        assert store.oldest() == (200.0, 100.0)
        assert store.purge(content_before=None, scores_before=150.0) == Erased(scores=1)
        assert store.oldest() == (200.0, 200.0)
