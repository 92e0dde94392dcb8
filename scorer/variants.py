"""Variants of an item set: the same items with other names and the emotions in another order, drawn by a seed.

A model that understands a dialogue answers the variant as well as the original; one that knows the originals by
heart does not. The same seed gives the same variant on every machine. What is made of the two scores is elsewhere.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from scorer.items import Item, ItemSet
from scorer.variant_names import FIRST_NAMES, MACHINES, NEUTRAL, ROLES, SURNAMES, TITLES

__all__ = ["renamed", "renaming", "reordered", "variant_name", "variant_of"]

# Three words at most: "New temp", "Dr. Hall", "Mayor's clerk"; more is a sentence with a colon.
_HEAD = re.compile(r"^\s*((?:[^\s:]+ ){0,2}[^\s:]+)\s*:", re.MULTILINE)
_TOKEN = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*")
_TITLED = re.compile(
    # Only what is short for something has a full stop; after a whole word it ends the sentence.
    rf"\b(?:(?:Dr|Mr|Mrs|Ms|Mme|Prof|Rev)\.?|{'|'.join(sorted(title.capitalize() for title in TITLES))}) +"
    r"([^\W\d_]+(?:[-'\u2019][^\W\d_]{2,})*)"
)
_ARTICLES = "the|a|an|der|die|das|den|dem|des|ein|eine|einen|einem|einer"
_LEAST_SHORT_FORM = 3


def variant_name(name: str, seed: int) -> str:
    """What the variant of a set is called."""
    return f"{name}@variant-{seed}"


def variant_of(item_set: ItemSet, seed: int) -> ItemSet:
    """The variant of every item; ids, clusters and all that is not text stay. Its digest is of its own content.

    Items of one dialogue get the same names. Raises ValueError where an item's prompt does not list its emotions.
    """
    words = _common_words(item_set.items)
    dialogues: dict[str, list[Item]] = {}
    for item in item_set.items:
        dialogues.setdefault(item.cluster or item.id, []).append(item)
    names = {cluster: renaming(items, words, seed) for cluster, items in dialogues.items()}
    german = item_set.language == "de"
    items = tuple(_variant(item, names[item.cluster or item.id], seed, german=german) for item in item_set.items)
    content = repr([(item.id, item.prompt, item.reference, item.reference_fullscale) for item in items])
    digest = hashlib.sha256(f"{item_set.sha256}\n{content}".encode()).hexdigest()
    return replace(item_set, name=variant_name(item_set.name, seed), items=items, sha256=digest)


def _variant(item: Item, names: Mapping[str, str], seed: int, *, german: bool) -> Item:
    prompt, dialogue, subject, rationale = (
        renamed(text, names, german=german) for text in (item.prompt, item.dialogue, item.subject, item.rationale)
    )
    return reordered(replace(item, prompt=prompt, dialogue=dialogue, subject=subject, rationale=rationale), seed)


# -- emotions


def reordered(item: Item, seed: int) -> Item:
    """The item with its emotions in another order, in the prompt and in the references alike."""
    count = len(item.emotions)
    order = sorted(range(count), key=lambda place: _drawn(seed, item.id, item.emotions[place]))
    if order == list(range(count)):
        order = [*order[1:], order[0]]
    return replace(
        item,
        emotions=tuple(item.emotions[place] for place in order),
        prompt=_lists_reordered(item, order),
        reference=_picked(item.reference, order),
        reference_fullscale=_picked(item.reference_fullscale, order),
    )


def _picked(values: tuple[float, ...] | None, order: Sequence[int]) -> tuple[float, ...] | None:
    return None if values is None else tuple(values[place] for place in order)


def _lists_reordered(item: Item, order: Sequence[int]) -> str:
    """The lines of each list of the emotions: under the question, and under each heading of the answer format."""
    lines = item.prompt.split("\n")
    labels = [re.compile(rf"\W*{re.escape(emotion)}\s*(?::|$)") for emotion in item.emotions]
    found = 0
    for start in range(len(lines) - len(labels) + 1):
        block = lines[start : start + len(labels)]
        if all(label.match(line) for label, line in zip(labels, block, strict=True)):
            lines[start : start + len(labels)] = [block[place] for place in order]
            found += 1
    if not found:
        raise ValueError(f"item {item.id!r}: its prompt has no list of its emotions {', '.join(item.emotions)}")
    return "\n".join(lines)


# -- names


def renamed(text: str, names: Mapping[str, str], *, german: bool = False) -> str:
    """The text with whole words replaced. Possessives follow; a German genitive without apostrophe too."""
    if not names:
        return text
    known = {**names, **{old.upper(): new.upper() for old, new in names.items() if old != old.upper()}}
    ending = "(?P<genitive>s)?" if german else ""
    longest_first = sorted(known, key=len, reverse=True)
    pattern = (
        rf"(?<!\w)(?P<name>{'|'.join(map(re.escape, longest_first))}){ending}"
        # A name that is half of another one stays; "-san" and the like do not make another one.
        r"(?!\w)(?!-[A-ZÀ-Ý])(?P<bare>['\u2019](?= \w))?"
    )

    def new(match: re.Match[str]) -> str:
        bare = match["bare"] or ""
        # "James' hat" becomes "Hugo's hat"; a quotation mark after another name stays one.
        tail = f"{bare}s" if bare and match["name"][-1] in "sxzSXZ" else bare
        return known[match["name"]] + ("s" if german and match["genitive"] else "") + tail

    return re.sub(pattern, new, text)


def renaming(items: Sequence[Item], common_words: frozenset[str], seed: int) -> dict[str, str]:
    """Old name to new name for the characters of one dialogue. common_words: in lower case, what else may be meant."""
    text = "\n".join(f"{item.dialogue}\n{item.subject}" for item in items)
    present = {word.casefold() for word in _TOKEN.findall(text)}
    dialogue = items[0].cluster or items[0].id
    found: dict[str, str] = {}
    for name, pool in _characters(items, text, common_words):
        if name not in found:
            free = [new for new in pool if new.casefold() not in present and new not in found.values()]
            if free:
                found[name] = min(free, key=lambda new: _drawn(seed, dialogue, name, new))
    return found | _short_forms(found, text, common_words)


def _characters(items: Iterable[Item], text: str, common: frozenset[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each name of a character with the names that may take its place."""
    heads = [head for item in items for head in _HEAD.findall(f"{item.dialogue}\n{item.subject}:")]
    for head in dict.fromkeys(heads):
        tokens = [re.sub(r"['\u2019]s$", "", token) for token in _TOKEN.findall(head)]
        titled = False
        for place, token in enumerate(tokens):
            plain = token.casefold()
            if plain in TITLES or plain in ROLES:
                titled = plain in TITLES
            elif token[0].isupper() and _is_name(token, text, common):
                yield (
                    token,
                    SURNAMES if titled or (place and tokens[place - 1].casefold() not in ROLES) else _row(token),
                )
    for name in _TITLED.findall(text):
        if name[0].isupper() and _is_name(name, text, common):
            yield name, SURNAMES


