"""What the status page counts and averages."""

import pytest

from middleware.admin import DeploymentInfo
from middleware.admin.charts import emotions_chart, score_chart
from middleware.admin.drawing import level_ticks, tick_format, time_ticks
from middleware.admin.feelings import BANDS
from middleware.admin.history import history_of, run_line
from middleware.admin.view import StatusReader
from middleware.records.benchmark import ItemResult
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event

NOW = 1_794_500_000.0


def results(run, outcomes: str, scores: list[float | None]) -> list[ItemResult]:
    """One result for each item: s scored, u unparseable, e api error."""
    names = {"s": "scored", "u": "unparseable", "e": "api_error"}
    return [
        ItemResult(run.id, item, 0, names[outcome], score=score, at=NOW)
        for item, outcome, score in zip(run.item_ids, outcomes, scores, strict=True)
    ]


def test_a_run_line_has_an_interval_over_items(run_of):
    """Mean of item points, plus or minus 1.96 standard errors."""
    run = run_of(1, NOW, items=4)
    line = run_line(run, results(run, "ssss", [6.0, 7.0, 8.0, 9.0]))
    assert line.score == pytest.approx(75.0)
    assert line.upper - line.score == pytest.approx(1.96 * 12.909944 / 2)
    assert line.score - line.lower == pytest.approx(line.upper - line.score)


def test_few_items_have_no_interval_and_failed_calls_say_nothing_about_readability(run_of):
    """Missing is not zero: too few items give no interval, no answer gives no share."""
    run = run_of(1, NOW, items=4)
    line = run_line(run, results(run, "sues", [6.0, None, None, 8.0]))
    assert (line.score, line.lower, line.upper) == (70.0, None, None)
    assert line.readable == pytest.approx(2 / 3)
    failed = run_line(run, results(run, "eeee", [None] * 4))
    assert (failed.score, failed.readable) == (None, None)


def test_distributions_are_by_band_and_deployment(serve):
    """Only scored perceptions of the last day count, each in the band that it falls in."""
    info = next(info for info in _deployments() if info.name == "companion-r2")
    admin = serve(deployments=(info,))
    values = (0.0, 0.9, 1.0, 3.9, 4.0, 6.9, 7.0, 10.0)
    for turn, value in enumerate(values, 1):
        admin.store.save_probe(_probe(turn, {"Joy": value}))
    admin.store.save_probe(_probe(20, {"Joy": 9.0}, kind="anticipation"))
    admin.store.save_probe(_probe(21, {}, outcome="refused"))
    admin.store.save_probe(_probe(22, {"Joy": 9.0}, at=NOW - 90_000))
    (found,) = StatusReader(admin.state).read((), NOW).emotions
    (joy,) = found.emotions
    assert (joy.emotion, joy.turns, joy.shares) == ("Joy", 8, (0.25,) * len(BANDS))
    assert (joy.median, joy.p90) == (pytest.approx(3.95), 10.0)
    assert (found.outcomes["refused"], found.conversations) == (1, 1)


def _deployments() -> tuple[DeploymentInfo, ...]:
    return (DeploymentInfo("companion-r2", "companion", None, ("Joy", "Calm"), 0.5, sampled=True),)


def _probe(turn, emotions, kind="perception", outcome="scored", at=NOW - 50) -> ProbeResult:
    return ProbeResult("companion-r2", "c", turn, kind, outcome, emotions, "", "judge", at=at, turn_ended_at=at)


def test_finished_runs_and_past_events_are_read_once(admin, run_of):
    """A page reads what can change, not the fortnight again."""
    run = run_of(1, NOW - 100, items=1)
    admin.store.begin_run(run)
    admin.store.save_item(results(run, "s", [7.0])[0])
    admin.store.finish_run(run.id, "finished", 70.0, 1, NOW)
    admin.store.save_event(Event("benchmark_paused", "default", NOW))
    reader = StatusReader(admin.state)
    first = reader.read((), NOW)
    second = reader.read((), NOW)
    assert second.runs[0] is first.runs[0]
    assert second.events == first.events
    assert [event.kind for event in second.events] == ["benchmark_paused"]


def test_a_run_that_was_stopped_is_read_until_it_has_finished(admin, run_of):
    """It goes on under the same id, and the page must not keep saying that it was stopped."""
    run = run_of(1, NOW - 100, items=1)
    admin.store.begin_run(run)
    admin.store.finish_run(run.id, "stopped", None, None, NOW - 50)
    reader = StatusReader(admin.state)
    (stopped,) = reader.read((), NOW).runs
    admin.store.begin_run(run)
    admin.store.save_item(results(run, "s", [7.0])[0])
    admin.store.finish_run(run.id, "finished", 70.0, 1, NOW)
    (finished,) = reader.read((), NOW).runs
    assert (stopped.run.status, finished.run.status, finished.score) == ("stopped", "finished", 70.0)


