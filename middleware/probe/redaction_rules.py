"""The rules of redaction, in their order: secrets, links and identifiers here, names and addresses beside."""

import ipaddress
import re
from collections.abc import Callable

from middleware.probe.redaction_cues import Glance, Rule, any_of, holds, keyed, spelled
from middleware.probe.redaction_places import ADDRESSES, NAMES

__all__ = ["KNOWN", "RULES"]


def _luhn(piece: str, _before: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(character) for character in piece if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(piece: str, _before: str) -> bool:
    """ISO 13616-1: the rearranged number is 1 modulo 97."""
    compact = "".join(piece.split()).replace("-", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


_NUMBER_OF = re.compile(
    r"(?:order|invoice|ticket|parcel|tracking|booking|reference|ref|sku|serial|part|model|item|commande|facture|colis"
    r"|pedido|factura|encomenda|bestell\w{0,10}|rechnung\w{0,10}|auftrag\w{0,10}|sendung\w{0,10}|kunden\w{0,10}|ordine|fattura|bestelling|factuur"
    r"|zam[oó]wieni\w{0,3}|faktura|paczk\w{0,3}|заказ\w{0,3}|счет|счёт|sipari[sş]\w{0,3}|fatura|注文番号|订单号?|주문번호|रसीद|bestilling|beställning\w{0,3})"
    r"(?: ?(?:number|no|n[o°º]|nr|num|id|номер|番号|#))?\W{0,6}$|(?:[#№]|\bn[°º]|\bno\.) ?$",
    re.IGNORECASE,
)


def _phone(piece: str, before: str) -> bool:
    digits = sum(character.isdigit() for character in piece)
    return 7 <= digits <= 15 and not _NUMBER_OF.search(before) and not _DATE.fullmatch(piece.strip())


_DATE = re.compile(r"\d{1,2}[./ -]\d{1,2}[./ -]\d{2,4}|\d{4}[./ -]\d{1,2}[./ -]\d{1,2}")
_VERSION = re.compile(
    r"(?:\bv|\bver\.?|version|versi[oó]n|vers[aã]o|versione|wersj\w|версия\w?|build|release|firmware|update|pip|sürüm|版本|バージョン|버전)\s{0,2}$",
    re.IGNORECASE,
)


def _ip4(piece: str, before: str) -> bool:
    return all(int(octet) <= 255 for octet in piece.split(".")) and not _VERSION.search(before)


def _ip6(piece: str, _before: str) -> bool:
    try:
        ipaddress.IPv6Address(piece)
    except ValueError:
        return False
    return piece.count(":") >= 3 and any(character.isdigit() for character in piece)


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _mixed(piece: str, _before: str) -> bool:
    """Letters and digits together, as in keys; long words, long numbers and UUIDs are none."""
    if _UUID.fullmatch(piece):
        return False
    return any(c.isdigit() for c in piece) and any(c.isalpha() for c in piece) and len(set(piece)) > 8


def _spelled_address(piece: str, _before: str) -> bool:
    """No sentence that ends after "at home", no "at 3.14" and no "at index.html"."""
    at = _BARE_AT.search(piece)
    if at is None:
        return True
    host = piece[at.end() :]
    if _SPELLED_DOT.search(host):
        return True
    written = _WRITTEN_HOST.fullmatch(host.strip())
    return written is not None and written[1].lower() not in _FILE_ENDINGS


def _chosen(piece: str, _before: str) -> bool:
    """As passwords are chosen: letters, and a digit or a mark inside."""
    core = piece.rstrip("!?")
    return any(c.isalpha() for c in piece) and any(
        c.isdigit() or not c.isalnum() for c in core.replace("'", "").replace("’", "")
    )


_PASSWORD = (
    r"(?:pass ?(?:word|wd|phrase|code|wort)|\bpwd|\bpin\b|kennwort|mot de passe|contraseñ\w|\bclave\b|\bsenha|palavra-passe|wachtwoord|lösenord|has[lł]\w{0,3}\b"
    r"|пароль|пароля|паролем|şifre\w{0,3}|\bparola\w{0,3}|密码|密碼|パスワード|비밀번호|암호|كلمة المرور|كلمة السر|पासवर्ड|kata sandi|mật khẩu|api[-_ ]?key|secret key|client[-_ ]secret|\btoken)"
)
_AT = (
    r"(?:\(at\)|\[at\]|\{at\}|\(ät\)|@| at | arroba | chiocciola | arobase | apenstaartje | małpa | собака | snabel-a )"
)
_DOT = r"(?:\(dot\)|\[dot\]|\{dot\}|\(punkt\)|\.| dot | punkt | punto | point | ponto | punt | kropka | точка | nokta )"
_DIGIT_WORD = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|oh|double|null|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun"
    r"|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|zéro|deux|trois|quatre|cinq|sept|huit|neuf|due|tre|quattro|cinque|sei|sette|otto|nove)"
)
_KEYS = (
    r"(?:access_token|id_token|refresh_token|token|sig|signature|x-amz-signature|x-goog-signature|api_?key|apikey|key|auth|authkey|auth_token"
    r"|code|session|sessionid|sid|password|passwd|pwd|secret|jwt|ticket|otp|magic|invite|reset|hash|hmac|policy)"
)
_CALLS = r"(?:call|called|calling|tried|try|ring|rang|dial|dialed|dialled|phone|number|text|reach|mobile|cell|tel|whatsapp|sms)"

_A_KEY = any_of("-", "_", "AKIA", "ASIA", "AIza", "SG.", "ya29.")
_PASSWORD_PARTS = spelled("pass|pwd|kennwort|senha|wachtwoord|hasl|parola|kata sandi|key|secret|token")
_PASSWORD_WORDS = frozenset({b"pin", b"clave"})
_FURTHER_PASSWORD_PARTS = spelled(
    "contraseñ|lösenord|hasł|парол|şifre|密码|密碼|パスワード|비밀번호|암호|كلمة|पासवर्ड|mật khẩu"
)
# "at" is a word of its own: what follows it is a host only with a spelled dot, or as hosts are written.
_BARE_AT = re.compile(r" (?:at|arroba|chiocciola|arobase|apenstaartje|małpa|собака|snabel-a) ", re.IGNORECASE)
_SPELLED_DOT = re.compile(_DOT.replace(r"|\.|", "|"), re.IGNORECASE)
_WRITTEN_HOST = re.compile(r"(?:[\w-]{1,40}\.){1,4}([^\W\d_]{2,24})")
_FILE_ENDINGS = frozenset({"css", "csv", "html", "js", "json", "md", "pdf", "php", "py", "ts", "txt"})
_AT_A_HOST = re.compile(rf"{_AT} ?[\w-]{{1,40}} ?{_DOT} ?[\w-]{{2}}")
_AT_WORDS = frozenset(keyed(at for at in spelled(_AT) if at.startswith(" ")))
_SPOKEN = keyed(spelled(_DIGIT_WORD), any_case=True)


def _number_of_digits(least: int) -> Callable[[Glance], bool]:
    return lambda seen: seen.digit_count >= least


def _digits_after_letters(seen: Glance) -> bool:
    return any(start >= 2 and seen.text[start - 2 : start].isalpha() for start in seen.digits)


def _digits_after_dots(seen: Glance) -> bool:
    return sum(seen.text.startswith(".", start - 1) for start in seen.digits if start) >= 3


def _long_with_digits(seen: Glance) -> bool:
    """Of 32 characters around a digit, 16 stand on one side of it, and none is a space."""
    text = seen.text
    if not text.isascii():
        return True
    for start in seen.digits:
        before, after = text[max(0, start - 16) : start], text[start : start + 16]
        if (len(before) == 16 and " " not in before) or (len(after) == 16 and " " not in after):
            return True
    return False


def _seven_spoken(seen: Glance) -> bool:
    count = 0
    for word in seen.words:
        if word in _SPOKEN:
            count += seen.folded.count(word.decode())
    return count >= 7


def _password_word(seen: Glance) -> bool:
    low = seen.folded
    if not _PASSWORD_WORDS.isdisjoint(seen.words) or holds(low, _PASSWORD_PARTS):
        return True
    return not low.isascii() and holds(low, _FURTHER_PASSWORD_PARTS)


def _at_a_host(seen: Glance) -> bool:
    low = seen.folded
    some = not _AT_WORDS.isdisjoint(seen.words) or "@" in low or "(" in low or "[" in low or "{" in low
    return some and _AT_A_HOST.search(low) is not None


RULES = (
    Rule(
        "secret",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,16384}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$|(?=-----BEGIN))",
            re.DOTALL,
        ),
        cue=any_of("-----BEGIN", rare="-"),
    ),
    Rule(
        "url",
        re.compile(
            rf"\bhttps?://[^\s<>\"'，。、）]{{1,400}}[?&#]{_KEYS}=[^\s<>\"'，。、）]{{4,2000}}(?<![.,;:!?)])",
            re.IGNORECASE,
        ),
        cue=any_of("://", rare="/"),
    ),
    Rule(
        "secret", re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{2,8192}\.[\w-]{0,4096}", re.ASCII), cue=any_of("eyJ", rare="J")
    ),
    Rule("secret", re.compile(r"(?<=://)[^\s/:@]{1,200}:[^\s/@]{1,200}(?=@)"), cue=any_of("://", rare="/")),
    Rule(
        "secret",
        re.compile(r"\b(?:bearer|basic) [\w+/=.~-]{12,4096}", re.IGNORECASE | re.ASCII),
        cue=lambda seen: "bearer " in seen.folded or "basic " in seen.folded,
    ),
    Rule(
        "secret",
        re.compile(
            r"\b(?:sk|pk|rk)[-_](?:[a-z]{2,12}[-_]){0,3}[\w-]{16,400}|\bgh[pousr]_\w{20,255}|\bgithub_pat_\w{20,255}"
            r"|\bglpat-[\w-]{16,255}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bxox[abeoprs]-[\w-]{10,255}|\bAIza[\w-]{30,60}"
            r"|\bhf_\w{20,100}|\bnpm_\w{30,60}|\bpypi-[\w-]{40,400}|\bSG\.[\w-]{16,60}\.[\w-]{16,80}|\bya29\.[\w-]{20,400}",
            re.ASCII,
        ),
        cue=_A_KEY,
    ),
    Rule(
        "secret",
        re.compile(
            rf"{_PASSWORD}[^\n]{{0,24}}?[\s:=\"'「は是]{{1,3}}(?P<it>[^\s\"'，。」]{{5,200}}[^\s\"'.,;:，。」)])",
            re.IGNORECASE,
        ),
        _chosen,
        cue=_password_word,
    ),
    Rule(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"),
        cue=any_of("@"),
    ),
    Rule(
        "email",
        re.compile(
            rf"(?<![\w.+-])[\w+-]{{1,40}}(?: ?{_DOT} ?[\w+-]{{1,40}}){{0,4}} ?{_AT} ?[\w-]{{1,40}}(?: ?{_DOT} ?[\w-]{{2,24}}){{1,4}}(?![\w-]| ?{_AT}|{_DOT}\w)",
            re.IGNORECASE,
        ),
        _spelled_address,
        cue=_at_a_host,
    ),
    Rule(
        "iban",
        re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b", re.ASCII),
        _iban,
        cue=_digits_after_letters,
        digits=True,
    ),
    Rule(
        "card",
        re.compile(r"(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d])"),
        _luhn,
        cue=_number_of_digits(13),
        digits=True,
    ),
    Rule(
        "ip",
        re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)", re.ASCII),
        _ip4,
        cue=_digits_after_dots,
        digits=True,
    ),
    Rule(
        "ip",
        re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{4,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])", re.ASCII),
        _ip6,
        cue=lambda seen: seen.text.count(":") >= 3,
        digits=True,
    ),
    Rule(
        "phone",
        re.compile(
            r"(?<![A-Za-z0-9_.,/+#-])(?:(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){6,14}"
            r"|\(?0[1-9]\d{0,4}\)?[ ./-]{0,3}\d(?:[ ./-]?\d){4,10}"
            r"|\(\d{2,4}\) ?\d{3,4}[ -]?\d{4}"
            r"|1\d{2}[ -]?\d{4}[ -]?\d{4}"
            r"|0\d{1,3}-\d{3,4}-\d{4}"
            r"|\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4})(?![A-Za-z0-9_]|-\w|[.,]\d)"
        ),
        _phone,
        cue=_number_of_digits(7),
        digits=True,
    ),
    Rule(
        "phone",
        re.compile(rf"\b{_CALLS}\b[^\d\n]{{1,24}}(?P<it>\d{{3}}[ -]?\d{{4}})(?![\w-]|[.,]\d)", re.IGNORECASE),
        _phone,
        words=keyed(spelled(_CALLS), any_case=True),
        cue=_number_of_digits(7),
        digits=True,
    ),
    Rule(
        "phone",
        re.compile(rf"\b{_DIGIT_WORD}(?:[ ,-]{{1,2}}{_DIGIT_WORD}){{6,15}}\b", re.IGNORECASE),
        words=_SPOKEN,
        cue=_seven_spoken,
    ),
    Rule(
        "secret",
        re.compile(r"(?<![\w/+-])[\w+/=-]{32,4096}(?![\w/+-])", re.ASCII),
        _mixed,
        cue=_long_with_digits,
        digits=True,
    ),
    *ADDRESSES,
    *NAMES,
)

# The words that cues ask for.
KNOWN = frozenset({*_PASSWORD_WORDS, *_AT_WORDS, *(word for rule in RULES for word in rule.words)})
