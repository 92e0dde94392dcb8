"""Files of recorded answers, in both shapes, and their score."""

import json
from pathlib import Path

import pytest

from middleware.benchmark.answers import AnswersError, read_answers
from middleware.benchmark.recorded import score_answers
from scorer.items import ItemSet

PERFECT = "Joy: 7\nAnger: 0\nFear: 1\nPride: 8"


def written(tmp_path: Path, *lines: object) -> Path:
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return file


def test_lines(tmp_path: Path) -> None:
    """Lines of id and text are one pass; blank lines don't count; ids may be numbers."""
    answers = read_answers(written(tmp_path, {"id": 1, "text": "a"}, "", {"id": "2", "text": "b\u2028c"}))
    assert [{name: answer.text for name, answer in each.items()} for each in answers.passes] == [
        {"1": "a", "2": "b\u2028c"}
    ]
    assert (answers.revise, answers.model) == (None, "answers")


def test_repetitions(tmp_path: Path) -> None:
    """Repetitions are passes, and one without answers stays empty."""
    file = written(
        tmp_path, {"id": "1", "text": "a", "repetition": 2, "finish_reason": "length"}, {"id": "1", "text": "b"}
    )
    passes = read_answers(file).passes
    assert [len(each) for each in passes] == [1, 0, 1]
    assert passes[2]["1"].finish_reason == "length"


def test_replay_file(tmp_path: Path) -> None:
    """A replay object says which model answered and whether with revision."""
    answers = read_answers(written(tmp_path, {"model": "org/m", "revise": True, "raw_inference": {"1": "a"}}))
    assert (answers.model, answers.revise, answers.passes[0]["1"].text) == ("org/m", True, "a")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "holds no answers"),
        (["not json"], "line 1 is not JSON"),
        (["[" * 10_000], "line 1 is not JSON"),
        ([{"id": "1", "text": "a"}, {"id": "1", "text": "b"}], "line 2: item '1' is there twice"),
        ([{"id": "1"}], "line 1: an answer is an object"),
        ([{"text": "a"}], "line 1: an answer is an object"),
        ([{"id": "1", "text": 7}], "line 1: an answer is an object"),
        ([[1, 2]], "line 1: an answer is an object"),
        ([{"id": "1", "text": "a", "repetition": -1}], "repetition must be"),
        ([{"id": "1", "text": "a", "repetition": True}], "repetition must be"),
        ([{"id": "1", "text": "a", "repetition": 10**9}], "repetition must be"),
        ([{"raw_inference": []}], "raw_inference must be"),
        ([{"raw_inference": {"1": None}}], "raw_inference must be"),
        ([{"raw_inference": {"1": "a"}, "revise": "yes"}], "revise must be"),
    ],
)
def test_wrong_files(tmp_path: Path, lines: list[object], why: str) -> None:
    """A file that can't be used is refused with the line and the reason."""
    with pytest.raises(AnswersError, match=why):
        read_answers(written(tmp_path, *lines))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are refused."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for file, why in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory"), (binary, "not UTF-8")):
        with pytest.raises(AnswersError, match=why):
            read_answers(file)


def test_missing_is_not_zero(tmp_path: Path, small_set: ItemSet) -> None:
    """Items without an answer are missing: they lower the readable share and not the score."""
    lines = [{"id": f"i{number}", "text": PERFECT} for number in range(10)]
    score = score_answers(small_set, read_answers(written(tmp_path, *lines)), profile="tolerant", revise=False)
    assert (score.points, round(score.parseable), score.items, score.valid) == (100.0, 10, 20, False)
    assert score.outcomes == {"scored": 10, "missing": 10}
    assert score.item_points["i19"] is None


def test_unknown_ids_are_refused(tmp_path: Path, small_set: ItemSet) -> None:
    """Answers to items that the set does not have mean that another set was asked."""
    recorded = read_answers(written(tmp_path, {"id": "i1", "text": PERFECT}, {"id": "172", "text": PERFECT}))
    with pytest.raises(AnswersError, match=r"1 answered items are not in small \(172\)"):
        score_answers(small_set, recorded, profile="tolerant", revise=False)


def test_finish_reason_is_used(tmp_path: Path, small_set: ItemSet) -> None:
    """An answer that was cut off is told from one that holds nothing."""
    file = written(
        tmp_path, {"id": "i1", "text": "Joy: 7\nAng", "finish_reason": "length"}, {"id": "i2", "text": "Joy: 7"}
    )
    score = score_answers(small_set, read_answers(file), profile="tolerant", revise=False)
    assert score.outcomes == {"truncated": 1, "unparseable": 1, "missing": 18}
