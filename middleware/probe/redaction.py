"""Takes secrets and personal identifiers out of text before any judge sees it.

Rules for what has a shape: credentials, e-mail addresses, IBANs, card and phone numbers. Names and postal addresses
have none and are not found here. Every pattern is bounded, so that hostile text can't make it slow.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["redacted"]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What to find, what to write instead, and a check that a match has to pass."""

    name: str
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool] = lambda _: True


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616-1: the rearranged number is 1 modulo 97."""
    compact = "".join(text.split()).replace("-", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _phone(text: str) -> bool:
    return 7 <= sum(character.isdigit() for character in text) <= 15


def _mixed(text: str) -> bool:
    """Letters and digits together, as in keys; long words and long numbers are neither."""
    return any(c.isdigit() for c in text) and any(c.isalpha() for c in text) and len(set(text)) > 8


# Order matters: a secret may hold what looks like a number.
_RULES = (
    _Rule(
        "secret",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,16384}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)", re.DOTALL
        ),
    ),
    _Rule("secret", re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{2,8192}\.[\w-]{0,4096}")),
    _Rule("secret", re.compile(r"(?<=://)[^\s/:@]{1,200}:[^\s/@]{1,200}(?=@)")),
    _Rule("secret", re.compile(r"\b(?:bearer|basic) [\w+/=.~-]{12,4096}", re.IGNORECASE)),
    _Rule(
        "secret",
        re.compile(
            r"\b(?:sk|pk|rk)[-_](?:[a-z]{2,12}[-_]){0,3}[\w-]{16,400}|\bgh[pousr]_\w{20,255}|\bgithub_pat_\w{20,255}"
            r"|\bglpat-[\w-]{16,255}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bxox[abeoprs]-[\w-]{10,255}|\bAIza[\w-]{30,60}"
            r"|\bhf_\w{20,100}|\bnpm_\w{30,60}|\bpypi-[\w-]{40,400}|\bSG\.[\w-]{16,60}\.[\w-]{16,80}|\bya29\.[\w-]{20,400}"
        ),
    ),
    _Rule(
        "secret",
        re.compile(
            r"(?<=\b)(?:pass(?:word|wd|phrase|wort)|pwd|kennwort|mot de passe|contraseña|api[-_ ]?key|secret|token|pin)"
            r"\s{0,3}(?:is|ist|lautet|:|=)\s{0,3}[\"']?[^\s\"']{4,200}",
            re.IGNORECASE,
        ),
        lambda text: bool(re.search(r"[\d\W_]", re.split(r"[:=\s]", text)[-1])),
    ),
    _Rule("email", re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}(?:@| ?\[at\] ?)(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")),
    _Rule("iban", re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b"), _iban),
    _Rule("card", re.compile(r"(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d])"), _luhn),
    _Rule(
        "phone",
        re.compile(
            r"(?<![\w.,/+-])(?:(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){6,14}"
            r"|\(?0[1-9]\d{0,4}\)?[ ./-]{0,3}\d(?:[ ./-]?\d){4,10}"
            r"|\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4})(?![\w])"
        ),
        _phone,
    ),
    _Rule("secret", re.compile(r"(?<![\w/+-])[\w+/=-]{32,4096}(?![\w/+-])"), _mixed),
)


def redacted(text: str) -> str:
    """The text with every match replaced by its kind in brackets, such as ``[email]``."""
    for rule in _RULES:
        text = rule.pattern.sub(_replacement(rule), text)
    return text


def _replacement(rule: _Rule) -> Callable[[re.Match[str]], str]:
    return lambda match: f"[{rule.name}]" if rule.accepts(match.group()) else match.group()
