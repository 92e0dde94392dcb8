"""What the API says of a deployment's emotions over time."""

from collections.abc import Callable
from typing import Any

from middleware.records.emotion_report import Censoring, EmotionReport
from scorer.anticipation import Skill
from scorer.censoring import Band


def test_a_report_is_served_with_its_numbers_and_words(serve: Callable[..., Any]) -> None:
    """What is not known is null or absent, never 0."""
    report = EmotionReport(
        "support-tutor",
        1_794_500_000.0,
        ("Confusion",),
        judge="reference",
        judge_version="pinned-1",
        skill={"Confusion": Skill(0.2, 0.1, 0.3, 300, 75, 2.0)},
        censoring=Censoring(8, 1, 2, 3, 0.2, (Band(0.0, 2.0, 10, 2),)),
        words={"skill": "Share of the loss."},
    )
    admin = serve(emotions={"support-tutor": report}.get)
    with admin.client() as client:
        answer = client.get("/api/v1/deployments/support-tutor/emotions")
        assert answer.status_code == 200
        told = answer.json()
        unknown = client.get("/api/v1/deployments/shop-chat/emotions")
    assert told["skill"]["Confusion"] == {
        "value": 0.2,
        "lower": 0.1,
        "upper": 0.3,
        "turns": 300,
        "conversations": 75,
        "base_loss": 2.0,
        "reason": "",
    }
    assert (told["judge"], told["judge_version"]) == ("reference", "pinned-1")
    assert told["censoring"]["bands"] == [{"low": 0.0, "high": 2.0, "turns": 10, "censored": 2}]
    assert told["anticipation_loss"] is None
    assert told["relief"] == {}
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "emotions_unknown"
