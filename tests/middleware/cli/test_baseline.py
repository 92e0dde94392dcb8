"""`eqwatch baseline`: made by asking, from the store or from files; listed, compared, accepted, carried elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.item_sets import load
from middleware.errors import ConfigurationError
from middleware.store import Store

REPLAY = Path(__file__).resolve().parents[3] / "examples" / "replay"
STRONG, WEAK = REPLAY / "scripted-strong.json", REPLAY / "scripted-weak.json"
Cli = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, Path]:
    return "--data-dir", tmp_path / "data"


@pytest.fixture
def upstream(fake_upstream: Cli) -> Any:
    with fake_upstream(
        *("--items", "starter", "--noise", "low"),
        *("--replay", f"strong={STRONG}", "--replay", f"weak={WEAK}"),
    ) as url:
        yield url


def create(in_process: Cli, data: tuple[str, Path], *arguments: object, exit_code: int = 0) -> str:
    return str(in_process("baseline", "create", "--items", "starter", *arguments, *data, exit_code=exit_code))


def listed(in_process: Cli, data: tuple[str, Path]) -> list[dict[str, Any]]:
    return list(json.loads(in_process("baseline", "list", "--json", *data)))


def test_asked_listed_accepted_compared(eqwatch: Cli, in_process: Cli, data: tuple[str, Path], upstream: str) -> None:
    """Two versions of a model: the first accepted one stays the reference of record, and the difference is told."""
    common = ("--items", "starter", "--upstream", upstream, "--passes", 5, "--json", *data)
    made = eqwatch("baseline", "create", "--model", "strong", "--accept", *common)
    assert made.returncode == 0, made.stderr
    assert "answers" in made.stderr, "progress is shown"
    first = json.loads(made.stdout)
    assert (first["passes"], first["items"], first["in_force"], first["reference"]) == (5, 24, True, True)
    second = json.loads(eqwatch("baseline", "create", "--model", "weak", *common).stdout)
    assert (second["accepted_at"], second["in_force"], second["version"]) == (None, False, 2)
    text = in_process("baseline", "accept", second["id"], *data)
    assert "in force" in text
    assert "against baseline 1 (strong)" in text
    rows = listed(in_process, data)
    assert [(row["model"], row["in_force"], row["reference"]) for row in rows] == [
        ("strong", False, True),
        ("weak", True, False),
    ]
    found = json.loads(in_process("baseline", "compare", 1, 2, "--json", *data))
    assert found["upper"] < -5
    assert found["points"] == pytest.approx(second["score"] - first["score"], abs=1e-6)
    table = in_process("baseline", "list", *data)
    assert "reference" in table
    assert "in force" in table
    with_reference = in_process("baseline", "accept", 2, "--reference", *data)
    assert "reference of record" in with_reference


def test_files_make_one_too_and_it_travels(in_process: Cli, data: tuple[str, Path], tmp_path: Path) -> None:
    """Recorded answers, a file each pass; exported from one installation and imported into another one."""
    files = [argument for _ in range(5) for argument in ("--answers", STRONG)]
    made = json.loads(create(in_process, data, *files, "--json"))
    assert (made["passes"], made["run_sd_points"], made["accepted_at"]) == (5, 0.0, None)
    document = tmp_path / "baseline.json"
    in_process("baseline", "export", 1, "--output", document, *data)
    elsewhere = ("--data-dir", tmp_path / "elsewhere")
    taken = json.loads(in_process("baseline", "import", document, "--deployment", "tutor", "--json", *elsewhere))
    assert (taken["digest"], taken["deployment"], taken["source"]) == (made["digest"], "tutor", "imported")
    assert taken["accepted_at"] is None
    printed = json.loads(in_process("baseline", "export", 1, *elsewhere))
    assert printed["value"] == json.loads(document.read_text())["value"]
    assert "not accepted" in in_process("baseline", "show", 1, *elsewhere)


def test_runs_in_the_store_make_one(eqwatch: Cli, in_process: Cli, data: tuple[str, Path], upstream: str) -> None:
    """Passes that were asked before need not be asked again; runs of other models are not mixed in."""
    for model, passes in (("strong", 5), ("weak", 1)):
        asked = ["run", "--upstream", upstream, "--model", model, "--items", "starter", "--passes", passes]
        told = eqwatch(*asked, *data)
        assert told.returncode == 0, told.stderr
    store = Store(f"sqlite:///{data[1] / 'eqwatch.db'}")
    store.open()
    runs = {run.model: run.id for run in store.runs()}
    store.close()
    made = json.loads(create(in_process, data, "--run", runs["strong"], "--json"))
    assert (made["passes"], made["model"], made["items"]) == (5, "strong", 24)
    again = ("--from-store", "--deployment", "manual", "--model", "strong", "--json")
    assert json.loads(create(in_process, data, *again))["digest"] == made["digest"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--answers", STRONG), "at least 5 whole passes and 1"),
        (("--run", "nothing"), "no such run"),
        (("--from-store", "--model", "m"), "no run of 'default'"),
        (("--from-store", "--answers", STRONG), "exclude one another"),
        (("--upstream", "http://127.0.0.1:1"), "no model"),
    ],
)
def test_what_makes_none_is_said(eqwatch: Cli, data: tuple[str, Path], arguments: Any, words: str) -> None:
    """Exit code 2, with the reason and nothing saved."""
    ended = eqwatch("baseline", "create", "--items", "starter", *arguments, *data)
    assert ended.returncode == 2, ended.stdout
    assert words in " ".join(ended.stderr.split())


def test_other_protocols_are_refused_by_field(
    eqwatch: Cli, in_process: Cli, data: tuple[str, Path], tmp_path: Path
) -> None:
    """Neither compared with each other nor put in force under settings that ask otherwise."""
    files = [argument for _ in range(5) for argument in ("--answers", STRONG)]
    warm = tmp_path / "warm.toml"
    warm.write_text('[benchmark]\nmodel = "m"\nitems = ["starter"]\ntemperature = 0.7\n')
    create(in_process, data, *files)
    create(in_process, data, *files, "--config", warm)
    compared = eqwatch("baseline", "compare", 1, 2, *data)
    assert compared.returncode == 2
    assert "temperature is 0.01 and 0.7" in " ".join(compared.stderr.split())
    refused = eqwatch("baseline", "accept", 1, "--config", warm, *data)
    assert refused.returncode == 2
    assert "temperature is 0.01 and 0.7" in " ".join(refused.stderr.split())
    assert eqwatch("baseline", "accept", 2, "--config", warm, *data).returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digest": "0" * 64}, "it was changed"),
        ({"eqwatch_baseline": 9}, "format 9"),
        ({"model": None}, "model:"),
        ({"value": {"schema": 9}}, "schema 9"),
    ],
)
def test_a_document_that_was_changed_is_refused(
    eqwatch: Cli, in_process: Cli, data: tuple[str, Path], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """File, field and reason are named."""
    create(in_process, data, *[argument for _ in range(5) for argument in ("--answers", STRONG)])
    document = json.loads(in_process("baseline", "export", 1, *data))
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(document | change))
    refused = eqwatch("baseline", "import", file, *data)
    assert refused.returncode == 2
    assert words in " ".join(refused.stderr.split())
    assert "changed.json" in refused.stderr.replace("\n", "")
    assert listed(in_process, data)[0]["id"] == 1


def test_an_unknown_id_is_wrong_use(eqwatch: Cli, data: tuple[str, Path]) -> None:
    """It says where ids are."""
    for command in ("show", "accept", "export"):
        ended = eqwatch("baseline", command, 7, *data)
        assert (ended.returncode, "eqwatch baseline list" in ended.stderr) == (2, True)


def test_degenerate_answers_make_no_baseline(in_process: Cli, data: tuple[str, Path], tmp_path: Path) -> None:
    """One answer to everything can't be frozen: later answers would be compared with nothing."""
    items = load("starter", tmp_path).items
    texts = {item.id: "\n".join(f"{name}: 5" for name in item.emotions) for item in items}
    file = tmp_path / "constant.json"
    file.write_text(json.dumps({"model": "constant", "revise": False, "raw_inference": texts}))
    with pytest.raises(ConfigurationError, match="no baseline can be made of these answers"):
        create(in_process, data, *(argument for _ in range(5) for argument in ("--answers", file)))
    assert listed(in_process, data) == []


def test_a_model_that_says_one_thing_makes_no_baseline(
    eqwatch: Cli, in_process: Cli, data: tuple[str, Path], fake_upstream: Cli, tmp_path: Path
) -> None:
    """The same for answers that are asked for, and for those that are in the store already; the runs are kept."""
    script = tmp_path / "script.json"
    emotions = {name for item in load("starter", tmp_path).items for name in item.emotions}
    rule = {"when": "likely emotional", "benchmark": True, "scores": dict.fromkeys(sorted(emotions), 4)}
    script.write_text(json.dumps({"models": ["flat"], "rules": [rule], "default": ["Hm."]}))
    common = ("baseline", "create", "--items", "starter", "--model", "flat", *data)
    with fake_upstream("--script", script) as url:
        made = eqwatch(*common, "--upstream", url, "--passes", 5)
    assert made.returncode == 2
    assert "say nothing about the items" in made.stderr
    assert listed(in_process, data) == []
