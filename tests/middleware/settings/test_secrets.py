"""Secrets travel to the control process alone; the salt is made once."""

import stat
from pathlib import Path

import pytest

from middleware.errors import ConfigurationError
from middleware.settings import load_settings
from middleware.settings.secrets import conversation_salt, dump_settings, restore_settings


def test_control_gets_the_same_settings_with_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dumped and restored settings are equal, even where the environment says something else by then."""
    settings = load_settings(
        None,
        {
            "upstream": {"url": "http://h", "api_key": "operator-key"},
            "deployments": [{"name": "a", "kind": "tutoring", "purpose": "help students"}],
            "benchmark": {"interval": "90s"},
        },
    )
    text = dump_settings(settings)
    monkeypatch.setenv("EQWATCH_UPSTREAM_URL", "http://changed")
    restored = restore_settings(text)
    assert restored.model_dump() == settings.model_dump()
    assert restored.upstream.api_key is not None
    assert restored.upstream.api_key.get_secret_value() == "operator-key"


def test_the_salt_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """Conversations keep their ids over restarts; nobody else can read what makes them."""
    settings = load_settings(None, {"data_dir": tmp_path / "new" / "dir"})
    salt = conversation_salt(settings)
    assert len(salt) == 32
    assert conversation_salt(settings) == salt
    assert stat.S_IMODE((tmp_path / "new" / "dir" / "salt").stat().st_mode) == 0o600


def test_a_damaged_salt_is_not_used(tmp_path: Path) -> None:
    """A truncated salt file is an error that says what deleting it does."""
    (tmp_path / "salt").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="too short to be a salt: delete it"):
        conversation_salt(load_settings(None, {"data_dir": tmp_path}))


def test_a_configured_salt_is_used_as_it_is(tmp_path: Path) -> None:
    """A fleet shares one salt; no file is written then."""
    settings = load_settings(None, {"data_dir": tmp_path, "salt": "sixteen letters!"})
    assert conversation_salt(settings) == b"sixteen letters!"
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """The message names the directory and the option."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--data-dir"):
        conversation_salt(load_settings(None, {"data_dir": tmp_path / "file"}))


def test_restoring_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that names control's end of the socket is no setting, and can't become one."""
    text = dump_settings(load_settings())
    monkeypatch.setenv("EQWATCH_RELAY_FD", "17")
    assert restore_settings(text).relay.listen == ("127.0.0.1:8080",)
