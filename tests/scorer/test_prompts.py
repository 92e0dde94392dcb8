"""The composed question: what is sent, with and without the revision part, and the schema of a structured answer."""

import hashlib
import json

import jsonschema
import pytest

from scorer import Answer, Item, answer_schema, compose, parse, question
from scorer.prompts import PROMPT_VERSION, without_revision

_EMOTIONS = ("Proud", "Annoyed", "Calm", "Curious")
_DIALOGUE = "Ada: It works.\nBo: It does not."


def _item(language: str = "en") -> Item:
    prompt = compose(_DIALOGUE, "Ada", _EMOTIONS, language="de" if language == "de" else "en")
    return Item("1", _EMOTIONS, prompt, None, (1.0, 2.0, 3.0, 4.0))


def test_the_short_english_question_asks_for_one_pass() -> None:
    """Without revision there is no critique, no heading, and the question ends where the answer begins."""
    text = question(_item(), revise=False)
    assert text.startswith("\nYour task is to predict")
    assert text.endswith("\nYour answer:\n")
    assert text.count("Proud: <score>") == 1
    for gone in ("ritique", "evised", "First pass"):
        assert gone not in text


def test_the_short_german_question_asks_for_one_pass() -> None:
    """The German form is cut in the same way."""
    text = question(_item("de"), revise=False, language="de")
    assert text.endswith("\nIhre Antwort:\n")
    assert text.count("Proud: <Punktzahl>") == 1
    for gone in ("Kriti", "berarbeitete", "Erste Bewertung"):
        assert gone not in text


def test_v1_and_revision_send_the_stored_prompt() -> None:
    """v1 always asks for both passes."""
    item = _item()
    assert question(item, revise=True) == item.prompt
    assert question(item, revise=False, version="v1") == item.prompt
    assert "Revised scores:\nProud: <revised score>\n" in item.prompt


def test_the_dialogue_survives_the_cut() -> None:
    """Only template text is removed: the dialogue is in both forms, whole."""
    item = _item()
    assert _DIALOGUE in item.prompt
    assert _DIALOGUE in question(item, revise=False)


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("no template at all", "en"),
        ("no template at all", "de"),
        ("[End of answer] Critique: <your critique here>", "en"),
    ],
)
def test_a_prompt_without_the_template_is_refused(prompt: str, language: str) -> None:
    """The original would cut such a prompt at the wrong place and ask something else."""
    with pytest.raises(ValueError, match="the prompt has no"):
        without_revision(prompt, "de" if language == "de" else "en")


def test_a_structured_answer_follows_its_schema_and_is_read() -> None:
    """The schema admits exactly the emotions, 0..10, and the tolerant profile reads what it admits."""
    schema = answer_schema(_EMOTIONS)
    jsonschema.Draft202012Validator.check_schema(schema)
    good = {"Proud": 1, "Annoyed": 2.5, "Calm": 0, "Curious": 10}
    jsonschema.validate(good, schema)
    assert parse(json.dumps(good), _EMOTIONS, profile="tolerant") == Answer({k: float(v) for k, v in good.items()})
    for bad in ({**good, "Sad": 1}, {"Proud": 1}, {**good, "Calm": 11}, {**good, "Calm": -1}, {**good, "Calm": "3"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_the_prompt_version_stands_for_these_words() -> None:
    """Whoever changes the wording has to raise the version, and then this test: scores would not compare otherwise."""
    hashes = {language: hashlib.sha256(_item(language).prompt.encode()).hexdigest()[:16] for language in ("en", "de")}
    assert hashes == {"en": "f70f8903c20096ec", "de": "e758d7efd32d2863"}
    assert PROMPT_VERSION == "eqbench-2.1/1"
