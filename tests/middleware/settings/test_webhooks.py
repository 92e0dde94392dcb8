"""Webhooks and thresholds in the settings: a wrong one is explained, and no secret is shown."""

from pathlib import Path

import pytest

from middleware.errors import ConfigurationError
from middleware.settings import load_settings
from middleware.settings.webhooks import signing_key, webhook_url

KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3A="
HOOK = f"""
[[webhooks]]
name = "app"
url = "https://app.example/hook"
secret = "{KEY}"
"""
DEPLOYMENT = """
[[deployments]]
name = "tutor"
kind = "tutoring"
"""


def load(tmp_path: Path, text: str):
    """The settings of this file."""
    file = tmp_path / "eqwatch.toml"
    file.write_text(text)
    return load_settings(file)


def test_a_webhook_with_its_defaults(tmp_path: Path) -> None:
    """Everything is told to an application, and to a chat all but emotions."""
    settings = load(tmp_path, HOOK + '[[webhooks]]\nname = "chat"\nurl = "https://c.example/x"\nformat = "slack"\n')
    app, chat = settings.webhooks
    assert app.groups == ("emotions", "incidents", "upgrades", "drift")
    assert chat.groups == ("incidents", "upgrades", "drift")
    assert (webhook_url(app), len(signing_key(app)), signing_key(chat)) == ("https://app.example/hook", 26, b"")


def test_url_and_key_may_come_from_files(tmp_path: Path) -> None:
    """As secrets are mounted; what is in them is checked, and what can't be read is named."""
    (tmp_path / "url").write_text("https://app.example/hook\n")
    (tmp_path / "key").write_text(KEY + "\n")
    [webhook] = load(
        tmp_path, f'[[webhooks]]\nname = "app"\nurl_file = "{tmp_path}/url"\nsecret_file = "{tmp_path}/key"\n'
    ).webhooks
    assert (webhook_url(webhook), len(signing_key(webhook))) == ("https://app.example/hook", 26)
    (tmp_path / "url").write_text("ftp://x")
    (tmp_path / "key").unlink()
    with pytest.raises(ValueError, match="no URL"):
        webhook_url(webhook)
    with pytest.raises(ValueError, match="secret_file"):
        signing_key(webhook)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HOOK.replace("https://app.example/hook", "app.example"), "is no URL"),
        (HOOK.replace("https://", "http://"), "anybody on the way can read"),
        (HOOK.replace("app.example", "user:pw@app.example"), "holds a user"),
        (HOOK.replace(KEY, "whsec_c2hvcnQ="), "24 to 64 bytes"),
        (HOOK.replace(KEY, "plain"), "webhook-secret"),
        (HOOK.replace(f'secret = "{KEY}"', ""), "no signing key"),
        (HOOK.replace("url =", "url_file = 'x'\nurl ="), "exactly one"),
        (HOOK + 'allow_networks = ["10.0.0.0/99"]\n', "write an address or network"),
        (HOOK + 'deployments = ["tutr"]\n', "'tutr', which is not configured"),
        (HOOK + HOOK, "used twice"),
        (DEPLOYMENT + 'thresholds = ["Joy >= 7"]\n', "use one of Confusion, Boredom"),
        (DEPLOYMENT + 'thresholds = ["Boredom >= 7", "boredom>=7 for 1 turn"]\n', "duplicate"),
        ('[admin]\npublic_url = "eqwatch.example"\n', "write the URL"),
    ],
)
def test_a_wrong_setting_is_explained_without_its_secrets(tmp_path: Path, text: str, problem: str) -> None:
    """Neither the key nor the URL, which may be one, is in the message."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load(tmp_path, text)
    assert KEY not in str(caught.value)
    assert "app.example/hook" not in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_the_environment_is_not_quoted_when_settings_contradict_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem of several settings names them, and shows no other."""
    monkeypatch.setenv("EQWATCH_UPSTREAM_API_KEY", "operator-secret")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, HOOK + 'deployments = ["tutr"]\n')
    assert "operator-secret" not in str(caught.value)


def test_thresholds_become_rules(tmp_path: Path) -> None:
    """On emotions of the deployment's kind as well."""
    [deployment] = load(tmp_path, DEPLOYMENT + 'thresholds = ["confusion >= 6 for 2 turns"]\n').deployments
    assert [str(rule) for rule in deployment.threshold_rules] == ["Confusion >= 6 for 2 turns, again below 4"]
