"""Settings come from command line, environment and file, in that order, and a wrong one is explained."""

from datetime import timedelta
from pathlib import Path

import pytest

from middleware.errors import ConfigurationError
from middleware.settings import load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "eqwatch.toml"
    path.write_text(text)
    return path


def test_command_line_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source overrides only the fields that it names."""
    file = written(
        tmp_path, '[benchmark]\nbatch = 5\nmax_tokens = 70\nmodel = "file"\n[upstream]\nurl = "http://file"\n'
    )
    monkeypatch.setenv("EQWATCH_BENCHMARK_MAX_TOKENS", "80")
    monkeypatch.setenv("EQWATCH_BENCHMARK_MODEL", "environment")
    settings = load_settings(file, {"benchmark": {"model": "line"}})
    assert (settings.benchmark.batch, settings.benchmark.max_tokens, settings.benchmark.model) == (5, 80, "line")
    assert settings.benchmark.temperature == 0.01
    assert settings.upstream.url == "http://file"


def test_keys_come_from_their_documented_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """EQWATCH_UPSTREAM_API_KEY and EQWATCH_JUDGE_API_KEY set the keys, and no representation shows them."""
    monkeypatch.setenv("EQWATCH_UPSTREAM_API_KEY", "up-secret")
    monkeypatch.setenv("EQWATCH_JUDGE_API_KEY", "judge-secret")
    settings = load_settings()
    assert settings.upstream.api_key is not None
    assert settings.upstream.api_key.get_secret_value() == "up-secret"
    assert settings.judge.api_key is not None
    assert settings.judge.api_key.get_secret_value() == "judge-secret"
    assert "secret" not in repr(settings).replace("SecretStr", "")


def test_the_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    """Without --config, eqwatch.toml here is read."""
    written(tmp_path, "[benchmark]\nbatch = 3\n")
    assert load_settings().benchmark.batch == 3


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A missing --config is an error, not a silent default."""
    with pytest.raises(ConfigurationError, match=r"absent\.toml does not exist"):
        load_settings(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[benchmark]\nbatch = 0\n", r"line 2: benchmark\.batch: .*greater than or equal to 1 \(got 0\)"),
        ("[benchmark]\nbacth = 3\n", r"line 2: benchmark\.bacth: .* \(got 3\): remove it, or correct its name"),
        ('[benchmark]\ninterval = "soon"\n', r"line 2: benchmark\.interval: write a duration such as 90s, 15m"),
        ('[benchmark]\ninterval = "0s"\n', r"line 2: benchmark\.interval: write a duration above zero"),
        ('\n[[deployments]]\nkind = "tutoring"\n', r"line 2: deployments\[0\]\.name: .*: add it"),
        (
            '[[deployments]]\nname = "a"\n[[deployments]]\nname = "B b"\n',
            r"line 4: deployments\[1\]\.name: .*\(got 'B b'\)",
        ),
        (
            '[[deployments]]\nname = "a"\n[[deployments]]\nname = "a"\n',
            r"deployments: deployment name 'a' is used twice: give each",
        ),
        (
            '[[deployments]]\nname = "a"\npurpose = "to help people"\n',
            r"deployments\[0\]: a sampled deployment needs a kind or at least two emotions",
        ),
        ('[admin]\nlisten = "8081"\n', r"line 2: admin\.listen: write HOST:PORT"),
        ("[admin\n", r"is not valid TOML: .*line 1"),
    ],
)
def test_a_wrong_setting_names_line_field_value_and_fix(tmp_path: Path, text: str, expected: str) -> None:
    """Whoever wrote the file finds the place and what to write instead."""
    with pytest.raises(ConfigurationError, match=expected):
        load_settings(written(tmp_path, text))


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    """The message about a secret never holds its value."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, 'salt = "short-secret"\n'))
    assert "salt" in str(caught.value)
    assert "short-secret" not in str(caught.value)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of our prefix that sets nothing must not look as if it did."""
    monkeypatch.setenv("EQWATCH_UPSTRAEM_URL", "http://h")
    with pytest.raises(ConfigurationError, match="EQWATCH_UPSTRAEM_URL is no setting"):
        load_settings()


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are JSON there, and anything else says so."""
    monkeypatch.setenv("EQWATCH_BENCHMARK_ITEMS", '["tutoring", "companion"]')
    assert load_settings().benchmark.items == ("tutoring", "companion")
    monkeypatch.setenv("EQWATCH_BENCHMARK_ITEMS", "tutoring,companion")
    with pytest.raises(ConfigurationError, match="as JSON"):
        load_settings()


def test_durations_read_as_people_write_them(tmp_path: Path) -> None:
    """1h30m is ninety minutes."""
    settings = load_settings(written(tmp_path, '[benchmark]\ninterval = "1h30m"\n'))
    assert settings.benchmark.interval == timedelta(minutes=90)


def test_nothing_is_sampled_before_a_purpose_is_stated() -> None:
    """A deployment without a purpose is not sampled, whatever its rate."""
    settings = load_settings(None, {"deployments": [{"name": "a", "kind": "tutoring", "sample_rate": 1}]})
    assert not settings.deployments[0].sampled
    assert settings.deployments[0].emotions == ("Confusion", "Boredom", "Frustration", "Curiosity")


_TWO = """
[upstream]
url = "http://llm:8000/v1"
[judge]
model = "big"
%s
[[deployments]]
name = "tutor"
%s
"""


@pytest.mark.parametrize("deployment", ['model = "big"', 'match = { models = ["big"] }'])
def test_a_model_can_not_be_its_own_reference(tmp_path: Path, deployment: str) -> None:
    """Same name at the same place is refused, with both names; another place is another model."""
    with pytest.raises(ConfigurationError, match=r"'big' is the model under test of deployment 'tutor'.*can't check"):
        load_settings(written(tmp_path, _TWO % ("", deployment)))
    with pytest.raises(ConfigurationError, match="can't check itself"):
        load_settings(written(tmp_path, _TWO % ('url = "http://llm:8000/v1/"', deployment)))
    with pytest.raises(ConfigurationError, match="can't check itself"):
        load_settings(written(tmp_path, _TWO % ('url = "http://LLM:8000"', deployment)))
    load_settings(written(tmp_path, _TWO % ('url = "http://elsewhere"', deployment)))
    load_settings(written(tmp_path, _TWO % ("", 'model = "small"')))


def test_a_reference_that_is_named_has_to_be_set(tmp_path: Path) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigurationError, match=r"set \[judge\] model"):
        load_settings(written(tmp_path, '[[deployments]]\nname = "tutor"\njudges = ["reference"]\n'))


def test_a_window_has_to_hold_what_drift_needs(tmp_path: Path) -> None:
    """Else nothing would ever be said."""
    with pytest.raises(ConfigurationError, match="least_conversations 200 is above window_conversations 100"):
        load_settings(written(tmp_path, "[emotions]\nwindow_conversations = 100\n"))


@pytest.mark.parametrize(
    ("variable", "value"), [("EQWATCH_BENCHMARK_INTERVALL", "1h"), ("EQWATCH_BENCHMARK_BATCH", "many")]
)
def test_what_is_wrong_in_the_environment_is_named_by_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt name and a wrong value are found where they were set."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"environment variable {variable}, benchmark"):
        load_settings(None, {})
