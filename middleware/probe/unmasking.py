"""Characters that people don't see, and spellings that hide words: taken away for a judge, undone for a search.

`visible` is what a judge is shown. `spellings` are other readings of a text that only the search for attacks sees.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Visible", "folded", "spellings", "visible"]

_TAGS = re.compile(r"[\U000e0000-\U000e007f]+")
# The flags of England, Scotland and Wales are a black flag and tags (Unicode Technical Standard 51, ED-14a).
_TAG_FLAG = re.compile(r"(\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,8}\U000e007f")
_OVERRIDES = re.compile("[\u202d\u202e]")
_DIRECTIONS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
# Joiners shape letters of Arabic and Indic scripts and glue emoji together; between letters of ours they only hide.
_NOTHING = re.compile(
    "[\u200b\u2060-\u2064\ufeff\u00ad\u180e\u034f\ufff9-\uffff]"
    "|(?<![\u0600-\u0dff\ufe0f\U0001f000-\U0001faff\u2600-\u27bf])[\u200c\u200d]"
    "|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
# All that any of these takes out, to be looked for once: most texts have none of it.
_ANYTHING = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069"
    "\ufeff\ufff9-\uffff]|[\U000e0000-\U000e007f]"
)
_FOREIGN_LETTER = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_HIDING_WORDS = 3  # this many zero-width characters inside words are no slip of a keyboard

_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеіјорсухѕԁɡһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορυικϲ",
    "ABESIJKMHOPCTYXaeijopcyxsdghqwABEZHIKMNOPTYXavopuikc",
)
_FOREIGN_WORD = re.compile(r"\w{0,64}[\u0370-\u03ff\u0400-\u052f]\w{0,64}")
_LETTERS = str.maketrans("ıłđø", "ildo")
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(r"(?=\w{0,31}[A-Za-z])(?=\w{0,31}\d)\b\w{2,32}\b")
_HIDDEN_INSIDE = re.compile("(?<=[A-Za-z0-9:])[\u200b-\u200d\u2060\u00ad](?=[A-Za-z0-9: ])")
_BASE64 = re.compile(r"(?<![\w+/=-])[\w+/-]{16,8192}={0,2}(?![\w+/=])")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[ :]?){8,4096}(?![0-9A-Fa-f])")


@dataclass(frozen=True, slots=True)
class Visible:
    """text: without what can't be seen. removed: characters that went. hid: whether they look meant to hide."""

    text: str
    removed: int
    hid: bool


def visible(text: str) -> Visible:
    """What a person would see of the text, in order; ordinary Arabic, Hebrew, Indic text and emoji stay as they are."""
    if text.isascii() and text.isprintable():
        return Visible(text, 0, hid=False)
    if not _ANYTHING.search(text):
        return Visible(text, 0, hid=_mixed_words(text) > 1)
    without_flags = _TAG_FLAG.sub(r"\1", text)
    tags = _TAGS.search(without_flags) is not None
    kept = _NOTHING.sub("", _DIRECTIONS.sub("", _TAGS.sub("", without_flags)))
    inside = len(_HIDDEN_INSIDE.findall(text))
    hid = tags or _OVERRIDES.search(text) is not None or inside >= _HIDING_WORDS or _mixed_words(kept) > 1
    return Visible(kept, len(without_flags) - len(kept), hid)


def _mixed_words(text: str) -> int:
    """Words of Latin letters and letters of other alphabets that look like them."""
    if text.isascii() or not _FOREIGN_LETTER.search(text):
        return 0
    return sum(1 for word in _FOREIGN_WORD.findall(text) if re.search("[A-Za-z]", word) and _plain(word).isascii())


def _plain(word: str) -> str:
    return word.translate(_LOOKALIKES)


def folded(text: str) -> str:
    """For comparing: compatibility forms, case, decorating marks and digits of any script made one."""
    plain = unicodedata.normalize("NFKC", _FOREIGN_WORD.sub(_unmasked, text)).casefold()
    if plain.isascii():
        return plain
    parts = unicodedata.normalize("NFD", plain)
    marks = re.sub("(?<=[a-z\u0370-\u052f])[\u0300-\u036f]+", "", parts)
    composed = unicodedata.normalize("NFC", marks).translate(_LETTERS)
    return "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in composed)


def _unmasked(match: re.Match[str]) -> str:
    word = match.group()
    plain = _plain(word)
    return plain if plain.isascii() else word


def spellings(text: str) -> list[str]:
    """What else the text may say: tags as letters, backwards, leetspeak undone, rot13, base64 and hex decoded."""
    found = []
    if tags := _TAGS.findall(text):
        found.append("".join(chr(ord(c) - 0xE0000) for c in "".join(tags) if 0xE0020 <= ord(c) < 0xE007F))
    if _OVERRIDES.search(text):
        found.append(_DIRECTIONS.sub("", text)[::-1])
    plainer = _LEET_WORD.sub(lambda match: match.group().translate(_LEET), text)
    if plainer != text:
        found.append(plainer)
    found.append(codecs.encode(text, "rot13"))
    found += [decoded for run in _BASE64.findall(text) if (decoded := _from_base64(run))]
    found += [decoded for run in _HEX.findall(text) if (decoded := _from_hex(run))]
    return found


def _from_base64(run: str) -> str:
    try:
        return _readable(
            base64.b64decode(run + "=" * (-len(run) % 4), altchars=b"-_" if set(run) & set("-_") else None)
        )
    except (binascii.Error, ValueError):
        return ""


def _from_hex(run: str) -> str:
    try:
        return _readable(bytes.fromhex(run.replace(":", " ")))
    except ValueError:
        return ""


def _readable(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if all(c.isprintable() or c in "\n\r\t" for c in text) else ""
