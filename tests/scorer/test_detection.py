"""The detector: what alarms, what does not, and what it remembers."""

import json
from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest

from scorer.baseline import Baseline, Observation
from scorer.detection import Detector, DetectorConfig, DetectorState, Reading
from scorer.detection.panel import Panel, PanelBatch

_PER_YEAR = 5201.0
_USUAL = (1.0, 6.0, 2.0, 0.0)
_OTHER = (4.0, 2.0, 2.0, 3.0)


class _Model:
    """Answers with a mean score per item and normal noise; a share of the items can be spoilt."""

    def __init__(self, items: int, noise: float, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.means = self.rng.uniform(6.0, 9.5, items)
        self.noise = noise
        self.lost = np.zeros(items)

    def ask(self, item: int) -> Observation:
        score = min(10.0, self.means[item] - self.lost[item] + self.rng.normal(0.0, self.noise))
        usual = _OTHER if self.lost[item] else _USUAL
        steps = self.rng.integers(-1, 2, 4) if self.noise else np.zeros(4)
        return Observation(f"i{item}", score, tuple(float(v + s) for v, s in zip(usual, steps, strict=True)))

    def one_pass(self) -> list[Observation]:
        return [self.ask(int(item)) for item in self.rng.permutation(len(self.means))]

    def batches(self, size: int = 12) -> "list[list[Observation]]":
        asked = self.one_pass()
        return [asked[k : k + size] for k in range(0, len(asked), size)]


def _commissioned(model: _Model, passes: int = 10) -> Detector:
    baseline = Baseline.from_passes([model.one_pass() for _ in range(passes)], protocol_key="key")
    return Detector(baseline, DetectorConfig(batches_per_year=_PER_YEAR))


def _watch(
    detector: Detector, state: DetectorState, batches: Sequence[Sequence[Observation]]
) -> tuple[DetectorState, list[Reading]]:
    readings = []
    for batch in batches:
        state, reading = detector.update(state, batch)
        readings.append(reading)
    return state, readings


def test_a_model_that_stays_as_it_is_raises_nothing_in_a_month() -> None:
    """Thirty passes of an unchanged model neither page nor warn, and the loss stays around zero."""
    model = _Model(60, 0.7, seed=1)
    detector = _commissioned(model)
    _, readings = _watch(detector, detector.start(), [batch for _ in range(30) for batch in model.batches()])
    assert not any(r.regression or r.change for r in readings)
    assert abs(readings[-1].delta_points or 99.0) < 3.0


def test_a_fall_of_five_points_pages_within_two_passes() -> None:
    """A third of the items loses 1.5 item units: the page comes before every item was asked twice more."""
    model = _Model(60, 0.7, seed=2)
    detector = _commissioned(model)
    state, _ = _watch(detector, detector.start(), model.batches())
    model.lost[model.rng.permutation(60)[:20]] = 1.5
    _, readings = _watch(detector, state, [*model.batches(), *model.batches()])
    assert any(r.regression for r in readings)
    assert readings[-1].delta_upper is not None
    assert readings[-1].delta_upper < 0.0
    assert readings[-1].suspected


def test_other_answers_with_equal_scores_warn_and_do_not_page() -> None:
    """A silent swap: every answer is another one, the mean score is the same, item scores are reshuffled."""
    model = _Model(60, 0.4, seed=3)
    detector = _commissioned(model)
    state, _ = _watch(detector, detector.start(), model.batches())
    shuffled = model.rng.normal(0.0, 1.0, 60)
    model.lost = shuffled - shuffled.mean() - 0.02
    _, readings = _watch(detector, state, [batch for _ in range(10) for batch in model.batches()])
    assert any(r.change for r in readings[:4])
    assert not any(r.regression for r in readings)


def test_zero_noise_is_not_infinite_confidence() -> None:
    """Replayed answers of 24 items: half a point less on every item, for a month, is not a page."""
    model = _Model(24, 0.0, seed=4)
    detector = _commissioned(model, passes=5)
    worse = [[Observation(o.item_id, (o.score or 0.0) - 0.05, o.answer) for o in batch] for batch in model.batches()]
    _, readings = _watch(detector, detector.start(), worse * 30)
    assert not any(r.suspected or r.regression for r in readings)
    assert readings[-1].delta_points == pytest.approx(-0.5)
    assert readings[-1].delta_lower is not None
    assert readings[-1].delta_lower < -0.5


def test_a_weaker_model_behind_a_small_replayed_set_pages_within_three_passes() -> None:
    """24 items, five passes, no noise: what the demonstration shows."""
    model = _Model(24, 0.0, seed=5)
    detector = _commissioned(model, passes=5)
    state, calm = _watch(detector, detector.start(), model.batches())
    model.lost[:] = np.abs(model.rng.normal(1.0, 1.0, 24))
    _, readings = _watch(detector, state, model.batches() * 3)
    assert not any(r.regression for r in calm)
    assert any(r.regression for r in readings)


def test_scores_that_fall_without_other_answers_page_too() -> None:
    """Where no answers are kept, nothing dates the change, and the score CUSUM does."""
    model = _Model(60, 0.5, seed=6)
    detector = _commissioned(model)
    model.lost[:30] = 1.5
    blind = [[Observation(o.item_id, o.score) for o in batch] for _ in range(4) for batch in model.batches()]
    _, readings = _watch(detector, detector.start(), blind)
    assert any(r.regression for r in readings)
    assert readings[-1].answer_change_ratio is None


def test_what_cannot_be_read_is_skipped_and_changes_nothing() -> None:
    """Unreadable answers, unknown items and scores that are not numbers leave the state as it was."""
    model = _Model(24, 0.3, seed=7)
    detector = _commissioned(model)
    state, _ = _watch(detector, detector.start(), model.batches())
    odd = [Observation("i0", None), Observation("unknown", 3.0), Observation("i1", float("nan"))]
    after, reading = detector.update(state, odd)
    assert after == state
    assert (reading.used, reading.skipped) == (0, 3)


def test_a_state_survives_json_bit_for_bit() -> None:
    """A restart between any two batches loses no evidence."""
    model = _Model(24, 0.3, seed=8)
    detector = _commissioned(model)
    straight = restarted = detector.start()
    for batch in model.batches() * 3:
        straight, expected = detector.update(straight, batch)
        restarted = DetectorState.from_dict(json.loads(json.dumps(restarted.to_dict())))
        restarted, reading = detector.update(restarted, batch)
        assert reading == expected
    assert restarted == straight


def test_a_state_of_another_baseline_is_refused() -> None:
    """Evidence against one baseline says nothing against another."""
    first, second = (_commissioned(_Model(24, 0.3, seed=seed)) for seed in (9, 10))
    with pytest.raises(ValueError, match="another baseline"):
        second.update(first.start(), [])
    with pytest.raises(ValueError, match="schema"):
        DetectorState.from_dict({"schema": 0})


def test_calibration_is_seeded_and_can_be_given() -> None:
    """Equal seeds give equal limits; given limits are taken as they are."""
    model = _Model(24, 0.3, seed=11)
    detector = _commissioned(model)
    again = Detector(detector.baseline, detector.config)
    assert again.cusum_limits == detector.cusum_limits
    given = Detector(detector.baseline, detector.config, cusum_limits=(7.0, 3.0))
    assert given.cusum_limits == (7.0, 3.0)


def test_fewer_allowed_alarms_ask_for_more() -> None:
    """A tenth of the false alarms raises the limits and the evidence that is wanted by a factor of ten."""
    model = _Model(24, 0.6, seed=12)
    detector = _commissioned(model)
    strict = Detector(detector.baseline, DetectorConfig(batches_per_year=_PER_YEAR, false_alarms_per_year=0.1))
    assert all(s > d for s, d in zip(strict.cusum_limits, detector.cusum_limits, strict=True))
    assert strict.config.threshold == pytest.approx(10.0 * detector.config.threshold)


def test_a_restart_forgets_one_question_and_keeps_the_other() -> None:
    """Restarting "worse?" clears its evidence and its window; the evidence on "different?" stays, and the reverse."""
    model = _Model(24, 0.3, seed=13)
    detector = _commissioned(model)
    model.lost[:] = 2.0
    state, readings = _watch(detector, detector.start(), model.batches() * 3)
    scores = detector.restart(state, "regression")
    assert scores.log_evidence == detector.start().log_evidence
    assert scores.log_change == state.log_change
    answers = detector.restart(state, "change")
    assert answers.log_change == detector.start().log_change
    assert answers.cusums == state.cusums
    assert readings[-1].balanced
    _, reading = detector.update(scores, model.batches()[0])
    assert not reading.balanced


def test_evidence_is_capped() -> None:
    """A year of clear loss does not pile up beyond what a restart or a recovery could clear."""
    model = _Model(24, 0.3, seed=14)
    detector = _commissioned(model)
    model.lost[:] = 5.0
    _, readings = _watch(detector, detector.start(), model.batches() * 100)
    assert readings[-1].e_log10 <= 70.0 / np.log(10.0)
    assert readings[-1].cusum_ratio <= 10.0


def test_a_row_of_many_is_the_detector_of_one() -> None:
    """What the bench simulates side by side is what production computes alone."""
    models = [_Model(24, 0.5, seed=seed) for seed in (20, 21, 22)]
    detectors = [_commissioned(model) for model in models]
    panel = Panel.of([d.baseline for d in detectors], np.array([d.cusum_limits for d in detectors]))
    statistics, states = panel.start(), [d.start() for d in detectors]
    index = [{item_id: i for i, item_id in enumerate(d.baseline.item_ids)} for d in detectors]
    for batches in islice(zip(*(model.batches() * 4 for model in models), strict=True), 6):
        items = np.array([[index[r][o.item_id] for o in batch] for r, batch in enumerate(batches)])
        distances = [
            [detectors[r].baseline.distance(int(items[r, k]), o.answer or ()) for k, o in enumerate(batch)]
            for r, batch in enumerate(batches)
        ]
        scores = np.array([[o.score for o in batch] for batch in batches], dtype=np.float64)
        statistics, numbers = panel.advance(statistics, PanelBatch(items, scores, np.array(distances, dtype=float)))
        for r, batch in enumerate(batches):
            states[r], reading = detectors[r].update(states[r], batch)
            assert reading.e_log10 == pytest.approx(float(numbers.evidence_log10[r]))
            assert reading.change_e_log10 == pytest.approx(float(numbers.change_log10[r]))
            assert reading.cusum_ratio == pytest.approx(float(numbers.cusum_ratios[r]))
