"""Handing in exchanges over HTTP: the shape of the body, the token, the limits, and errors that quote nothing."""

from collections.abc import Sequence
from typing import Any

import pytest

from middleware.admin import Access
from middleware.admin.errors import ApiError
from middleware.records.report import Arrived, Report

READ, OPERATE, INGEST = "read-token-0123456789", "operate-token-0123456789", "ingest-token-0123456789"
SECRET = "my deepest secret"
ONE = {"messages": [{"role": "user", "content": "hi"}]}


class Taking:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.reported: list[Report] = []
        self.observed: list[bytes] = []

    async def reports(self, reports: Sequence[Report], source: str = "api") -> Arrived:  # noqa: ARG002 - the protocol's
        self.reported += reports
        return Arrived(len(reports), 0, {"not_sampled": 1})

    async def observations(self, body: bytes) -> Arrived:
        if body == b"{}":
            raise ApiError(409, "other_salt", "Another salt.")
        self.observed.append(body)
        return Arrived(0, 1)


@pytest.fixture
def taking() -> Taking:
    return Taking()


def test_one_exchange_or_several_are_handed_in(serve: Any, taking: Taking) -> None:
    """202 with what became of them; every field arrives as it was given."""
    full = {
        **ONE,
        "reply": {"role": "assistant", "content": "Hello!"},
        "model": "m",
        "dialect": "anthropic_messages",
        "system": "You teach.",
        "deployment": "tutor",
        "conversation": "lesson-7",
        "id": "one",
        "path": "/v1/chat",
        "key_id": "00112233445566aa",
        "opt_out": True,
        "at": 12.5,
        "response_id": "r2",
        "previous_response_id": "r1",
    }
    with serve(ingest=taking).client() as client:
        answer = client.post("/api/v1/exchanges", json=full)
        assert answer.status_code == 202
        assert answer.json() == {"accepted": 1, "duplicates": 0, "dropped": {"not_sampled": 1}}
        assert client.post("/api/v1/exchanges", json={"exchanges": [ONE, ONE]}).json()["accepted"] == 2
    first, *others = taking.reported
    assert first == Report(**full)
    assert others == [Report(ONE["messages"])] * 2


@pytest.mark.parametrize(
    ("body", "where", "got", "fix"),
    [
        ({}, ["messages"], "an object with 0 fields", "add it"),
        ({"messages": SECRET}, ["messages"], f"text of {len(SECRET)} characters", "write a list"),
        ({"messages": []}, ["messages"], "a list of 0", "at least so many characters or entries: 1"),
        ({"messages": [SECRET]}, ["messages", "0"], f"text of {len(SECRET)} characters", "write an object"),
        ({**ONE, "dialect": SECRET}, ["dialect"], f"text of {len(SECRET)} characters", "'openai_chat'"),
        ({**ONE, "id": SECRET * 20}, ["id"], "text of 340 characters", "at most so many characters or entries: 200"),
        ({**ONE, "deployment": SECRET}, ["deployment"], f"text of {len(SECRET)} characters", "write what matches"),
        ({**ONE, "key_id": SECRET}, ["key_id"], f"text of {len(SECRET)} characters", "[0-9a-f]{16}"),
        ({**ONE, "at": SECRET}, ["at"], f"text of {len(SECRET)} characters", "write a number"),
        ({**ONE, "at": -1}, ["at"], "a number", "at least 0"),
        ({**ONE, "reply": 7}, ["reply"], "a number", ""),
        ({**ONE, "opt_out": SECRET}, ["opt_out"], f"text of {len(SECRET)} characters", "write true or false"),
        ({**ONE, SECRET: 1}, ["(a name)"], "a number", "remove it"),
        ({"exchanges": []}, ["exchanges"], "a list of 0", "at least so many characters or entries: 1"),
        ({"exchanges": [ONE] * 101}, ["exchanges"], "a list of 101", "at most so many characters or entries: 100"),
        ({"exchanges": [ONE, {"messages": 7}]}, ["exchanges", "1", "messages"], "a number", "write a list"),
    ],
)
def test_what_does_not_fit_is_named_with_its_kind_and_the_fix(
    serve: Any, taking: Taking, body: Any, where: list[str], got: str, fix: str
) -> None:
    """Field, kind of value and remedy, never the value itself; nothing of the batch is taken."""
    with serve(ingest=taking).client() as client:
        answer = client.post("/api/v1/exchanges", json=body)
    assert answer.status_code == 422
    problem = answer.json()["error"]["problems"][0]
    assert problem["where"][: len(where) + 1] == ["body", *where]
    assert problem["got"] == got
    assert fix in problem["fix"]
    assert SECRET not in answer.text
    assert not taking.reported


def test_the_ingest_token_hands_in_and_does_nothing_else(serve: Any, taking: Taking) -> None:
    """Reading needs the read token, handing in does not accept it, the operate token may do all."""
    access = Access.for_listener("0.0.0.0:8081", read_token=READ, operate_token=OPERATE, ingest_token=INGEST)
    admin = serve(access=access, ingest=taking)
    paths = ("/api/v1/exchanges", "/api/v1/observations")
    for token, expected in ((INGEST, {202}), (OPERATE, {202}), (READ, {403}), ("wrong", {401})):
        with admin.client(authorization=f"Bearer {token}") as client:
            assert {client.post(path, json=ONE).status_code for path in paths} == expected, token
    with admin.client(authorization=f"Bearer {INGEST}") as client:
        assert client.get("/metrics").status_code == 403
        assert client.get("/api/v1/conversations/x/emotions").status_code == 403
        assert client.post("/api/v1/conversations/lookup", json=ONE).status_code == 403
        assert client.post("/api/v1/benchmark/pause").status_code == 403
        assert client.get("/api/v1/exchanges").status_code == 403


def test_a_delivery_of_an_observer_is_passed_on_as_it_came(serve: Any, taking: Taking) -> None:
    """Only as JSON, since a page elsewhere may send plain text unasked; refusals have their reason."""
    with serve(ingest=taking).client() as client:
        sent = client.post("/api/v1/observations", content=b"[1]", headers={"content-type": "application/json"})
        assert (sent.status_code, sent.json()) == (202, {"accepted": 0, "duplicates": 1, "dropped": {}})
        assert client.post("/api/v1/observations", content=b"[1]").status_code == 415
        refused = client.post("/api/v1/observations", json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "other_salt")
    assert taking.observed == [b"[1]"]


def test_a_process_that_takes_nothing_says_so(serve: Any) -> None:
    """And where to go."""
    with serve().client() as client:
        assert client.post("/api/v1/exchanges", json=ONE).status_code == 501
