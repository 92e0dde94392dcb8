"""Keeping content needs a key, and a key that is none is refused without being shown."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from middleware.errors import ConfigurationError
from middleware.settings import load_settings
from middleware.settings.store import StoreSettings

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def test_content_is_off_and_without_a_key_it_stays_so() -> None:
    """The error names field and fix."""
    assert not StoreSettings().keep_content
    with pytest.raises(ValidationError, match="EQWATCH_STORE_CONTENT_KEY"):
        StoreSettings(keep_content=True)
    assert StoreSettings(keep_content=True, content_key=KEY).keep_content


@pytest.mark.parametrize("key", ["hunter2", f"{KEY},short", f"{KEY},", "é" * 44])
def test_a_key_that_is_none_is_refused(key: str, tmp_path: Path) -> None:
    """Whichever of several it is; the message names the field and holds nothing of the key."""
    with pytest.raises(ConfigurationError, match="config content-key") as caught:
        load_settings(None, {"data_dir": tmp_path, "store": {"content_key": key}})
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)
