"""The parts of the fake upstream that need no server: recordings, noise, fault plans, scripts."""

import json
from pathlib import Path

import numpy as np
import pytest

from middleware.benchmark.fake_upstream import (
    DEFAULT_SCRIPT,
    FaultPlan,
    Noise,
    PromptBook,
    parse_fault,
    read_recording,
    read_script,
)
from middleware.benchmark.fake_upstream.recordings import first_pass
from middleware.benchmark.fake_upstream.script import wanted_scores
from middleware.errors import ConfigurationError
from scorer.items import ItemSet
from scorer.prompts import answer_schema, question


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First pass scores:\nJoy: 1\n\nCritique: x\n\nRevised scores:\nJoy: 2", "Joy: 1"),
        ("First pass scores: \nJoy: 1\n\nRevised scores:\nJoy: 2", "Joy: 1"),
        ("Sure!\nFirst pass scores:\nJoy: 1\n\n**Critique:** x", "Joy: 1"),
        ("Erste Bewertung:\nFreude: 1\n\nKritik: x\n\nÜberarbeitete Bewertung:\nFreude: 2", "Freude: 1"),
        ("Joy: 1\nCritique: x", "Joy: 1"),
        ("Joy: 1", "Joy: 1"),
        ("", ""),
    ],
)
def test_first_pass(text: str, expected: str) -> None:
    """The first pass is what stands between its heading and the critique, in either language."""
    assert first_pass(text) == expected


def test_prompt_is_found_in_both_forms(small_set: ItemSet) -> None:
    """A prompt is recognised with and without the revision part, whatever a client did to its white space."""
    book, item = PromptBook([small_set]), small_set.items[5]
    assert len(book) == 20
    for revise in (False, True):
        prompt = question(item, revise=revise)
        assert book.find(prompt) == (item, revise)
        assert book.find(prompt.strip().replace("\n", "\r\n")) == (item, revise)
        assert book.find(prompt[:-30]) is None


def test_recording_from_a_replay_file(tmp_path: Path) -> None:
    """A replay file gives texts, whether they hold a revision, and a fingerprint that depends on its content."""
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"model": "m", "revise": True, "raw_inference": {"1": "Joy: 1"}}))
    recording = read_recording(file)
    assert (recording.revise, recording.answer("1", revise=True)) == (True, "Joy: 1")
    file.write_text(json.dumps({"model": "m", "revise": True, "raw_inference": {"1": "Joy: 2"}}))
    assert read_recording(file).fingerprint != recording.fingerprint


def test_noise_is_seeded() -> None:
    """The same seed and key give the same jitter; other keys and seeds give others; numbers stay within 0..10."""
    text, names = "Joy: 10\nAnger: 0\nPage: 5", ("Joy", "Anger")
    noise = Noise("high", seed=1)
    assert noise.apply(text, names, "a") == noise.apply(text, names, "a")
    variants = {noise.apply(text, names, str(key)) for key in range(50)}
    assert len(variants) > 5
    numbers = [int(line.split(": ")[1]) for variant in variants for line in variant.splitlines()]
    assert min(numbers) >= 0
    assert max(numbers) <= 10
    assert all(variant.endswith("Page: 5") for variant in variants)  # no emotion of the item


@pytest.mark.parametrize(("level", "changed"), [("low", 0.045), ("mid", 0.5), ("high", 0.7)])
def test_noise_levels(level: str, changed: float) -> None:
    """Low noise changes a few answers in a hundred, mid and high change most."""
    text = "Joy: 5\nAnger: 5\nFear: 5\nPride: 5"
    noise = Noise(level, seed=0)
    share = np.mean([noise.apply(text, ("Joy", "Anger", "Fear", "Pride"), str(key)) != text for key in range(500)])
    assert share >= changed * 0.5
    assert share <= (0.1 if level == "low" else 1.0)


def test_fault_plans() -> None:
    """Every N-th, the first N, a seeded share, and the first spec that strikes wins."""

    def plan(*specs: str, requests: int = 12, seed: int = 0) -> list[str]:
        faults = FaultPlan(tuple(parse_fault(spec) for spec in specs), seed=seed)
        return [fault.kind if (fault := faults.next()) else "" for _ in range(requests)]

    assert plan("500:every=4") == ["", "", "", "500"] * 3
    assert plan("429:first=2", "500:every=2")[:5] == ["429", "429", "", "500", ""]
    shares = plan("reset:0.25", requests=2000)
    assert 400 < shares.count("reset") < 600
    assert shares == plan("reset:share=0.25", requests=2000)
    assert shares != plan("reset:0.25", requests=2000, seed=1)
    assert plan() == [""] * 12


@pytest.mark.parametrize("spec", ["earthquake", "429:2", "429:often", "429:every=x", "hang:for=3", "500:share=-1", ""])
def test_wrong_fault(spec: str) -> None:
    """A fault that can't be read is refused and the message says how to write one."""
    with pytest.raises(ConfigurationError, match=r"choose from|write KIND"):
        parse_fault(spec)


def test_script_rules(tmp_path: Path) -> None:
    """The first rule that matches message and model answers; its replies follow the turns and start over."""
    file = tmp_path / "script.json"
    script = {
        "rules": [
            {"when": "refund", "model": "other", "replies": ["other"]},
            {"when": "REFUND|money back", "replies": ["one", "two"]},
            {"when": "how does", "scores": {"Joy": 9}},
        ],
        "default": ["fallback"],
    }
    file.write_text(json.dumps(script))
    loaded = read_script(file)

    def reply(*users: str, model: str = "m", wanted: tuple[str, ...] = (), as_json: bool = False) -> str:
        messages = [{"role": "user", "content": text} for text in users]
        return loaded.reply(messages, model=model, wanted=wanted, as_json=as_json)

    assert reply("A refund, please") == "one"
    assert reply("A", "refund") == "two"
    assert reply("A", "B", "refund") == "one"
    assert reply("refund", model="other") == "other"
    assert reply("Hello") == "fallback"
    assert reply("How does she feel?", wanted=("Joy",)) == "Joy: 9"
    assert json.loads(reply("How does she feel?", wanted=("Joy", "Fear"), as_json=True))["Joy"] == 9


@pytest.mark.parametrize(
    "content",
    ["", "{", "{}", '{"default": []}', '{"default": ["x"], "rules": [{"when": "("}]}', '{"default": ["x"], "x": 1}'],
)
def test_wrong_script(tmp_path: Path, content: str) -> None:
    """A script that can't be used is refused with the place of the mistake."""
    file = tmp_path / "script.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"--script .*script\.json: "):
        read_script(file)
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_script(tmp_path / "absent.json")


def test_wanted_scores(small_set: ItemSet) -> None:
    """Names come from the number fields of the schema, or from lines with a placeholder."""
    assert wanted_scores("anything", answer_schema(("Joy", "Fear"))) == ("Joy", "Fear")
    assert wanted_scores("Rate.\nJoy: <score>\n- **Fear**: [0-10]\nthen stop", None) == ("Joy", "Fear")
    assert wanted_scores("Joy: 3\nPlain words", None) == ()


def test_unknown_benchmark_prompt_is_not_guessed(small_set: ItemSet) -> None:
    """A benchmark prompt of a set that is not served gets prose: invented scores would look like a measurement."""
    prompt = question(small_set.items[0], revise=False)
    wanted = wanted_scores(prompt, None)
    text = DEFAULT_SCRIPT.reply([{"role": "user", "content": prompt}], model="m", wanted=wanted, as_json=False)
    assert wanted == small_set.items[0].emotions
    assert text in DEFAULT_SCRIPT.default
