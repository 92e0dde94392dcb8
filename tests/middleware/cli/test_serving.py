"""What `serve`, `monitor` and `config check` refuse before anything listens."""

import pytest

from middleware.cli import serving
from middleware.errors import ConfigurationError
from middleware.settings import Settings


def settings_of(**fields: object) -> Settings:
    deployment = {"name": "robot", "kind": "companion", "purpose": "notice loneliness", **fields}
    return Settings.model_validate({"deployments": [deployment]})


@pytest.mark.parametrize(
    ("fields", "named"), [({"anchor_only": True}, "anchor_only"), ({"judges": ["anchor"]}, "judges")]
)
def test_an_anchor_that_is_named_and_not_installed_is_refused(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], named: str
) -> None:
    """The error names the field, the deployment, the missing package and the command that installs it."""
    monkeypatch.setattr(serving, "missing_part", lambda: "tokenizers")
    with pytest.raises(ConfigurationError, match=rf"{named} of 'robot' .* tokenizers .* pip install"):
        serving.checked_parts(settings_of(**fields))


def test_without_the_anchor_others_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that does not name it, or samples nothing, needs none; nor does anybody once it is there."""
    monkeypatch.setattr(serving, "missing_part", lambda: "tokenizers")
    serving.checked_parts(settings_of())
    serving.checked_parts(settings_of(anchor_only=True, sample_rate=0.0))
    monkeypatch.setattr(serving, "missing_part", lambda: "")
    serving.checked_parts(settings_of(anchor_only=True))
