"""`eqwatch score`."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.errors import EqwatchError

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


Score = Callable[..., str]


@pytest.fixture
def score(in_process: Callable[..., str]) -> Score:
    return functools.partial(in_process, "score")


def json_of(score: Score, *arguments: object) -> dict[str, Any]:
    return json.loads(score(*arguments, "--json"))


@pytest.mark.parametrize("name", REPLAYS)
def test_replay_files_give_their_score(score: Score, eqbench_dir: Path, name: str) -> None:
    """Each recorded model gets the score that was recomputed for it, to 0.01, with as many readable items."""
    file = eqbench_dir / "replay" / f"{name}.json"
    items = eqbench_dir / "eq_bench_v2_questions_171.json"
    expected = json.loads(file.read_text())
    result = json_of(score, "--items", items, "--answers", file)
    assert result["score"] == pytest.approx(expected["recomputed_score"], abs=0.0100001)
    assert result["parseable"] == expected["recomputed_parseable"]
    assert (result["items"], result["valid"], result["scoring_profile"]) == (171, True, "official")
    assert len(result["item_scores"]) == 171
    assert sum(result["outcomes"].values()) == 171


def test_lines_and_profiles(score: Score, strong: Path, tmp_path: Path) -> None:
    """JSON lines score like a replay file, and another profile reads the same answers its own way."""
    recorded = json.loads(strong.read_text())["raw_inference"]
    lines = tmp_path / "answers.jsonl"
    lines.write_text("\n".join(json.dumps({"id": name, "text": text}) for name, text in recorded.items()))
    by_lines = json_of(score, "--items", "marketing", "--answers", lines)
    assert by_lines == json_of(score, "--items", "marketing", "--answers", strong)
    assert by_lines["parseable"] == 3
    assert by_lines["valid"] is False
    assert by_lines["item_scores"]["marketing-002b"] is None
    strict = json_of(score, "--items", "marketing", "--answers", strong, "--scoring-profile", "lm-eval")
    assert strict["scoring_profile"] == "lm-eval"
    assert strict["score"] < by_lines["score"]  # what is unreadable or missing counts as 0 there


def test_tables(score: Score, strong: Path) -> None:
    """Without --json it prints each item, each outcome with its count, the score, and that it is not valid."""
    output = score("--items", "marketing", "--answers", strong)
    for expected in ("marketing-001a", "missing", "unparseable", "3 of ", "not valid", "profile tolerant"):
        assert expected in output


def test_unknown_items(score: Score, strong: Path) -> None:
    """Answers to another set are refused by name."""
    with pytest.raises(EqwatchError, match=r"4 answered items are not in tutoring \(marketing-001a, "):
        score("--items", "tutoring", "--answers", strong)


def test_contradiction(score: Score, strong: Path) -> None:
    """A wish that contradicts the recording is refused."""
    with pytest.raises(EqwatchError, match="--revise contradicts"):
        score("--items", "marketing", "--answers", strong, "--revise")


def test_wrong_profile(score: Score, strong: Path) -> None:
    """An unknown profile lists the known ones."""
    with pytest.raises(EqwatchError, match="official, lm-eval, tolerant"):
        score("--items", "marketing", "--answers", strong, "--scoring-profile", "kind")
