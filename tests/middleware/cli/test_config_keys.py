"""`eqwatch config key-id` tells by which id the relay knows a client, from the key on standard input."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from middleware.cli.app import command_line
from middleware.errors import ConfigurationError
from middleware.proxy.deployments import key_id
from middleware.settings import load_settings
from middleware.settings.secrets import conversation_salt

KEY = "sk-of-a-client"


def told(tmp_path: Path, given: str, *more: str) -> str:
    arguments = ["config", "key-id", "--data-dir", str(tmp_path), *more]
    result = CliRunner().invoke(command_line(), arguments, input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_it_is_the_id_that_the_relay_computes(tmp_path: Path) -> None:
    """Of the key with or without its scheme and line end, under the data directory's salt; the key is not repeated."""
    salt = conversation_salt(load_settings(None, {"data_dir": tmp_path}))
    expected = key_id(f"Bearer {KEY}".encode(), salt)
    assert told(tmp_path, f"{KEY}\n") == told(tmp_path, f"Bearer {KEY}") == expected
    assert json.loads(told(tmp_path, KEY, "--json")) == {"key_id": expected}


def test_without_a_key_it_says_how_to_give_one(tmp_path: Path) -> None:
    """An id of nothing would match nobody."""
    with pytest.raises(ConfigurationError, match="standard input"):
        told(tmp_path, "\n")
