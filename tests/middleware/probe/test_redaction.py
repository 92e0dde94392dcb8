"""Secrets and identifiers do not reach a judge; what people say about their feelings does."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.probe.redaction import find, redacted

CORPORA = Path(__file__).parents[3] / "bench" / "hostile"

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        ("sk-proj-abcdefghijklmnop1234", "secret"),
        ("sk-ant-api03-abcdefghijklmnop_1234", "secret"),
        ("ghp_abcdefghijklmnopqrst1234", "secret"),
        ("github_pat_11ABCDEFG0abcdefghijkl", "secret"),
        ("AKIAIOSFODNN7EXAMPLE", "secret"),
        ("xoxb-123456789012-abcdefghij", "secret"),
        ("AIzaSyA-1234567890abcdefghijklmnopqrstuv", "secret"),
        ("hf_abcdefghijklmnopqrstuvwxyz", "secret"),
        (JWT, "secret"),
        (PEM, "secret"),
        ("Bearer abcdef1234567890abcdef", "secret"),
        ("password: hunter2!", "secret"),
        ("Mein Passwort ist geheim99", "secret"),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "secret"),
        ("jane.doe+shop@mail.example.co.uk", "email"),
        ("jörg@müller.de", "email"),
        ("jane [at] example.org", "email"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "iban"),
        ("4111 1111 1111 1111", "card"),
        ("5500-0000-0000-0004", "card"),
        ("378282246310005", "card"),
        ("+49 170 1234567", "phone"),
        ("+1 (415) 555-2671", "phone"),
        ("(415) 555-2671", "phone"),
        ("030/1234567", "phone"),
        ("0044 20 7946 0958", "phone"),
    ],
)
def test_what_identifies_is_replaced_by_its_kind(secret: str, kind: str) -> None:
    """Nothing of it is left, and the words around it stay."""
    result = redacted(f"Well, I said {secret} and then I felt awful.")
    assert f"[{kind}]" in result
    assert result.startswith("Well, I said ")
    assert result.endswith(" and then I felt awful.")
    assert secret[-6:] not in result


def test_credentials_in_an_address_are_taken_out() -> None:
    """The host stays."""
    assert redacted("see https://jane:hunter2@example.org/x") == "see https://[secret]@example.org/x"


@pytest.mark.parametrize(
    "text",
    [
        "I'm 15 and I got 7/10, again. 3.14 is pi, 1/3 + 1/4 = 7/12.",
        "My password is terrible and the secret is that I'm sad.",
        "It cost 1,299.00 EUR on 2026-11-22 at 18:30.",
        "The order was 4111 1111 1111 1112.",
        "Ich fühle mich seit 2019 so, an 365 Tagen im Jahr.",
        "Donaudampfschifffahrtsgesellschaftskapitän",
        "Version 10.0.12345, build 20261122",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaah!!! nooooo",
    ],
)
def test_what_only_looks_similar_stays(text: str) -> None:
    """Grades, prices, dates, a card number that fails its check, long words."""
    assert redacted(text) == text


@given(text=st.text(max_size=300))
def test_any_text_is_read_and_a_second_pass_changes_nothing(text: str) -> None:
    """Replacements are not taken for secrets."""
    once = redacted(text)
    assert redacted(once) == once


@given(before=st.text(alphabet="abc .,\n", max_size=40), after=st.text(alphabet="abc .,\n", max_size=40))
def test_an_address_is_found_wherever_it_stands(before: str, after: str) -> None:
    """Between any words."""
    assert "jane.doe@example.org" not in redacted(f"{before} jane.doe@example.org {after}")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see https://shop.example.com/login?token=a8f5f167f44f4964 now", "see [url] now"),
        ("https://www.example.com/help?page=2&lang=en", "https://www.example.com/help?page=2&lang=en"),
        ("from 198.51.100.23 today", "from [ip] today"),
        ("from 2001:db8::8a2e:370:7334 today", "from [ip] today"),
        ("version 10.4.2.1 at 10:30:22", "version 10.4.2.1 at 10:30:22"),
        ("write hello (at) bakery (dot) example", "write [email]"),
        ("a senha, antes era girassol1987!", "a senha, antes era [secret]"),
        ("call me on 5550198 please", "call me on [phone] please"),
        ("order no. 030 1234567", "order no. 030 1234567"),
        ("six four six five five five oh one two three", "[phone]"),
        ("14 Larkspur Close, Netherby, ZZ9 4QT, the bell", "[address], the bell"),
        ("au 8 bis, rue des Lavoirs, 00120 Valmorin, merci", "au [address], merci"),
        ("an Lindenstraße 17a, 99998 Musterfelde, danke", "an [address], danke"),
        ("Mr. Featherstone is here", "Mr. [name] is here"),
        ("my name is Ada Quill.", "my name is [name]."),
        ("Tomasz Wilk, tomasz@example.com", "[name], [email]"),
        ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ("APIキーはsk-test-EXAMPLE9a8b7c6d5e4f3g2hです", "APIキーは[secret]です"),
        ("mail ja\u200bne.doe@exam\u200bple.org", "mail [email]"),
    ],
)
def test_kinds_are_told_from_their_look_alikes(text: str, left: str) -> None:
    """By their shape, a check, or the words before them; invisible characters split nothing."""
    assert redacted(text) == left


def test_a_megabyte_is_redacted() -> None:
    """Patterns are bounded, so this completes, and what stands at the end is found."""
    assert redacted("1" * 1_000_000 + " jane.doe@example.org").endswith(" [email]")


@pytest.mark.parametrize(
    "unit", ["-----BEGIN PRIVATE KEY-----", "ul. Ab ", "+1 ", "d'A-", "a dot ", "Mr ", "://a:", "12345 Ab ", "a@"]
)
def test_repetitions_of_what_begins_a_pattern_are_redacted(unit: str) -> None:
    """Fifty kilobytes of the worst that each pattern knows."""
    assert "jane" not in redacted(unit * (50_000 // len(unit)) + "\njane.doe@example.org")


@given(text=st.text(max_size=200))
def test_finds_are_in_order_and_apart(text: str) -> None:
    """Whatever the text, they can be replaced from the left."""
    ends = [0]
    for found in find(text):
        assert ends[-1] <= found.start < found.end <= len(text)
        ends.append(found.end)


@pytest.mark.parametrize(
    ("kind", "least"), [("secret", 8), ("email", 9), ("phone", 17), ("iban", 6), ("card", 4), ("address", 9)]
)
def test_kinds_with_a_shape_are_found_on_the_open_half(kind: str, least: int) -> None:
    """Every one of them; names have none, and docs/hostile-text.md says how few are found."""
    hits = 0
    for row in map(json.loads, (CORPORA / "pii_open.jsonl").read_text().splitlines()):
        taken = {n for found in find(row["text"]) for n in range(found.start, found.end)}
        spans = [span for span in row["spans"] if span["kind"] == kind]
        hits += sum({n for n in range(s["start"], s["end"]) if row["text"][n].isalnum()} <= taken for s in spans)
    assert hits >= least


@pytest.mark.parametrize(
    "text",
    [
        "I was sad at home. Then I left.",
        "I looked at 3.14 and so on.",
        "Look at index.html for it.",
        "We met at noon. It was fine.",
        "Estoy en casa arroba nada. Luego salí.",
    ],
)
def test_at_is_a_word_of_its_own(text: str) -> None:
    """A sentence that ends after "at home" holds no address."""
    assert redacted(text) == text


@pytest.mark.parametrize(
    "address",
    ["maria at mail.example", "maria at mail dot example", "maria (at) mail . example", "maria arroba mail punto es"],
)
def test_a_spelled_address_is_taken(address: str) -> None:
    """As hosts are written, or with a spelled dot."""
    assert "maria" not in redacted(f"write to {address} please")
