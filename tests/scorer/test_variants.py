"""Variants of an item set: other names, emotions in another order, everything else as it was."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from scorer.answers import Answer
from scorer.eqbench import score_item
from scorer.items import Item, ItemSet, parse_official
from scorer.parsing import parse
from scorer.prompts import compose, question
from scorer.variant_names import FIRST_NAMES, MACHINES, NEUTRAL, ROLES, SURNAMES
from scorer.variants import renamed, reordered, variant_of

EMOTIONS = ("Hopeful", "Ashamed", "Calm", "Angry")
FILES = (
    ("eq_bench_v1_questions_60.json", "v1", "en"),
    ("eq_bench_v2_questions_171.json", "v2", "en"),
    ("eq_bench_v2_questions_171_de.json", "v2", "de"),
)


def item(dialogue: str, subject: str, *, name: str = "one", cluster: str = "d1") -> Item:
    return Item(
        id=name,
        emotions=EMOTIONS,
        prompt=compose(dialogue, subject, EMOTIONS),
        reference=(1.0, 2.0, 3.0, 4.0),
        reference_fullscale=(7.0, 2.0, 0.0, 9.0),
        cluster=cluster,
        rationale=f"{subject} waits.",
        dialogue=dialogue,
        subject=subject,
    )


def set_of(*items: Item) -> ItemSet:
    return ItemSet(name="small", version="v2", language="en", items=items, official=False, sha256="0" * 64)


def one_variant(dialogue: str, subject: str, seed: int = 7) -> Item:
    return variant_of(set_of(item(dialogue, subject)), seed).items[0]


def speakers(text: str) -> list[str]:
    return [line.split(":")[0] for line in text.split("\n")]


def test_same_seed_same_variant() -> None:
    """A variant depends on the item and the seed alone; another seed draws another one."""
    original = set_of(item("Robert: Is it done?\nClaudia: Ask Robert's boss.", "Claudia"))
    assert variant_of(original, 7) == variant_of(original, 7)
    assert variant_of(original, 7).items[0].dialogue != variant_of(original, 8).items[0].dialogue
    assert variant_of(original, 7).name == "small@variant-7"
    digests = {original.sha256, variant_of(original, 7).sha256, variant_of(original, 8).sha256}
    assert len(digests) == 3


def test_names_change_everywhere() -> None:
    """A character has the same new name in heads, text, possessives, question and rationale, and in capitals."""
    found = one_variant(
        "Robert: Claudia, stop.\nClaudia: ROBERT! Robert's keys. Robertson left, Roberts too.", "Robert"
    )
    robert, claudia = speakers(found.dialogue)
    assert {robert, claudia}.isdisjoint({"Robert", "Claudia"})
    assert found.dialogue == (
        f"{robert}: {claudia}, stop.\n{claudia}: {robert.upper()}! {robert}'s keys. Robertson left, Roberts too."
    )
    assert (found.subject, found.rationale) == (robert, f"{robert} waits.")
    assert found.prompt == compose(found.dialogue, robert, found.emotions)


def test_names_stay_in_their_row() -> None:
    """A name from the table is replaced by one of the same gender and region."""
    found = one_variant("Robert: Now?\nSonya: Later.", "Sonya")
    rows = [next(row for row in FIRST_NAMES if name in row) for name in speakers(found.dialogue)]
    assert "Robert" in rows[0]
    assert "Sonya" in rows[1]


def test_names_that_no_table_knows() -> None:
    """A speaker with an unheard-of name gets one that fits anybody; a machine gets a machine's."""
    found = one_variant("Guovža: Beep?\nARIES-9: Beep, Guovža.", "Guovža")
    guovza, machine = speakers(found.dialogue)
    assert guovza in NEUTRAL
    assert machine in MACHINES
    assert found.dialogue.endswith(f"Beep, {guovza}.")


def test_titles_and_parts() -> None:
    """Of a titled name only the surname changes, also of somebody absent; a part in a play is no name."""
    found = one_variant(
        "Dr. Hall: Mr. Noh is late.\nNurse Brenda: He is, Dr. Hall.\nMother: The Mother waits.", "Mother"
    )
    hall = found.dialogue.split(":")[0].removeprefix("Dr. ")
    assert hall in SURNAMES
    assert hall != "Hall"
    assert f"He is, Dr. {hall}." in found.dialogue
    assert "Noh" not in found.dialogue
    assert "Brenda" not in found.dialogue
    assert "\nNurse " in found.dialogue
    assert found.dialogue.endswith("Mother: The Mother waits.")


@pytest.mark.parametrize(
    ("dialogue", "kept"),
    [
        ("Will: I can wait.\nSonya: Fine. Will you wait? He will.", "Will"),
        ("Olive: Mine.\nSonya: An olive is green. Olive is my name.", "Olive"),
        ("Coach: Run!\nSonya: Why, coach?", "Coach"),
        ("Jadwiga: Ahoy.\nSonya: The Jadwiga sails at noon.", "Jadwiga"),
    ],
)
def test_common_words_stay(dialogue: str, kept: str) -> None:
    """A name that is also a word is left alone where the word may be meant: half a renaming would spoil it."""
    found = one_variant(dialogue, "Sonya")
    assert found.dialogue.count(kept) == dialogue.count(kept)
    assert "Sonya" not in found.dialogue


