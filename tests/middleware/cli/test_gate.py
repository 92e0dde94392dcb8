"""`eqwatch gate` against `eqwatch fake-upstream`: real processes, real models' recorded answers."""

import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest

from middleware.benchmark.fake_upstream.recordings import first_pass
from middleware.errors import EqwatchError, UpstreamError
from scorer.eqbench import outcome_of
from scorer.items import parse_official

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers
KEY, OTHER_KEY = "sk-canary-4711", "sk-canary-0815"
SUFFIXES = (".html", ".md", ".json", ".xml")
MODELS = ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-16k-0613", "gpt-4-1106-preview", "gpt-3.5-turbo-0301")


@pytest.fixture(scope="module")
def items(eqbench_dir: Path) -> Path:
    """The official English v2 items."""
    return eqbench_dir / "eq_bench_v2_questions_171.json"


@pytest.fixture(scope="module")
def models(eqbench_dir: Path, items: Path, fake_upstream: Callable[..., Any]) -> Iterator[str]:
    """One fake upstream that serves the recorded models without noise."""
    replays = [("--replay", f"{name}={eqbench_dir / 'replay' / name}.json") for name in MODELS]
    with fake_upstream("--items", items, *(argument for pair in replays for argument in pair)) as url:
        yield url


@pytest.fixture(scope="module")
def one_point_worse(eqbench_dir: Path, items: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """gpt-4-1106-preview, and the same with a random subset of items answered by gpt-3.5-turbo-0301: 1 point less."""
    official = parse_official(json.loads(items.read_text()), name="v2", version="v2", language="en", sha256="")
    strong, weak = (_first_passes(eqbench_dir, name) for name in (MODELS[2], MODELS[3]))

    def score(item_id: str, text: str) -> float:
        scored = outcome_of(official.by_id[item_id], text, item_set=official, profile="official", revise=False)
        return scored.first or 0.0

    order = list(strong)
    random.Random(2).shuffle(order)
    mixed, lost = dict(strong), 0.0
    for item_id in order:
        change = 10 * (score(item_id, weak[item_id]) - score(item_id, strong[item_id])) / len(strong)
        if lost + change >= -1.05:
            mixed[item_id], lost = weak[item_id], lost + change
        if lost <= -0.95:
            break
    assert -1.05 <= lost <= -0.95
    folder = tmp_path_factory.mktemp("one-point")
    for name, texts in (("before", strong), ("after", mixed)):
        recording = {"model": name, "revise": False, "raw_inference": texts}
        (folder / f"{name}.json").write_text(json.dumps(recording))
    return folder / "before.json", folder / "after.json"


def _first_passes(eqbench_dir: Path, name: str) -> dict[str, str]:
    recording = json.loads((eqbench_dir / "replay" / f"{name}.json").read_text())
    texts = recording["raw_inference"]
    return {item: first_pass(text) if recording["revise"] else text for item, text in texts.items()}


def stats(url: str) -> dict[str, Any]:
    return httpx2.get(url.removesuffix("/v1") + "/-/stats").json()


def test_same_weights_pass(eqwatch: Eqwatch, models: str, items: Path, tmp_path: Path) -> None:
    """The same weights behind two names pass at margin 2 after one pass, on these items and on new dialogues."""
    command = ("gate", "--upstream", models, "--baseline", MODELS[0], "--candidate", MODELS[1], "--items", items)
    result = eqwatch(*command, "--margin", 2, "--json", "--data-dir", tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["verdict"], report["declined"], report["passes"]) == ("pass", False, 1)
    assert -2 < report["these_items"]["lower"] < report["these_items"]["points"] < report["these_items"]["upper"]
    assert abs(report["these_items"]["points"] - (report["candidate"]["score"] - report["baseline"]["score"])) < 0.02
    assert (report["new_dialogues"]["verdict"], report["new_dialogues"]["dialogues"]) == ("pass", 50)
    assert "342 of 342 answers" in result.stderr


def test_regression_with_reports(eqwatch: Eqwatch, models: str, items: Path, tmp_path: Path) -> None:
    """A far weaker model is regressed at pass 1, exit code 1; every form of report says so and shows the worst ten."""
    files = [tmp_path / "out" / f"gate{suffix}" for suffix in (".html", ".md", ".json", ".xml")]
    result = eqwatch(
        *("gate", "--upstream", models, "--baseline", MODELS[2], "--candidate", MODELS[3], "--items", items),
        *(argument for file in files for argument in ("--report", file)),
        *("--data-dir", tmp_path),
        EQWATCH_UPSTREAM_API_KEY=KEY,
    )
    assert result.returncode == 1, result.stderr
    assert result.stdout.startswith("Regressed: the candidate is worse")
    html, markdown, as_json, junit = (file.read_text() for file in files)
    report = json.loads(as_json)
    assert (report["verdict"], report["passes"]) == ("regressed", 1)
    assert report["these_items"]["upper"] < -1
    assert len(report["worst"]) == 10
    worst_change = min(each["change"] for each in report["items"].values())
    assert report["worst"][0]["change"]["change"] == pytest.approx(worst_change, abs=0.001)
    suite = ET.fromstring(junit).find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    assert (suite.get("failures"), suite.find("testcase/failure").get("type")) == ("1", "regressed")
    for worst in report["worst"]:
        for side in ("baseline", "candidate"):
            text = worst[side]["text"]
            assert html.count(text) >= 1
            assert text in markdown
            assert text not in junit + result.stdout + result.stderr
    assert "<svg" in html
    assert "<script" not in html
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in kept + result.stdout.encode() + result.stderr.encode()


def test_one_point_at_mid_noise_is_undecided(
    eqwatch: Eqwatch, fake_upstream: Callable[..., Any], items: Path, one_point_worse: tuple[Path, Path], tmp_path: Path
) -> None:
    """A drop as large as the margin, at MID noise and with one pass, is undecided: exit 3, and what would decide it."""
    before, after = one_point_worse
    replays = ("--replay", f"before={before}", "--replay", f"after={after}")
    with fake_upstream("--items", items, *replays, "--noise", "mid", "--seed", 7) as url:
        result = eqwatch(
            *("gate", "--upstream", url, "--baseline", "before", "--candidate", "after", "--items", items),
            # One call at a time: the noise of an answer depends on its number, which then is the same in every run.
            *("--margin", 1, "--max-passes", 1, "--concurrency", 1, "--report", tmp_path / "gate.json"),
            *("--data-dir", tmp_path),
        )
    assert result.returncode == 3, result.stderr
    report = json.loads((tmp_path / "gate.json").read_text())
    assert report["verdict"] == "undecided"
    assert report["these_items"]["lower"] < -1 < 0 < report["these_items"]["upper"]
    needed = report["passes_to_decide"]
    assert f"--max-passes {needed or 4}" in result.stdout
    assert f"would have passed with --margin {-report['these_items']['lower']:.0f}"[:-1] in result.stdout


def test_killed_gate_goes_on(
    eqwatch: Eqwatch,
    start_eqwatch: Callable[..., Any],
    fake_upstream: Callable[..., Any],
    eqbench_dir: Path,
    items: Path,
    tmp_path: Path,
) -> None:
    """After kill -9 in the middle the same command goes on: nothing that was answered and saved is asked again."""
    replays = [("--replay", f"{name}={eqbench_dir / 'replay' / name}.json") for name in MODELS[2:]]
    flat = [argument for pair in replays for argument in pair]
    # The 60th call hangs, so that the gate can't end before it is killed.
    slow = ("--latency", 20, "--fault", "hang:every=60,first=60")
    with fake_upstream("--items", items, *flat, *slow) as url:
        command = ("gate", "--upstream", url, "--baseline", MODELS[2], "--candidate", MODELS[3], "--items", items)
        command += ("--data-dir", tmp_path, "--concurrency", 2, "--json")
        with start_eqwatch(*command) as process:
            assert "of 342 answers" in process.stderr.readline()  # a fifth is done and saved
            process.kill()
            process.communicate(timeout=60)
        before = stats(url)["model"]
        result = eqwatch(*command)
        asked = stats(url)["model"]
    assert result.returncode == 1, result.stderr
    assert "going on with gate-" in result.stderr
    assert min(before.values()) > 30
    # Lost with the process: two calls that were under way, and two answers that waited to be saved.
    assert sum(asked.values()) <= 2 * 171 + 4
    report = json.loads(result.stdout)
    assert report["baseline"]["outcomes"] == report["candidate"]["outcomes"] == {"scored": 171}
    assert report["baseline"]["score"] == pytest.approx(86.01, abs=0.02)


def test_each_upstream_gets_its_own_key(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """A refused key is wrong use, exit 2, and named; the baseline's key never goes to another upstream."""

    def asked(**keys: str) -> tuple[Any, set[str | None]]:
        """How a gate ended, and what the candidate's upstream saw of it, calls that were cut off included."""
        with refusing() as (ours, _), refusing() as (theirs, seen):
            versions = ("--baseline", "m", "--candidate", "m", "--data-dir", tmp_path)
            ended = eqwatch("gate", "--upstream", ours, "--candidate-upstream", theirs, *versions, **keys)
        return ended, set(seen)

    refused, seen = asked(EQWATCH_UPSTREAM_API_KEY=KEY)
    assert seen <= {None}
    _, seen = asked(EQWATCH_UPSTREAM_API_KEY=KEY, EQWATCH_CANDIDATE_API_KEY=OTHER_KEY)
    assert seen <= {f"Bearer {OTHER_KEY}"}
    assert refused.returncode == 4
    assert "_API_KEY" in refused.stderr
    assert KEY not in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_one_upstream_shares_the_key(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """Where both versions are behind one upstream, one key is enough; an own key of the candidate comes first."""
    with refusing(403) as (url, seen):
        command = ("gate", "--upstream", url, "--baseline", "a", "--candidate", "b", "--data-dir", tmp_path)
        assert eqwatch(*command, EQWATCH_UPSTREAM_API_KEY=KEY).returncode == 4
        assert set(seen) == {f"Bearer {KEY}"}


@contextmanager
def refusing(status: int = 401) -> Iterator[tuple[str, list[str | None]]]:
    """An upstream that refuses every key, and the Authorization headers that it saw."""
    seen: list[str | None] = []

    class Refusals(ThreadingHTTPServer):
        daemon_threads = False  # so that all of them are waited for at the end

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.headers["authorization"])
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with Refusals(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()
        thread.join()


def test_an_unknown_model_could_not_be_asked(eqwatch: Eqwatch, models: str, tmp_path: Path) -> None:
    """A model that the upstream does not know ends with exit code 4 and the name of the side, as `run` does."""
    command = ("gate", "--upstream", models, "--baseline", MODELS[0], "--candidate", "stranger", "--data-dir", tmp_path)
    result = eqwatch(*command)
    assert result.returncode == 4
    assert "candidate stranger" in result.stderr
    ran = eqwatch("run", "--upstream", models, "--model", "stranger", "--data-dir", tmp_path)
    assert ran.returncode == 4, ran.stderr


def test_dead_upstream(eqwatch: Eqwatch, models: str, tmp_path: Path) -> None:
    """A candidate's upstream where nothing listens is exit code 4; every form of report says what failed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = eqwatch(
            *("gate", "--upstream", models, "--candidate-upstream", dead, "--baseline", MODELS[0]),
            *("--candidate", "m", "--data-dir", tmp_path),
            *(argument for suffix in SUFFIXES for argument in ("--report", tmp_path / f"gate{suffix}")),
        )
    assert result.returncode == 4
    assert "candidate m" in result.stderr
    assert "Traceback" not in result.stderr
    texts = {suffix: (tmp_path / f"gate{suffix}").read_text() for suffix in SUFFIXES}
    assert all("Not measured" in text and "candidate m" in text for text in texts.values())
    assert json.loads(texts[".json"])["verdict"] == "unmeasured"
    suite = ET.fromstring(texts[".xml"]).find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    assert suite.get("errors") == "1"


def test_budget_ends_the_gate(eqwatch: Eqwatch, models: str, items: Path, tmp_path: Path) -> None:
    """Under a cap that is too small it is not measured (exit 4), nothing is overspent, and with more it goes on."""
    command = ("gate", "--upstream", models, "--baseline", MODELS[2], "--candidate", MODELS[3], "--items", items)
    command = (*command, "--data-dir", tmp_path, "--json")
    before = stats(models)["requests"]
    poor = eqwatch(*command, "--max-tokens-total", 40_000)
    report = json.loads(poor.stdout)
    assert (poor.returncode, report["verdict"]) == (4, "unmeasured")
    assert "used up" in report["reason"]
    assert "budget.tokens_per_run" in poor.stderr
    spent = sum(
        report[side][f"{kind}_tokens"] for side in ("baseline", "candidate") for kind in ("prompt", "completion")
    )
    assert 30_000 < spent <= 40_000
    asked = stats(models)["requests"] - before
    rich = eqwatch(*command)
    assert rich.returncode == 1, rich.stderr
    assert stats(models)["requests"] - before == 342
    assert 20 < asked < 342


def test_dry_run_asks_nothing(eqwatch: Eqwatch, models: str, items: Path, tmp_path: Path) -> None:
    """It says what one pass and all passes would take, and keeps no gate."""
    before = stats(models)["requests"]
    command = ("gate", "--upstream", models, "--baseline", MODELS[2], "--candidate", MODELS[3], "--items", items)
    result = eqwatch(*command, "--max-passes", 4, "--data-dir", tmp_path, "--dry-run", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert (plan["one_pass"]["calls"], plan["all_passes"]["calls"]) == (342, 1368)
    assert stats(models)["requests"] == before


def test_nothing_readable(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], strong: Path, tmp_path: Path) -> None:
    """Versions that answer without numbers can't be compared: exit code 4, and the report says why."""
    with fake_upstream("--items", "bundled", "--replay", f"a={strong}", "--replay", f"b={strong}") as url:
        result = eqwatch(
            *("gate", "--upstream", url, "--baseline", "a", "--candidate", "b", "--items", "tutoring"),
            *("--data-dir", tmp_path, "--json"),
        )
    report = json.loads(result.stdout)
    assert (result.returncode, report["verdict"]) == (4, "unmeasured")
    assert "readable pair" in report["explanation"]
    assert report["these_items"]["lower"] is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--baseline", "a", "--candidate", "b"), "--upstream"),
        (("--upstream", "ftp://x", "--baseline", "a", "--candidate", "b"), "upstream URL"),
        (("--upstream", "http://127.0.0.1:9", "--baseline", "a", "--candidate", "a"), "--candidate-upstream"),
        (("--upstream", "http://127.0.0.1:9", "--baseline", "a", "--candidate", "b", "--report", "gate.pdf"), "suffix"),
        (
            (
                "--upstream",
                "http://127.0.0.1:9",
                "--baseline",
                "a",
                "--candidate",
                "b",
                "--report",
                f"{__file__}/gate.md",
            ),
            "writable",
        ),
        (
            ("--upstream", "http://127.0.0.1:9", "--baseline", "a", "--candidate", "b", "--items", "nothing"),
            "choose from bundled",
        ),
        (
            ("--upstream", "http://127.0.0.1:9", "--baseline", "a", "--candidate", "b", "--answer-format", "x"),
            "json_schema",
        ),
    ],
)
def test_wrong_use(in_process: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """Wrong use is refused with the fix before anything is asked."""
    with pytest.raises(EqwatchError, match=expected) as caught:
        in_process("gate", *arguments, "--data-dir", tmp_path)
    assert not isinstance(caught.value, UpstreamError)
