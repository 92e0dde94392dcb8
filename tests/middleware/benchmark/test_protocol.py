"""Protocols and the calls that follow from them."""

import hashlib
from dataclasses import replace

import pytest

from middleware.benchmark.protocol import make_protocol, messages_for, schema_for
from middleware.errors import ConfigurationError
from scorer.items import ItemSet


def test_defaults(small_set: ItemSet) -> None:
    """Without wishes a set of ours is asked as EQ-Bench asks, in one pass, and read tolerantly."""
    protocol = make_protocol(small_set)
    assert (protocol.temperature, protocol.max_tokens, protocol.seed) == (0.01, 60, None)
    assert (protocol.scoring_profile, protocol.revise, protocol.answer_format) == ("tolerant", False, "text")
    assert make_protocol(replace(small_set, official=True)).scoring_profile == "official"


def test_revision_needs_room(small_set: ItemSet) -> None:
    """A revision gets 1000 tokens, and v1 always asks for one."""
    assert make_protocol(small_set, revise=True).max_tokens == 1000
    v1 = make_protocol(replace(small_set, version="v1"))
    assert (v1.revise, v1.max_tokens) == (True, 1000)
    assert make_protocol(small_set, revise=True, max_tokens=77).max_tokens == 77


def test_everything_is_in_the_key(small_set: ItemSet) -> None:
    """Whatever changes what is asked or how it is read changes the key."""
    variants = [
        make_protocol(small_set),
        make_protocol(replace(small_set, sha256="1" * 64)),
        make_protocol(small_set, profile="lm-eval"),
        make_protocol(small_set, revise=True),
        make_protocol(small_set, answer_format="json_schema"),
        make_protocol(small_set, temperature=0.5),
        make_protocol(small_set, max_tokens=61),
        make_protocol(small_set, seed=1),
        make_protocol(small_set, system_prompt="Be brief."),
    ]
    assert len({protocol.key for protocol in variants}) == len(variants)
    assert make_protocol(small_set).key == variants[0].key


def test_combinations_without_a_score(small_set: ItemSet) -> None:
    """Structured answers can hold no critique, and only the tolerant profile reads them."""
    for wrong in (
        lambda: make_protocol(small_set, answer_format="json_schema", revise=True),
        lambda: make_protocol(replace(small_set, version="v1"), answer_format="json_schema"),
        lambda: make_protocol(small_set, answer_format="json_schema", profile="official"),
    ):
        with pytest.raises(ConfigurationError, match="use"):
            wrong()
    official = replace(small_set, official=True)
    assert make_protocol(official, answer_format="json_schema").scoring_profile == "tolerant"


def test_messages(small_set: ItemSet) -> None:
    """One user message, after the system prompt if the protocol has one; another system prompt is a defect."""
    item = small_set.items[0]
    plain = make_protocol(small_set)
    assert [message["role"] for message in messages_for(item, small_set, plain, "")] == ["user"]
    assert schema_for(item, plain) is None
    briefed = make_protocol(small_set, system_prompt="Be brief.", answer_format="json_schema")
    assert messages_for(item, small_set, briefed, "Be brief.")[0] == {"role": "system", "content": "Be brief."}
    assert briefed.system_prompt_sha256 == hashlib.sha256(b"Be brief.").hexdigest()
    assert schema_for(item, briefed)["required"] == list(item.emotions)
    with pytest.raises(ValueError, match="system prompt"):
        messages_for(item, small_set, briefed, "")