def test_short_forms_follow() -> None:
    """Rob, Robbie and Robert are one person."""
    found = one_variant("Robert: Yes?\nSonya: Rob, wait. Bennie, too.\nBen: Me?", "Sonya")
    robert, _, ben = speakers(found.dialogue)
    assert f": {robert}, wait. {ben}, too." in found.dialogue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann's hat, (Ann) and Anna.", "Hugo's hat, (Hugo) and Anna."),
        ("James' hat, and 'I like James', he said.", "Lou's hat, and 'I like Lou', he said."),
        ("Ann-san and Mary-Ann and Ann-Marie--Ann", "Hugo-san and Mary-Hugo and Ann-Marie--Hugo"),
    ],
)
def test_word_boundaries(text: str, expected: str) -> None:
    """Only whole words are replaced, and possessives stay right."""
    assert renamed(text, {"Ann": "Hugo", "James": "Lou"}) == expected


def test_german_genitive() -> None:
    """German puts the s without an apostrophe."""
    assert renamed("Claudias Hut, Claudia.", {"Claudia": "Greta"}, german=True) == "Gretas Hut, Greta."


def test_cuts_of_one_dialogue_agree() -> None:
    """Both questions about a dialogue have the same new names, whichever of the characters they contain."""
    first, second = "Robert: Now?\nSonya: No.", "Robert: Now?\nSonya: No.\nBrenda: Sonya!"
    pair = variant_of(set_of(item(first, "Sonya", name="a"), item(second, "Brenda", name="b")), 3).items
    assert pair[1].dialogue.startswith(pair[0].dialogue)


def test_emotions_move_with_their_references() -> None:
    """The four emotions stand in another order in the prompt, and references and answers follow."""
    original = item("Robert: Now?\nSonya: No.", "Sonya")
    for seed in range(20):
        found = reordered(original, seed)
        assert found.emotions != original.emotions
        assert sorted(found.emotions) == sorted(original.emotions)
        assert found.prompt == compose(original.dialogue, "Sonya", found.emotions)
        for before, after in (
            (original.reference, found.reference),
            (original.reference_fullscale, found.reference_fullscale),
        ):
            assert dict(zip(original.emotions, before or (), strict=True)) == dict(
                zip(found.emotions, after or (), strict=True)
            )
    assert len({reordered(original, seed).emotions for seed in range(20)}) > 3


def test_prompt_without_its_emotions() -> None:
    """A prompt that does not list the emotions has no variant, and the error names the item."""
    with pytest.raises(ValueError, match="item 'one'"):
        reordered(replace(item("Robert: Now?", "Robert"), prompt="What now?"), 1)


@pytest.mark.parametrize(("file", "version", "language"), FILES)
def test_official_items(eqbench_dir: Path, file: str, version: str, language: str) -> None:
    """Every official item has a variant: all speakers renamed, the template untouched, the same text worth the same."""
    content = (eqbench_dir / file).read_bytes()
    original = parse_official(
        json.loads(content),
        name="official",
        version=version,  # type: ignore[arg-type]
        language=language,  # type: ignore[arg-type]
        sha256=hashlib.sha256(content).hexdigest(),
    )
    found = variant_of(original, 11)
    assert [each.id for each in found.items] == [each.id for each in original.items]
    assert found.official
    for before, after in zip(original.items, found.items, strict=True):
        old = {name for line in before.dialogue.split("\n") for name in re.findall(r"^(?:Dr\. |Rev\. )?(\w+):", line)}
        assert not [name for name in old if re.search(rf"\b{name}\b", after.prompt)], before.id
        asked = question(after, revise=True, language=original.language, version=original.version)
        assert len(asked.split("\n")) == len(before.prompt.split("\n"))
        places = [asked.index(f"\n{emotion}:") for emotion in after.emotions]
        assert places == sorted(places), before.id
        assert _worth(before, original) == _worth(after, found), before.id


def _worth(asked: Item, item_set: ItemSet) -> object:
    text = "\n".join(f"{emotion}: {len(emotion) % 11}" for emotion in sorted(asked.emotions))
    answer = parse(text, asked.emotions, profile="tolerant")
    assert isinstance(answer, Answer)
    return round(score_item(asked, answer.first, version=item_set.version), 9)


def test_the_tables_hold_nothing_twice() -> None:
    """A name in two rows would make a character's new name depend on the order of the rows."""
    names = [name for row in FIRST_NAMES for name in row]
    assert len(set(names)) == len(names)
    assert not {name.casefold() for name in (*names, *NEUTRAL, *SURNAMES)} & ROLES
