"""The simulations on real models' answers, in a size for CI: detectors and gates keep what is promised."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.detection import answers as real
from bench.detection.study import SHORT, bars, study
from bench.detection.tables import as_markdown, bar_lines
from bench.gate.study import Case
from bench.gate.study import study as gates


@pytest.fixture(scope="module")
def answers(eqbench_dir: Path) -> real.Answers:
    return real.load(eqbench_dir)


@pytest.fixture
def tell() -> Callable[[str], None]:
    return print


def test_noise_is_what_was_measured(answers: real.Answers) -> None:
    """A run of gpt-4-0314 scores 85.7; it varies by 0.22, 0.61 and 0.98 points, and MID jitter takes it to 82.4."""
    model = answers.named("gpt-4-0314")
    assert answers.points(model) == pytest.approx(85.73, abs=0.01)
    rng = np.random.default_rng(1)
    every = np.broadcast_to(np.arange(answers.items), (600, answers.items))
    runs = [
        10.0 * answers.scores(every, real.jitter(np.broadcast_to(model, (600, *model.shape)), [n] * 600, rng)).mean(1)
        for n in real.NOISES
    ]
    assert [run.std() for run in runs] == pytest.approx([0.22, 0.61, 0.98], rel=0.1)
    assert runs[1].mean() == pytest.approx(82.4, abs=0.1)


@pytest.mark.timeout(900)
def test_the_detectors_reach_their_bars(answers: real.Answers, tell: Callable[[str], None]) -> None:
    """Falls are found in time, null years are quiet, swaps to equal models do not page, silent ones are flagged."""
    figures = study(answers, SHORT, seed=20240324, tell=tell)
    found = bars(figures)
    assert len(found) == 17
    assert [bar for bar in found if not bar.met] == [], "\n".join([as_markdown(figures), *bar_lines(found)])


@pytest.mark.timeout(300)
def test_gates_decide_wrongly_no_more_often_than_promised(answers: real.Answers, tell: Callable[[str], None]) -> None:
    """A drop of exactly the margin passes, and no drop is regressed, in at most 5 % of gates, beyond chance."""
    pair = ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-0301")
    outcomes = gates(answers, tuple(Case(*pair, drop) for drop in (0.0, 1.0)), 300, seed=1, tell=tell)
    assert len(outcomes) == 6
    slack = 2.33 * (0.05 * 0.95 / 300) ** 0.5
    assert [o for o in outcomes if o.error > 0.05 + slack] == []


@pytest.mark.timeout(300)
def test_one_pass_does_not_settle_a_point_at_middle_noise(answers: real.Answers, tell: Callable[[str], None]) -> None:
    """A loss of the margin, one pass: mostly undecided."""
    case = Case("gpt-4-0314", "gpt-4-0314", 1.0, margin=1.0, max_passes=1)
    middle = next(o for o in gates(answers, (case,), 200, seed=2, tell=tell) if o.noise == "MID")
    assert middle.shares["undecided"] > 0.5
    assert middle.error < 0.1
