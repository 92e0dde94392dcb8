"""The tolerant reading: many ways to write one answer, and each way to give none told apart."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Answer, Profile, Unparseable, parse

_EMOTIONS = ("Joy", "Anger", "Fear", "Hope")
_READ = Answer({"Joy": 1.0, "Anger": 2.0, "Fear": 3.0, "Hope": 4.0})
_LINES = "Joy: 1\nAnger: 2\nFear: 3\nHope: 4"
_NINES = "Joy: 9\nAnger: 9\nFear: 9\nHope: 9"
_JSON = '{"Joy": 1, "Anger": 2, "Fear": 3, "Hope": 4}'


def _read(text: str, *, revise: bool = False, finish_reason: str = "") -> Answer | Unparseable:
    return parse(text, _EMOTIONS, profile="tolerant", revise=revise, finish_reason=finish_reason)


def _each(line: str) -> str:
    return "\n".join(line.format(name=name, score=score) for score, name in enumerate(_EMOTIONS, start=1))


@pytest.mark.parametrize(
    "text",
    [
        _LINES,
        _LINES.upper(),
        _LINES.lower(),
        _LINES.replace("\n", "\r\n"),
        _LINES.replace("\n", ", "),
        _LINES.replace("\n", "<br>"),
        _LINES.replace(" ", "\u00a0"),
        _LINES.replace(":", ":\u200b"),
        _LINES.replace(": ", "\uff1a"),
        _LINES.replace(" ", "\n"),
        _LINES.replace("\n", ""),
        _each("{name}:{score}"),
        _each("{name} : {score}"),
        _each("{name} = {score}"),
        _each("{name} - {score}"),
        _each("{name} \u2014 {score}"),
        _each("{name} -> {score}"),
        _each("{name}\t{score}"),
        _each("{name}: +{score}"),
        _each("{name}: 0{score}"),
        _each("{name}: {score}.0"),
        _each("{name}: {score},0"),
        _each("{name}: {score}/10"),
        _each("{name}: {score} / 10"),
        _each("{name}: {score} out of 10"),
        _each("{name}: {score}0%"),
        _each("{name}: {score}0/100"),
        _each("{name} ({score}/10): he says so"),
        _each("{name} (0-10): {score}"),
        _each("{name}: {score} (they seem upset)"),
        _each("{name} score: {score}"),
        _each("{name}: score {score}"),
        _each("- {name}: {score}"),
        _each("* **{name}**: {score}"),
        _each("\u2022 {name}: {score}"),
        _each("{score}. {name}: {score}"),
        _each("**{name}:** {score}"),
        _each("**{name}**: {score}"),
        _each("**{name}: {score}**"),
        _each("{name}: **{score}**"),
        _each("{name}: **{score}**/10"),
        _each("***{name}*** : *{score}*"),
        _each("_{name}_: {score}"),
        _each("__{name}__: __{score}__"),
        _each("`{name}`: `{score}`"),
        _each('"{name}": {score}'),
        _each("<b>{name}</b>: <em>{score}</em>"),
        _each("\\textbf{{{name}}}: $\\boxed{{{score}}}$"),
        _each("{name}: [{score}]"),
        _each("{name}: <{score}>"),
        _each("### {name}\n{score}"),
        _each("feeling {name}: {score}"),
        "| Emotion | Score |\n|:---|---:|\n" + _each("| **{name}** | {score} |"),
        f"```\n{_LINES}\n```",
        f"Sure, here are my scores:\n\n{_LINES}\n\nThe character is hurt.",
        f"{_LINES}\nTotal: 10\nConfidence: 8",
        f"{_LINES}\nSurprise: 7",
        f"{_LINES}<|im_end|>\n<|im_start|>user\n{_NINES}",
        f"{_LINES}\n\n[End of answer]\n\nYour task is to predict\n{_NINES}",
        f"{_NINES}\n\nOn reflection:\n{_LINES}",
        f"First pass scores:\n{_NINES}\n\nCritique: too much.\n\nRevised scores:\n{_LINES}",
        _each("{name}: <score>") + f"\n\n[End of answer]\n\nYour answer:\n{_LINES}",
        f"Hope: 9 at first, but less after a thought.\n{_LINES}",
        "I'd say joy is about 1, anger is 2, fear around 3 and hope would be 4.",
        "Scores - Joy: 1; Anger: 2; Fear: 3; Hope: 4.",
        _JSON,
        f"```json\n{_JSON}\n```",
        f"Here it is: {_JSON} — as asked.",
        _JSON.lower(),
        _JSON.replace("1", '"1/10"'),
        _JSON.replace("4", "4.0"),
        _JSON.replace('"', "'"),
        json.dumps({"scores": json.loads(_JSON)}, indent=2),
        json.dumps({name: {"score": n, "reason": "“so” he says"} for n, name in enumerate(_EMOTIONS, start=1)}),
        json.dumps([{"emotion": name, "intensity": n} for n, name in enumerate(_EMOTIONS, start=1)]),
        json.dumps([{"rating": n, "name": name} for n, name in enumerate(_EMOTIONS, start=1)]),
        json.dumps({"first_pass": dict.fromkeys(_EMOTIONS, 9), "revised": json.loads(_JSON)}),
        json.dumps({"reasoning": f"Joy: 9, {_NINES}", **json.loads(_JSON)}),
        f"<think>\n{_NINES}\n</think>\n{_LINES}",
        f"<THINKING>{_NINES}</THINKING>{_LINES}",
        f"[THINK]{_NINES}[/THINK]\n{_LINES}",
        f"{_NINES}\n</think>\n\n{_LINES}",
        f"<think>a<think>b</think>{_NINES}</think>\n{_LINES}",
        f"<|channel|>analysis<|message|>{_NINES}<|end|><|start|>assistant<|channel|>final<|message|>{_LINES}",
        f"<think>{_LINES}",
    ],
)
def test_one_answer_in_many_forms(text: str) -> None:
    """Whatever a person would read as 1, 2, 3, 4 is read as that."""
    assert _read(text) == _READ


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Joy: 1.5\nAnger: 2,25\nFear: .5\nHope: 10", (1.5, 2.25, 0.5, 10.0)),
        ("Joy: 0\nAnger: 0\nFear: 0\nHope: 0", (0.0, 0.0, 0.0, 0.0)),
        ("Joy: 3-5\nAnger: 2 to 3\nFear: 0\nHope: 1 - 2", (4.0, 2.5, 0.0, 1.5)),
        ("Joy: 3 - 2 reasons\nAnger: 2\nFear: 0\nHope: 1", (3.0, 2.0, 0.0, 1.0)),
        ("Joy: -0\nAnger: ٢\nFear: 0\nHope: 1", (0.0, 2.0, 0.0, 1.0)),
        ("Joy: 1\nAnger: 2\nFear: 3\nHope: 4\nJoy: 9 would be too much", (1.0, 2.0, 3.0, 4.0)),
        ("1. Joy: 5\n2. Anger:\n3\n3. Fear: 1\n4. Hope: 2", (5.0, 3.0, 1.0, 2.0)),
    ],
)
def test_numbers_are_read_for_what_they_say(text: str, want: tuple[float, ...]) -> None:
    """Decimals with either mark, spans as their middle, zeros, digits of other scripts."""
    found = _read(text)
    assert isinstance(found, Answer)
    assert tuple(found.first.values()) == want


def test_the_last_answer_decides_even_if_it_is_a_wrong_one() -> None:
    """A final answer out of range is not replaced by an earlier one; an echo of the template after it is nothing."""
    wrong = _LINES.replace("1", "15")
    assert _read(f"{_LINES}\n\nOn reflection:\n{wrong}") == Unparseable("out_of_range", "joy: 15")
    echo = _each("{name}: <score>")
    assert _read(f"{_LINES}\n\n{echo}") == _READ
    assert _read(f"First pass scores:\n{_LINES}\n\nRevised scores:\n{wrong}", revise=True) == Answer(_READ.first, None)
    both = _read(f"First pass scores:\n{wrong}\n\nRevised scores:\n{wrong}", revise=True)
    assert both == Unparseable("out_of_range", "joy: 15")


_NAMELESS = "Joy: 1\nAnger: 2\nFear: 3"


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", "no_scores", ""),
        ("The character is full of joy and hope.", "no_scores", ""),
        ("1\n2\n3\n4", "no_scores", ""),
        (_LINES.replace("1", "15"), "out_of_range", "joy: 15"),
        (_LINES.replace("1", "-3"), "out_of_range", "joy: -3"),
        (_LINES.replace("1", "10.5"), "out_of_range", "joy: 10.5"),
        (_LINES.replace("1", "4/5"), "out_of_range", "joy: 4/5"),
        (_LINES.replace("1", "120%"), "out_of_range", "joy: 120%"),
        (_LINES.replace("1", "8-12"), "out_of_range", "joy: 8-12"),
        (_LINES.replace("1", "9" * 30), "out_of_range", "joy: " + "9" * 30),
        (_JSON.replace("1", "1e400"), "out_of_range", "joy: inf"),
        (_JSON.replace("1", "11"), "out_of_range", "joy: 11"),
        (_NAMELESS, "missing_emotion", "Hope"),
        (f"{_NAMELESS}\nTotal: 6", "missing_emotion", "Hope"),
        (_LINES.replace("4", "N/A"), "missing_emotion", "Hope"),
        ("1. Joy:\n2. Anger: 5\n3. Fear: 2\n4. Hope: 1", "missing_emotion", "Joy"),
        ('{"Joy": 1, "Anger": 2, "Fear": 3}', "missing_emotion", "Hope"),
        (_JSON.replace("1", "true"), "missing_emotion", "Joy"),
        (f"{_NAMELESS}\nHopeful: 4", "unknown_emotion", "hopeful"),
        (f"{_NAMELESS}\nvery_Hope: 4", "unknown_emotion", "very_hope"),
        ("Sad: 1\nMad: 2", "unknown_emotion", "sad, mad"),
        ('{"Joy": 1, "Anger": 2, "Fear": 3, "Hopeful": 4}', "unknown_emotion", "hopeful"),
        ('{"Joy": 1, "Anger": 2, "Fear": 3, "Hopeful": {"score": 4}}', "unknown_emotion", "hopeful"),
        (_each("{name}: <score>"), "placeholder_echo", ""),
        (_each("{name}: [your score]"), "placeholder_echo", ""),
        (_each("{name}: 0-10"), "placeholder_echo", ""),
        (_each("{name}: ___"), "placeholder_echo", ""),
        (_LINES.replace("4", "<score>"), "placeholder_echo", ""),
        (_JSON.replace("4", '"<score>"'), "placeholder_echo", ""),
        ("<emotion>: <score>", "placeholder_echo", ""),
        ("I'm sorry, but I can't assess people's emotions.", "refusal", ""),
        ("I\u2019m sorry, I can\u2019t help with that.", "refusal", ""),
        ("As an AI language model, I do not have feelings.", "refusal", ""),
        ("Es tut mir leid, das ist mir nicht möglich.", "refusal", ""),
        ("Ich kann diese Frage leider nicht beantworten.", "refusal", ""),
        (f"{_NAMELESS}\nHope: ", "truncated", "ends at 'hope'"),
        (f"{_NAMELESS}\n**Ho", "truncated", "ends at 'ho'"),
        ('{"Joy": 1, "Anger": 2, "Fea', "truncated", "JSON without an end"),
        (f"```\n{_NAMELESS}", "truncated", "code block without an end"),
        ("<think>The user wants", "truncated", "reasoning without an end"),
    ],
)
def test_why_there_is_no_answer(text: str, reason: str, detail: str) -> None:
    """Each way to give no answer has its own reason, with the names and numbers concerned."""
    assert _read(text) == Unparseable(reason, detail)  # type: ignore[arg-type]


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"])
def test_a_cut_off_answer_is_truncated_in_every_dialect(finish_reason: str) -> None:
    """The finish reason decides between cut off and deficient, but never against a complete answer."""
    for text in ("", "Joy: 1", "He is probably", f"<think>\n{_LINES}"):
        found = _read(text, finish_reason=finish_reason)
        assert isinstance(found, Unparseable)
        assert found.reason == "truncated"
    assert _read(f"{_LINES}\n\nExplanat", finish_reason=finish_reason) == _READ
    outside = _read(_LINES.replace("1", "15"), finish_reason=finish_reason)
    assert outside == Unparseable("out_of_range", "joy: 15")


@pytest.mark.parametrize("finish_reason", ["content_filter", "refusal", "SAFETY"])
def test_a_filtered_answer_is_a_refusal(finish_reason: str) -> None:
    """What the provider withheld counts as refused, whatever came through."""
    found = _read("Joy: 1", finish_reason=finish_reason)
    assert isinstance(found, Unparseable)
    assert found.reason == "refusal"


_OTHER = "Joy: 5\nAnger: 6\nFear: 7\nHope: 8"
_BOTH = Answer(_READ.first, {"Joy": 5.0, "Anger": 6.0, "Fear": 7.0, "Hope": 8.0})


@pytest.mark.parametrize(
    "text",
    [
        f"First pass scores:\n{_LINES}\n\nCritique: hm.\n\nRevised scores:\n{_OTHER}\n\n[End of answer]",
        f"**First Pass Scores**\n{_LINES}\n\n**Revised Scores**\n{_OTHER}",
        f"first pass scores\n{_LINES}\n\nrevised scores\n{_OTHER}",
        f"{_LINES}\n\nCritique: Joy: 9 would be more.\n\n## Final scores:\n{_OTHER}",
        f"{_LINES}\n\nCritique: not {_NINES}\n\nMy revised ratings are as follows:\n{_OTHER}",
        f"{_LINES}\n\nCritique: fine.\n\n{_OTHER}",
        f"Erste Bewertung:\n{_LINES}\n\nKritik: Die überarbeitete ist besser.\n\nÜberarbeitete Bewertung:\n{_OTHER}",
        f"First pass scores:\n{_LINES}\n\nRevised scores: {_OTHER}\n\n[End of answer]\n\nFirst pass scores:\n{_NINES}",
        f"First pass scores:\n{_LINES}\n\nRevised scores:\n{_OTHER}\nConfidence: 8",
        json.dumps({"first_pass": _READ.first, "critique": "hm", "revised": _BOTH.revised}),
    ],
)
def test_both_passes_are_found_under_any_heading(text: str) -> None:
    """However the second pass is announced, each pass is the one that was meant."""
    assert _read(text, revise=True) == _BOTH


def test_a_missing_pass_is_missing() -> None:
    """Half an answer is kept as half, never completed from the other pass."""
    assert _read(_LINES, revise=True) == Answer(_READ.first, None)
    assert _read(f"Revised scores:\n{_LINES}", revise=True) == Answer({}, _READ.first)
    cut = f"First pass scores:\n{_LINES}\n\nRevised scores:\nJoy: 5\nAnger: 6"
    assert _read(cut, revise=True) == Answer(_READ.first, None)


def test_names_of_several_words_and_other_numbers_of_emotions() -> None:
    """Probes ask for what an operator configured: phrases, two emotions, names within names."""
    found = parse("Self-esteem: 3\nself esteem loss: 4", ("Self esteem", "Self esteem loss"), profile="tolerant")
    assert found == Answer({"Self esteem": 3.0, "Self esteem loss": 4.0})
    composed, decomposed = "\u00c4rger", "A\u0308rger"
    assert parse(f"{decomposed}: 3", (composed,), profile="tolerant") == Answer({composed: 3.0})
    assert parse("Unhappy: 3", ("Happy",), profile="tolerant") == Unparseable("unknown_emotion", "unhappy")


@given(
    st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any),
    st.permutations(_EMOTIONS),
    st.sampled_from(["", "Here are the scores.\n", "First pass scores:\n"]),
    st.sampled_from(["", "\n", "\n\n[End of answer]", "\n\nThat is how they feel.", "<|im_end|>"]),
    st.sampled_from([" ", "  ", "\t", "\n"]),
)
@settings(deadline=None)
def test_a_clean_answer_is_read_as_the_official_profile_reads_it(
    scores: list[int], order: list[str], before: str, after: str, space: str
) -> None:
    """Where the official reading is right, the tolerant one is the same."""
    lines = "\n".join(f"{name}:{space}{score}" for name, score in zip(order, scores, strict=True))
    official = parse(f"{before}{lines}{after}", _EMOTIONS, profile="official")
    assert isinstance(official, Answer)
    assert parse(f"{before}{lines}{after}", _EMOTIONS, profile="tolerant") == official


_ALPHABET = st.sampled_from(
    [
        *_EMOTIONS,
        *':=|{}[]"-*_<>()%',
        "joy",
        "<think>",
        "</think>",
        "[End of answer]",
        "Revised scores:",
        "1",
        "10",
        "0.5",
        "/10",
        "\n",
        " ",
        "```",
        "\u0308",
        "\u200b",
        "é",
        "ß",
    ]
)


@given(
    st.one_of(st.text(max_size=200), st.lists(_ALPHABET, max_size=60).map("".join)),
    st.sampled_from(["official", "lm-eval", "tolerant"]),
    st.booleans(),
    st.sampled_from(["en", "de"]),
    st.sampled_from(["", "stop", "length", "content_filter", "odd"]),
)
@settings(deadline=None, max_examples=300)
def test_no_text_makes_the_parser_raise(
    text: str, profile: Profile, revise: bool, language: str, finish_reason: str
) -> None:
    """Any text is an answer or unparseable; tolerant answers are complete and within range."""
    found = parse(
        text,
        _EMOTIONS,
        profile=profile,
        language="de" if language == "de" else "en",
        revise=revise,
        finish_reason=finish_reason,
    )
    assert isinstance(found, (Answer, Unparseable))
    if isinstance(found, Answer) and profile == "tolerant":
        assert found.first or found.revised
        for answer in (found.first, found.revised):
            assert not answer or tuple(answer) == _EMOTIONS
            assert all(0 <= value <= 10 for value in (answer or {}).values())


@pytest.mark.parametrize("profile", ["official", "lm-eval", "tolerant"])
@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "Joy",
        "Joy: ",
        "Joy (",
        "Joy: 1 and ",
        "{",
        '{"a":',
        '{"Joy": 1, ',
        '{"a":[',
        " ",
        "\n",
        "9",
        "1.",
        "word_1: ",
        "<think>",
        "</think>",
        "[End of answer]",
        "Revised scores:",
        "Erste",
        "a\u0301\u0327",
        "\u0301\u0327",
        "<",
        "_",
        ":",
        f"{_LINES}\n[End of answer]\n",
        "a: 1\n",
        "Revised a b c d e ",
    ],
)
def test_a_hostile_text_takes_no_quadratic_time(piece: str, profile: Profile) -> None:
    """A million characters of the worst kind come back (a quadratic pattern would take hours and hit the time-out)."""
    found = parse(piece * (1_000_000 // len(piece)), _EMOTIONS, profile=profile, revise=True)
    assert isinstance(found, (Answer, Unparseable))
