"""`eqwatch erase` removes a conversation from the store, by the name that the application gave it."""

import json
from collections.abc import Callable
from pathlib import Path

from middleware.records.conversation import ProbeResult
from middleware.settings import load_settings
from middleware.settings.secrets import conversation_salt
from middleware.store import Store
from middleware.traffic.hashing import conversation_id


def test_a_conversation_is_erased_by_its_own_name(tmp_path: Path, in_process: Callable[..., str]) -> None:
    """Another one stays, and a second time there is nothing to erase."""
    settings = load_settings(None, {"data_dir": tmp_path})
    salt = conversation_salt(settings)
    with Store(settings.store_url) as store:
        for name in ("chat-1", "chat-2"):
            key = conversation_id(salt, name)
            store.save_probe(ProbeResult("d", key, 1, "perception", "scored", {"Joy": 1.0}, at=1.0))
    told = json.loads(in_process("erase", "chat-1", "--data-dir", tmp_path, "--json"))
    assert told == {"conversation": "chat-1", "scores": 1, "content": 0, "events": 0, "places": 0}
    assert "nothing is known" in in_process("erase", "chat-1", "--data-dir", tmp_path)
    with Store(settings.store_url) as store:
        assert [result.conversation for result in store.probes()] == [conversation_id(salt, "chat-2")]
