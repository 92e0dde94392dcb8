"""examples/companion: a gentler pace, and an offer to reach people; the same as a robot without a keyboard."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from middleware.demo.model_server import MODEL_NAME

pytestmark = [pytest.mark.timeout(700), pytest.mark.xdist_group("real-model")]

LOW = (
    "I feel so lonely and sad tonight, nobody is there for me.",
    "I can't bear it any more, I'm desperate and I keep crying. Everything hurts.",
    "I'm so scared and upset, I'm falling apart.",
)
MOST_TURNS = 10


@pytest.fixture
def mood(example_module: Callable[[str], Any]) -> Any:
    return example_module("companion/mood.py")


@pytest.fixture
def estimates(example_module: Callable[[str], Any]) -> Iterator[Any]:
    yield example_module("companion/estimates.py")
    sys.modules.pop("example_estimates", None)


def test_the_pace_follows_the_heaviest_feeling_and_does_not_flicker(mood: Any) -> None:
    """Gentle from 5 of 10 on, until under 3; an estimate that comes late or twice changes nothing."""
    follows, pace = mood.Mood(), mood.Pace
    follows.take(1, {"Distress": 1.0, "Loneliness": 5.0})
    assert follows.pace is pace.GENTLE
    follows.take(2, {"Distress": 4.0, "Loneliness": 3.5})
    assert follows.pace is pace.GENTLE
    follows.take(2, {"Distress": 0.0, "Loneliness": 0.0})
    assert follows.pace is pace.GENTLE
    follows.take(3, {"Distress": 2.0, "Loneliness": 2.9})
    assert follows.pace is pace.NORMAL


def test_people_are_offered_once_for_each_time_that_distress_stays_high(mood: Any) -> None:
    """Two turns at 7 or more make one offer; it has to fall before there is another."""
    follows = mood.Mood()
    offers = []
    for turn, distress in enumerate((7.0, 8.0, 9.0, 2.0, 7.0, 7.0), start=1):
        follows.take(turn, {"Distress": distress})
        offers.append(follows.take_offer())
    assert offers == [False, True, False, False, False, True]
    assert follows.offers_made == 2


def test_events_are_read_and_comments_passed_over(estimates: Any) -> None:
    """The framing of server-sent events, as far as the stream uses it."""
    lines = [": ping", "", "event: emotions", "id: 3.7", 'data: {"a":', "data: 1}", "", "data: {}", ""]
    assert list(estimates.events(lines)) == [{"a": 1}, {}]


def test_a_low_evening(
    real_model: str,
    start_sidecar: Callable[..., Any],
    start_example: Callable[..., Any],
    example_config: Callable[[str], str],
    eventually: Callable[..., Any],
    looked_at: Callable[[Any, str, int], None],
) -> None:
    """The chat shows the help line first, slows down, and calls no model for awareness."""
    sidecar = start_sidecar(real_model, example_config("companion"))
    chat = start_example(
        "companion/companion.py",
        *("--base-url", f"{sidecar.data}/v1", "--awareness", sidecar.admin),
        *("--model", MODEL_NAME, "--reply-tokens", "12", "--conversation", "evening-1"),
    )
    for turn, line in enumerate(LOW, start=1):
        chat.type(line)
        looked_at(sidecar, "evening-1", turn)
        eventually(lambda turn=turn: chat.said.count("(pace:") == turn, seconds=120, what="the turn is answered")
    while "(pace: gentle)" not in chat.said and turn < MOST_TURNS:  # the stream may lag behind what the API knows
        turn += 1
        chat.type(LOW[-1])
        eventually(lambda turn=turn: chat.said.count("(pace:") == turn, seconds=120, what="the turn is answered")
    assert chat.finish() == 0
    assert chat.said.startswith("(In danger")
    assert "(pace: gentle)" in chat.said
    assert sidecar.sum_of("eqwatch_tokens_total") == 0


def test_a_robot_without_a_keyboard(
    real_model: str,
    start_sidecar: Callable[..., Any],
    start_example: Callable[..., Any],
    example_config: Callable[[str], str],
    eventually: Callable[..., Any],
) -> None:
    """It moves gently as soon as the estimate arrives, before it is spoken to again."""
    sidecar = start_sidecar(real_model, example_config("companion"))
    robot = start_example(
        "companion/robot.py",
        *("--base-url", f"{sidecar.data}/v1", "--awareness", sidecar.admin),
        *("--model", MODEL_NAME, "--reply-tokens", "12"),
    )

    def actions() -> list[dict[str, Any]]:
        return [json.loads(line) for line in robot.said.splitlines() if line.startswith("{") and line.endswith("}")]

    robot.type(LOW[0])
    moved = eventually(
        lambda: [a for a in actions() if "say" not in a and a["move"]["motion"] == "still"],
        seconds=120,
        what="the robot moves gently on its own",
    )
    assert moved[0]["turn"] == 1
    assert robot.finish() == 0
