"""The official data: every golden vector and every replayed model. Skips, saying why, where it is not at hand."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from scorer import Answer, ItemSet, ScoredItem, aggregate, outcome_of, parse, parse_official, score_item, score_recorded
from scorer.items import Version
from scorer.prompts import Language, compose, without_revision

_FILES: dict[tuple[Version, Language], str] = {
    ("v1", "en"): "eq_bench_v1_questions_60.json",
    ("v2", "en"): "eq_bench_v2_questions_171.json",
    ("v2", "de"): "eq_bench_v2_questions_171_de.json",
}


@pytest.fixture(scope="module")
def sets(eqbench_dir: Path) -> dict[tuple[str, str], ItemSet]:
    found: dict[tuple[str, str], ItemSet] = {}
    for (version, language), name in _FILES.items():
        data = json.loads((eqbench_dir / name).read_text())
        found[version, language] = parse_official(data, name=name, version=version, language=language, sha256="")
    return found


def _load(eqbench_dir: Path, name: str) -> Any:
    return json.loads((eqbench_dir / name).read_text())


def test_every_golden_text_is_accepted_and_scored_as_the_original_does(
    eqbench_dir: Path, sets: dict[tuple[str, str], ItemSet]
) -> None:
    """432 texts, synthetic and real, give the original's scores to the last bit, and its refusals."""
    cases = _load(eqbench_dir, "golden_items.json")
    assert len(cases) == 432
    wrong = []
    for case in cases:
        item_set = sets[case["version"], case["language"]]
        item = item_set.by_id[case["question_id"]]
        got = outcome_of(item, case["model_text"], item_set=item_set, profile="official", revise=case["revise"])
        accepted = case["pipeline_accepts"] or case["pipeline_keeps_partial_on_last_retry"]
        first, revised = (case["score_first"], case["score_revised"]) if accepted else (None, None)
        if (got.accepted, got.first, got.revised) != (accepted, first, revised):
            wrong.append((case["id"], case["category"], got))
    assert wrong == []


def test_every_golden_answer_has_the_original_score(eqbench_dir: Path, sets: dict[tuple[str, str], ItemSet]) -> None:
    """360 numeric answers, in range and out of it, score to the last bit as the original does."""
    cases = _load(eqbench_dir, "golden_scores.json")
    assert len(cases) == 360
    wrong = []
    for case in cases:
        item = sets[case["version"], "en"].by_id[case["question_id"]]
        answer = dict(zip(item.emotions, map(float, case["answers"]), strict=True))
        if score_item(item, answer, case["version"]) != case["score"]:
            wrong.append(case)
    assert wrong == []


def test_every_golden_run_is_aggregated_as_the_original_does(eqbench_dir: Path) -> None:
    """28 runs give the original's score, parseable count, validity and, per iteration, both passes."""
    cases = _load(eqbench_dir, "golden_runs.json")
    assert len(cases) == 28
    for case in cases:
        iterations = [
            None if given is None else {key: ScoredItem(a, b, True, None, "scored") for key, (a, b) in given.items()}
            for given in case["iterations"]
        ]
        got = aggregate(iterations, case["n_questions"], "official")
        want = case["official"]
        assert (got.points, got.parseable, got.valid) == (want["score"], want["parseable"], want["success"]), case[
            "name"
        ]
        for mine, official in zip(got.iterations, want["per_iteration"], strict=True):
            if official is None:
                assert mine is None
                continue
            assert mine is not None
            assert mine.first_points == official["first_pass_score"]
            assert mine.first_parseable == official["first_pass_parseable"]
            assert mine.revised_points == official["revised_score"]
            assert mine.revised_parseable == official["revised_parseable"]
            assert mine.points == official["final_score"]
            assert mine.parseable == official["final_parseable"]


def test_every_prompt_has_the_official_hash_with_and_without_revision(
    eqbench_dir: Path, sets: dict[tuple[str, str], ItemSet]
) -> None:
    """402 prompts, as stored and with the revision part removed, are the official bytes."""
    cases = _load(eqbench_dir, "golden_prompts.json")
    assert len(cases) == 402
    for case in cases:
        prompt = sets[case["version"], case["language"]].by_id[case["question_id"]].prompt
        assert hashlib.sha256(prompt.encode()).hexdigest() == case["prompt_sha256"]
        short = without_revision(prompt, case["language"])
        assert hashlib.sha256(short.encode()).hexdigest() == case["norevise_sha256"]


def test_our_template_is_the_official_one(sets: dict[tuple[str, str], ItemSet]) -> None:
    """Composing an official English item's dialogue again gives its stored prompt, wherever the subject can be read."""
    for version in ("v1", "v2"):
        items = [item for item in sets[version, "en"].items if item.subject]
        assert len(items) >= len(sets[version, "en"].items) - 1
        for item in items:
            assert compose(item.dialogue, item.subject, item.emotions, language="en") == item.prompt


@pytest.mark.parametrize("language", ["en", "de"])
def test_clusters_are_the_dialogues_in_every_translation(
    language: str, eqbench_dir: Path, sets: dict[tuple[str, str], ItemSet]
) -> None:
    """The 171 items fall into the 50 dialogues that they come from."""
    known = _load(eqbench_dir, "v2_dialogue_clusters.json")
    pairs = {(item.cluster, known[item.id]) for item in sets["v2", language].items}
    assert len(pairs) == len({cluster for cluster, _ in pairs}) == 50


_REPLAYS = 12


@pytest.fixture(scope="module")
def replays(eqbench_dir: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((eqbench_dir / "replay").glob("*.json"))]
    assert len(found) == _REPLAYS
    return found


@pytest.mark.parametrize("index", range(_REPLAYS))
def test_a_replayed_model_has_its_recomputed_score(
    index: int, replays: list[dict[str, Any]], sets: dict[tuple[str, str], ItemSet]
) -> None:
    """A real model's recorded answers give the recomputed score to 0.01 and its parseable count."""
    recording = replays[index]
    got = score_recorded(sets["v2", "en"], recording["raw_inference"], profile="official", revise=recording["revise"])
    assert got.points == pytest.approx(recording["recomputed_score"], abs=0.01)
    assert got.parseable == recording["recomputed_parseable"]


def test_tolerant_agrees_with_official_on_real_texts_but_where_it_is_wrong(
    replays: list[dict[str, Any]], sets: dict[tuple[str, str], ItemSet]
) -> None:
    """Of the real answers only those with decimals, other scales or an invented continuation are read differently."""
    texts = different = 0
    for recording in replays:
        for item_id, text in recording["raw_inference"].items():
            emotions = sets["v2", "en"].by_id[item_id].emotions
            official = parse(text, emotions, profile="official", revise=recording["revise"])
            tolerant = parse(text, emotions, profile="tolerant", revise=recording["revise"])
            texts += 1
            if isinstance(official, Answer):
                assert isinstance(tolerant, Answer), (recording["model"], item_id)
                different += (official.first, official.revised) != (tolerant.first, tolerant.revised)
    assert texts == 2016
    assert different == 12
