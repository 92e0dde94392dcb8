"""Secrets and identifiers do not reach a judge; what people say about their feelings does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.probe.redaction import redacted

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
