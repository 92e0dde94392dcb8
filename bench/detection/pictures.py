"""The pictures of docs/statistics.md, drawn from the recorded answers of real models.

`python -m bench.detection.pictures` writes docs/pictures/*.svg; it needs the data that the bench needs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.detection.answers import NOISES, Answers, Noise, folder, jitter, load
from bench.detection.canvas import Line, drawing
from bench.detection.cases import STRONG, TWINS, Split, fall, regressed
from bench.detection.trials import follow
from bench.detection.worlds import BATCH_ITEMS, Rows, World, batches_per_year
from scorer.comparison import GateRules, Paired, compare, looks

__all__ = ["main"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Points = list[tuple[float, float]]

SEED = 20240324
LOW, MID, _ = NOISES
_TARGET = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_FALL = 2.0
_CHANGE_AT = 43
"""Batches before the fall: three passes."""
_SHOWN = 90
_REPLICATES = 100


def main() -> int:
    """Exit code 4: the data are not there."""
    path = folder()
    if path is None:
        print("EQWATCH_EQBENCH_DIR names no folder with response_matrix_v2.csv.gz", file=sys.stderr)
        return 4
    answers = load(path)
    _TARGET.mkdir(parents=True, exist_ok=True)
    for name, draw in (
        ("items", items_picture),
        ("daily-score", daily_picture),
        ("gauges", gauges_picture),
        ("delays", delays_picture),
        ("gate", gate_picture),
    ):
        (_TARGET / f"{name}.svg").write_text(draw(answers), encoding="utf-8")
        print(f"docs/pictures/{name}.svg", flush=True)
    return 0


def items_picture(answers: Answers) -> str:
    """The usual score of every item in order, and one more pass: items differ, passes hardly do."""
    rng = np.random.default_rng(SEED)
    model = answers.named(STRONG)
    passes = _scores(answers, model, LOW, 11, rng)
    usual = passes[:10].mean(axis=0)
    order = np.argsort(usual)
    places = range(1, answers.items + 1)
    return drawing(
        [
            Line("one more pass", _pairs(places, 10.0 * passes[10][order]), "accent", dots=True, width=0),
            Line("usual score (mean of ten passes)", _pairs(places, 10.0 * usual[order]), "ink", width=2.5),
        ],
        title=f"The {answers.items} official items as {STRONG} answers them, from the worst answered to the best",
        x="items, in order of their usual score",
        y="points",
    )


def daily_picture(answers: Answers) -> str:
    """The score of a whole run each day around a fall of 2 points: what a threshold on the score would have to see."""
    rng = np.random.default_rng(SEED)
    before = answers.named(STRONG)
    after = regressed(answers, _FALL, rng)
    days = 28
    scores = np.concatenate(
        [_scores(answers, before, MID, days // 2, rng), _scores(answers, after, MID, days // 2, rng)]
    )
    daily = 10.0 * scores.mean(axis=1)
    usual = float(daily[: days // 2].mean())
    return drawing(
        [
            Line("score of the day's run", _pairs(range(1, days + 1), daily), "accent", dots=True, width=1.5),
            Line("the model falls by 2 points", [(days / 2 + 0.5, 77.0), (days / 2 + 0.5, 85.0)], "alarm", dash="3,3"),
            Line("alarm on “the score fell by 5 %”", [(1, usual * 0.95), (days, usual * 0.95)], "quiet", dash="7,5"),
        ],
        title="One full run a day at MID noise, before and after a fall of 2 points",
        x="day",
        y="points",
        y_range=(77.0, 85.0),
    )


def gauges_picture(answers: Answers) -> str:
    """The three gauges of the same fall, each as a share of what a page needs."""
    rng = np.random.default_rng(SEED)
    after = regressed(answers, _FALL, rng)[None]
    world = World(answers, Rows.swapped(answers.named(STRONG), after, (MID,)), rng)
    needed = float(np.log10(batches_per_year(answers.items))) + float(np.log10(1 / 20))
    cusum: Points = []
    evidence: Points = []
    level: Points = []
    for t, reading in enumerate(follow(world, batches=_SHOWN, change_at=np.array([_CHANGE_AT]))):
        since = float(BATCH_ITEMS * (t + 1 - _CHANGE_AT))
        cusum.append((since, _capped(float(reading.cusum_ratios[0]))))
        evidence.append((since, _capped(float(reading.evidence_log10[0]) / needed)))
        level.append((since, _capped(float(reading.fall_lower[0]) / 0.05)))
    ends = (cusum[0][0], cusum[-1][0])
    return drawing(
        [
            Line("1 CUSUM", cusum, "accent", width=2.5),
            Line("2 evidence", evidence, "second", width=2.5),
            Line("3 level", level, "third", width=2.5),
            Line("needed for a page", [(ends[0], 1.0), (ends[1], 1.0)], "quiet", dash="7,5"),
            Line("the fall", [(0.0, 0.0), (0.0, 3.0)], "alarm", dash="3,3"),
        ],
        title="The three gauges around a fall of 2 points at MID noise",
        x="answers since the fall (batches of 12)",
        y="share of what is needed",
        y_range=(0.0, 3.0),
    )


def delays_picture(answers: Answers) -> str:
    """How many installations have been paged after so many answers."""
    rng = np.random.default_rng(SEED)
    lines = []
    for points, colour in ((5.0, "accent"), (2.0, "second"), (1.0, "third")):
        found = fall(answers, points, Split((MID,), _REPLICATES), rng, batches=300, limit_years=100)["MID"]
        delays = np.sort(found.first["regression"])
        steps: Points = [(0.0, 0.0)]
        for rank, delay in enumerate(delays[np.isfinite(delays)]):
            steps += [(float(delay), 100.0 * rank / len(delays)), (float(delay), 100.0 * (rank + 1) / len(delays))]
        end = float(300 * BATCH_ITEMS)
        lines.append(Line(f"{points:g} points", [*steps, (end, steps[-1][1])], colour, width=2.5))
    return drawing(
        lines,
        title=f"Simulated installations that have been paged, of {_REPLICATES}, after a fall at MID noise",
        x="answers since the fall (one pass is 171)",
        y="% of installations",
        y_range=(0.0, 100.0),
        x_range=(0.0, 2000.0),
    )


def gate_picture(answers: Answers) -> str:
    """The interval of "these items" at the gate's looks for three pairs of models."""
    rng = np.random.default_rng(SEED)
    strong = answers.named(STRONG)
    pairs = (
        ("same weights, other name", *(answers.named(model) for model in TWINS), "accent"),
        ("2 points worse", strong, regressed(answers, _FALL, rng), "third"),
    )
    rules = GateRules(margin=1.0, max_passes=8)
    lines: list[Line] = []
    for shift, (name, before, after, colour) in enumerate(pairs):
        old, new = (_scores(answers, model, MID, 8, rng) for model in (before, after))
        bars: list[tuple[float, float] | None] = []
        middles: Points = []
        for place, look in enumerate(looks(8), start=1):
            names = tuple(str(item) for item in range(answers.items))
            found = compare(Paired(names, old[:look], new[:look], answers.clusters), rules).these_items
            at = place + 0.12 * (shift - 0.5)
            bars += [(at, found.lower), (at, found.upper), None]
            middles.append((at, found.points))
        lines.append(Line("", bars, colour, width=6))
        lines.append(Line(name, middles, colour, dots=True, width=0))
    lines.append(Line("margin", [(0.6, -1.0), (4.4, -1.0)], "alarm", dash="7,5"))
    lines.append(Line("no difference", [(0.6, 0.0), (4.4, 0.0)], "quiet"))
    return drawing(
        lines,
        title="Candidate minus baseline at the gate's looks, with its interval, at MID noise",
        x="passes",
        y="points",
        x_range=(0.6, 4.4),
        x_labels={place: f"{look}" for place, look in enumerate(looks(8), start=1)},
    )


def _scores(answers: Answers, model: Ints, noise: Noise, passes: int, rng: np.random.Generator) -> Floats:
    noisy = jitter(np.broadcast_to(model, (passes, *model.shape)), [noise] * passes, rng)
    return answers.scores(np.broadcast_to(np.arange(answers.items), noisy.shape[:-1]), noisy)


def _pairs(x: Sequence[float], y: Floats) -> Points:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def _capped(value: float) -> float:
    return min(max(value, 0.0), 3.0)


if __name__ == "__main__":
    sys.exit(main())
