"""examples/tutor: explains more simply after confusion."""

from collections.abc import Callable
from typing import Any

import pytest

from middleware.demo.model_server import MODEL_NAME

pytestmark = [pytest.mark.timeout(700), pytest.mark.xdist_group("real-model")]
LOST = "I am totally confused, I don't understand any of this. I'm completely lost."
MOST_TURNS = 10


def otherwise(said: str) -> bool:
    """Whether the tutor has explained in another way."""
    return "(simpler)" in said or "(encouraging)" in said


@pytest.fixture
def tutor(example_module: Callable[[str], Any]) -> Any:
    return example_module("tutor/tutor.py")


def test_the_style_follows_the_strongest_feeling_and_does_not_flicker(tutor: Any) -> None:
    """It begins at 6 of 10, holds down to 4, and ends below or when the reading is old."""
    style, reading = tutor.Style, tutor.Reading
    assert tutor.choose_style({}, style.PLAIN) is style.PLAIN
    assert tutor.choose_style({"Confusion": reading(6.0, 1), "Boredom": reading(5.0, 1)}, style.PLAIN) is style.SIMPLER
    assert tutor.choose_style({"Frustration": reading(9.0, 1), "Confusion": reading(7.0, 1)}, style.PLAIN) is (
        style.ENCOURAGING
    )
    assert tutor.choose_style({"Confusion": reading(4.5, 1)}, style.SIMPLER) is style.SIMPLER
    assert tutor.choose_style({"Confusion": reading(4.5, 1)}, style.PLAIN) is style.PLAIN
    assert tutor.choose_style({"Confusion": reading(3.9, 1)}, style.SIMPLER) is style.PLAIN
    assert tutor.choose_style({"Confusion": reading(9.0, 2)}, style.SIMPLER) is style.PLAIN


def test_a_lesson_with_a_confused_pupil(
    real_model: str,
    start_sidecar: Callable[..., Any],
    start_example: Callable[..., Any],
    example_config: Callable[[str], str],
    looked_at: Callable[[Any, str, int], None],
) -> None:
    """The pupil says twice that they are lost; the tutor then explains more simply."""
    sidecar = start_sidecar(real_model, example_config("tutor"))
    lesson = start_example(
        "tutor/tutor.py",
        *("--base-url", f"{sidecar.data}/v1", "--awareness", sidecar.admin),
        *("--model", MODEL_NAME, "--reply-tokens", "12", "--conversation", "lesson-1"),
    )
    for turn, line in enumerate(("What are fractions?", LOST, "Again?"), start=1):
        lesson.type(line)
        looked_at(sidecar, "lesson-1", turn)
    while not otherwise(lesson.said) and turn < MOST_TURNS:  # the tutor waits half a second for what eqwatch knows
        turn += 1
        lesson.type(LOST)
        looked_at(sidecar, "lesson-1", turn)
    assert lesson.finish() == 0
    assert otherwise(lesson.said)


def test_the_lesson_goes_on_without_eqwatch(real_model: str, start_example: Callable[..., Any]) -> None:
    """Nobody listens where the estimates should come from: the tutor says so and teaches."""
    lesson = start_example(
        "tutor/tutor.py",
        *("--base-url", f"{real_model}/v1", "--awareness", "http://127.0.0.1:9"),
        *("--model", MODEL_NAME, "--reply-tokens", "12"),
    )
    lesson.type("What are fractions?")
    assert lesson.finish() == 0
    assert "out of reach" in lesson.said
    assert len(lesson.said.splitlines()) > 2