def _is_name(token: str, text: str, common: frozenset[str]) -> bool:
    """Whether the word can be replaced without touching the same word in another meaning."""
    if re.search(rf"\b(?:{_ARTICLES}) {re.escape(token)}\b", text, re.IGNORECASE):
        return False
    if token.casefold() not in common:
        return True
    # "Will", "Mark", "Rose": a name in the table, unless a sentence may begin with the word.
    begins = re.search(rf"(?:[.!?…:] |[\"“\n]){re.escape(token)} [^\W\d_]", text)
    return begins is None and _row(token) is not NEUTRAL


def _row(name: str) -> Sequence[str]:
    if re.search(r"\d", name) or (len(name) >= _LEAST_SHORT_FORM and name.isupper()):
        return MACHINES
    return next((row for row in FIRST_NAMES if name in row), NEUTRAL)


def _short_forms(names: Mapping[str, str], text: str, common: frozenset[str]) -> dict[str, str]:
    """ "Rob" or "Robbie" where Robert speaks: it means the same character."""
    words = {word for word in _TOKEN.findall(text) if len(word) >= _LEAST_SHORT_FORM and word[0].isupper()}
    words -= names.keys() | {word for word in words if word.casefold() in common}
    return {
        word: new
        for name, new in names.items()
        for word in sorted(words)
        if name.startswith(word) or re.fullmatch(rf"{re.escape(name)}{re.escape(name[-1])}?(?:y|ie)", word)
    }


def _common_words(items: Iterable[Item]) -> frozenset[str]:
    """Every word that stands in lower case somewhere in the set."""
    return frozenset(word for item in items for word in _TOKEN.findall(item.prompt) if word.islower())


def _drawn(*parts: object) -> bytes:
    return hashlib.sha256("|".join(map(str, parts)).encode()).digest()