def test_an_event_that_is_there_late_has_its_place(admin, monkeypatch):
    """Of two transactions the one that got the lower id may end later; each event is shown once, in order."""
    for number in range(60):
        admin.store.save_event(Event("benchmark_paused", f"d{number}", NOW))
    stored, late = admin.store.events, {58}
    monkeypatch.setattr(
        admin.store, "events", lambda since, limit: [one for one in stored(since, limit) if one.id not in late]
    )
    reader = StatusReader(admin.state)
    assert [event.id for event in reader.read((), NOW).events][:3] == [60, 59, 57]
    late.clear()
    assert [event.id for event in reader.read((), NOW).events] == list(range(60, 0, -1))


def test_a_day_is_read_once_after_all_of_it_was_saved(serve):
    """A result may wait for the store past midnight; an hour later its day is known for good."""
    admin = serve(deployments=_deployments())
    midnight = NOW - NOW % 86_400
    reader = StatusReader(admin.state)

    def joy(now: float) -> int:
        (found,) = reader.read((), now).emotions
        return sum(day.turns for row in found.emotions for day in row.days)

    admin.store.save_probe(_probe(1, {"Joy": 5.0}, at=midnight - 20))
    assert joy(midnight + 1) == 1
    admin.store.save_probe(_probe(2, {"Joy": 5.0}, at=midnight - 10))
    assert joy(midnight + 2) == 2
    assert joy(midnight + 3601) == 2
    admin.store.save_probe(_probe(3, {"Joy": 5.0}, at=midnight - 5))
    assert joy(midnight + 3602) == 2


def test_a_gate_run_is_no_point_of_the_history(admin, run_of):
    """A candidate's score does not belong to the line of the model in production."""
    for number, purpose in enumerate(("batch", "gate")):
        run = run_of(number, NOW - 100 + number, purpose=purpose)
        admin.store.begin_run(run)
        admin.store.finish_run(run.id, "finished", 70.0, 1, NOW)
    (history,) = StatusReader(admin.state).read((), NOW).histories
    assert [line.run.purpose for line in history.lines] == ["batch"]


@pytest.mark.parametrize("scores", [[70.0], [70.0, 70.0], [-150.0, 99.0], [0.0, 0.0, 0.0]])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_charts_hold_any_score(run_of, scores, size):
    """One run, equal runs and scores far below zero are drawn, each as one dot."""
    lines = []
    for number, score in enumerate(scores):
        run = run_of(number, NOW + 3600 * number, items=1)
        lines.append(run_line(run, results(run, "s", [score / 10])))
    history = history_of("default", "bundled", lines, baseline=None, baseline_points=None, events=())
    assert score_chart(history, "light", size).svg.count(b"<circle") == len(scores)


def test_ticks_are_round_and_few():
    """Moments in UTC on round steps, and levels that are never crowded."""
    hours = time_ticks(NOW, NOW + 5 * 3600, 8)
    assert all(tick % 3600 == 0 for tick in hours)
    assert 1 <= len(hours) <= 8
    assert len(time_ticks(NOW, NOW + 400 * 86_400, 8)) <= 9
    assert time_ticks(NOW, NOW, 8) == [NOW]
    assert level_ticks(55, 90) == [60.0, 70.0, 80.0, 90.0]
    assert level_ticks(-150, 100) == [-150.0, -100.0, -50.0, 0.0, 50.0, 100.0]
    assert tick_format(3600.0)(NOW) == "16:13"
    assert tick_format(60.0)(0.0) == "00:00:00"
    assert tick_format(3600.0)(0.0) == "00:00"
    assert tick_format(2 * 86_400.0)(0.0) == "1 Jan 00:00"
    assert tick_format(10 * 86_400.0)(NOW) == "12 Nov"


def test_the_emotions_chart_has_a_bar_for_each_share(serve):
    """As many rectangles as emotions times bands."""
    admin = serve(deployments=_deployments())
    admin.store.save_probe(_probe(1, {"Joy": 5.0, "Calm": 2.0}))
    (found,) = StatusReader(admin.state).read((), NOW).emotions
    svg = emotions_chart(found, "dark").svg
    assert svg.count(b'class="rect') == 2 * len(BANDS)
    assert b"Joy" in svg
