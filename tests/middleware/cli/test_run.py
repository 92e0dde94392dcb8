"""`eqwatch run` against `eqwatch fake-upstream`: real processes over loopback."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from middleware.benchmark.item_sets import load
from middleware.errors import EqwatchError, UpstreamError
from middleware.store import Store

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers
KEY = "sk-canary-4711"
REPLAYS = (
    "01-ai__Yi-6B-Chat",
    "DiscoResearch__DiscoLM-120b",
    "NousResearch__Llama-2-7b-chat-hf",
    "gemini-pro",
    "gpt-3.5-turbo-0301",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-16k-0613",
    "gpt-4-1106-preview",
    "huggingfaceh4__zephyr-7b-beta",
    "stabilityai__stablelm-2-zephyr-1_6b",
    "vince62s__phi-2-psy",
    "zyh3826__GML-Mistral-merged-v1",
)


@pytest.fixture(scope="module")
def twelve_models(eqbench_dir: Path, fake_upstream: Callable[..., Any]) -> Iterator[str]:
    """One fake upstream that serves all recorded models."""
    replays = [("--replay", f"{name}={eqbench_dir / 'replay' / name}.json") for name in REPLAYS]
    items = eqbench_dir / "eq_bench_v2_questions_171.json"
    with fake_upstream("--items", items, *(argument for pair in replays for argument in pair)) as url:
        yield url


def stats(url: str) -> dict[str, Any]:
    return httpx2.get(url.removesuffix("/v1") + "/-/stats").json()


@pytest.mark.parametrize("name", REPLAYS)
def test_recorded_models_give_their_score(
    eqwatch: Eqwatch, twelve_models: str, eqbench_dir: Path, tmp_path: Path, name: str
) -> None:
    """A full run against each recorded model measures the score that was recomputed for it, to 0.01."""
    expected = json.loads((eqbench_dir / "replay" / f"{name}.json").read_text())
    revise = ["--revise"] if expected["revise"] else []
    result = eqwatch(
        "run",
        *("--upstream", twelve_models, "--model", name),
        *("--items", eqbench_dir / "eq_bench_v2_questions_171.json", "--data-dir", tmp_path, "--json"),
        *revise,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["score"] == pytest.approx(expected["recomputed_score"], abs=0.0100001)
    assert report["parseable"] == expected["recomputed_parseable"]
    assert (report["items"], report["valid"], report["scoring_profile"]) == (171, True, "official")
    assert sum(report["outcomes"].values()) == 171
    assert report["tokens"]["total"] == report["tokens"]["prompt"] + report["tokens"]["completion"] > 60_000
    assert report["answered_models"] == [name]


def test_tables_and_failures(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], strong: Path, tmp_path: Path) -> None:
    """Without --json it shows progress, failures with examples, outcomes, score and cost; the key is nowhere."""
    with fake_upstream("--items", "starter", "--replay", f"strong={strong}") as url:
        result = eqwatch(
            *("run", "--upstream", url, "--model", "strong", "--items", "marketing", "--data-dir", tmp_path),
            EQWATCH_UPSTREAM_API_KEY=KEY,
            HTTP_PROXY="http://127.0.0.1:9",
        )
    assert result.returncode == 0, result.stderr
    for expected in ("unparseable: no_scores", "such as", "outcome", "points (100 = perfect)", "not valid", "tokens"):
        assert expected in result.stdout
    assert "answers" in result.stderr
    assert KEY not in result.stdout + result.stderr
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in kept


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_killed_run_goes_on(
    eqwatch: Eqwatch,
    start_eqwatch: Callable[..., Any],
    fake_upstream: Callable[..., Any],
    strong: Path,
    tmp_path: Path,
    kill: signal.Signals,
) -> None:
    """A run that is interrupted or killed keeps what it has; the same command asks only the rest."""
    # The third call hangs, so that the run can't end before it is killed.
    slow = ("--latency", 150, "--fault", "hang:every=3,first=3")
    with fake_upstream("--items", "starter", "--replay", f"strong={strong}", *slow) as url:
        command = ("run", "--upstream", url, "--model", "strong", "--data-dir", tmp_path, "--concurrency", 2, "--json")
        with start_eqwatch(*command) as process:
            assert "answers" in process.stderr.readline()  # a tenth is done and saved
            process.send_signal(kill)
            _, errors = process.communicate(timeout=60)
        if kill is signal.SIGINT:
            assert process.returncode == 130
            assert "the same command goes on" in errors
        asked_before = stats(url)["requests"]
        result = eqwatch(*command)
        asked = stats(url)["requests"] - asked_before
    report = json.loads(result.stdout)
    assert "going on with run" in result.stderr
    assert asked < report["items"]
    # What the kill cut off: two calls, and two answers that waited to be saved.
    assert asked + asked_before <= report["items"] + 4
    assert sum(report["outcomes"].values()) == report["items"]
    assert "missing" not in report["outcomes"]


def test_fresh_run(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], strong: Path, tmp_path: Path) -> None:
    """A finished run is not continued: the same command begins a new one, over fewer items if so limited."""
    with fake_upstream("--items", "starter", "--replay", f"strong={strong}") as url:
        command = ("run", "--upstream", url, "--model", "strong", "--data-dir", tmp_path, "--json")
        reports = [json.loads(eqwatch(*command, "--limit", 6, "--passes", 2).stdout) for _ in range(2)]
        assert stats(url)["requests"] == 24
    assert [report["items"] for report in reports] == [6, 6]
    assert reports[0]["run_id"] != reports[1]["run_id"]
    assert {name.partition("-")[0] for name in reports[0]["item_scores"]} >= {"marketing", "tutoring", "companion"}


def test_structured_answers(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], strong: Path, tmp_path: Path) -> None:
    """Structured answers are asked for and read, under another protocol than text."""
    with fake_upstream("--items", "starter", "--replay", f"strong={strong}") as url:
        result = eqwatch(
            *("run", "--upstream", url, "--model", "strong", "--items", "marketing", "--answer-format", "json_schema"),
            *("--data-dir", tmp_path, "--json"),
        )
    report = json.loads(result.stdout)
    assert report["outcomes"]["scored"] == 3
    assert "json_schema" in report["protocol"]


def test_nothing_measured(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], tmp_path: Path) -> None:
    """An upstream that only fails gives exit code 4 and says what failed."""
    with fake_upstream("--fault", "hang") as url:
        command = ("run", "--upstream", url, "--model", "m", "--limit", 2, "--timeout", 3, "--json")
        result = eqwatch(*command, "--data-dir", tmp_path)
    assert result.returncode == 4
    assert json.loads(result.stdout)["outcomes"] == {"timeout": 2}
    assert "nothing was measured" in result.stderr


def test_nobody_there(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """An address where nothing listens gives exit code 4 and one line that names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = eqwatch("run", "--upstream", url, "--model", "m", "--data-dir", tmp_path)
    assert result.returncode == 4
    assert url in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "m"), "--upstream"),
        (("--upstream", "http://127.0.0.1:9"), "--model"),
        (("--upstream", "ftp://x", "--model", "m"), "upstream URL"),
        (("--upstream", "http://127.0.0.1:9", "--model", "m", "--items", "nothing"), "choose from bundled"),
        (("--upstream", "http://127.0.0.1:9", "--model", "m", "--answer-format", "xml"), "text or json_schema"),
        (("--upstream", "http://127.0.0.1:9", "--model", "m", "--scoring-profile", "x"), "tolerant"),
        (("--upstream", "http://127.0.0.1:9", "--model", "m", "--system-prompt", "/absent"), "--system-prompt"),
        (
            ("--upstream", "http://127.0.0.1:9", "--model", "m", "--answer-format", "json_schema", "--revise"),
            "no room for a critique",
        ),
    ],
)
def test_wrong_use(in_process: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """Wrong use is refused with the fix before anything is asked."""
    with pytest.raises(EqwatchError, match=expected) as caught:
        in_process("run", *arguments, "--data-dir", tmp_path)
    assert not isinstance(caught.value, UpstreamError)


def test_wrong_use_is_exit_code_two(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """Wrong use is one line on standard error and exit code 2."""
    result = eqwatch("run", "--model", "m", "--data-dir", tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "--upstream" in result.stderr


def test_degenerate_answers_are_flagged_not_averaged(
    eqwatch: Eqwatch, fake_upstream: Callable[..., Any], tmp_path: Path
) -> None:
    """A model that says the same to every item gets no score: in the output, in the JSON, in the store."""
    items = load("tutoring", tmp_path)
    answers = {item.id: "\n".join(f"{name}: {n + 2}" for n, name in enumerate(item.emotions)) for item in items.items}
    recording = tmp_path / "constant.json"
    recording.write_text(json.dumps({"model": "m", "revise": False, "raw_inference": answers}))
    with fake_upstream("--items", "tutoring", "--replay", f"m={recording}") as url:
        command = ("run", "--upstream", url, "--model", "m", "--items", "tutoring", "--data-dir", tmp_path)
        report = json.loads(eqwatch(*command, "--json").stdout)
        shown = eqwatch(*command).stdout
    assert (report["valid"], [flag["name"] for flag in report["flags"]]) == (False, ["constant"])
    assert report["outcomes"] == {"scored": 80}
    assert "degenerate: the same answer to 100 % of the items" in shown
    store = Store(f"sqlite:///{tmp_path / 'eqwatch.db'}")
    store.open()
    run = store.run(report["run_id"])
    store.close()
    assert run is not None
    assert (run.status, run.score_points, run.flags) == ("finished", None, ("the same answer to 100 % of the items",))
