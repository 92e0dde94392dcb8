"""Overview: is EQ all right? What changed, after what, by how much, how sure, and since when?"""

from middleware.observe.dashboards.panels import Board, Panel, Row, Step
from middleware.observe.dashboards.queries import BY_SET, Query, alone, growth, largest, latest, smallest, verdict

__all__ = ["OVERVIEW", "age_in_intervals"]

_LEGEND = "{{deployment}} · {{item_set}}"
_GOOD_TO_BAD = (Step(None, "green"), Step(1, "red"))
_GOOD_TO_ODD = (Step(None, "green"), Step(1, "orange"))
_SIGNED = (Step(None, "red"), Step(-1, "orange"), Step(0, "green"))
_ISO = "dateTimeAsIso"
_NOT_PASSED = 'verdict=~"regressed|undecided"'
_SCORED = 'outcome="scored"'
# The worst counts most: an open regression 4, an open change 2, a suspicion 1.
_STATE = (
    f"clamp_max(4 * {largest('bench_regression_active')} + 2 * {largest('bench_change_active')} "
    f"+ {largest('bench_suspected_active')}, 4)"
)
_REGRESSION = 'kind="regression"'
_BY_KIND = (*BY_SET, "kind")


def age_in_intervals() -> str:
    """How long ago the last batch was, in configured intervals."""
    age = f"(time() - {largest('bench_last_success_timestamp_seconds')})"
    return f"{age} / on (deployment) group_left () {largest('bench_interval_seconds', ('deployment',))}"


def _upgraded() -> str:
    models = latest("upgrade_info", BY_SET, ("from_model", "to_model"))
    return f"({verdict()}) * on (deployment, item_set) group_left (from_model, to_model) {models}"


def _at(name: str) -> str:
    return f"1000 * {largest(name, BY_SET, _REGRESSION)}"


def _model() -> str:
    """The model that answers, as a label; the value says nothing."""
    models = latest("target_info", ("deployment",), ("model_version",))
    return f"{smallest('bench_score_points')} * on (deployment) group_left (model_version) {models}"


def _changed() -> str:
    """When the model changed, for each item set of the deployment."""
    at = largest("target_changed_timestamp_seconds", ("deployment",))
    return f"(0 * {smallest('bench_score_points')}) + on (deployment) group_left () (1000 * {at})"


_ANSWER = Row(
    "Is EQ all right?",
    (
        Panel(
            "Regressed now",
            "Deployments whose EQ regression is open as an incident: the score fell below its baseline by more than "
            "chance explains. Opened and closed by the sidecar's detector, not by this query.",
            "stat",
            (Query(f"sum({largest('bench_regression_active', ('deployment',))})", "regressed"),),
            width=4,
            height=4,
            steps=_GOOD_TO_BAD,
            alert="EQRegression",
            no_value="no baseline yet",
            decimals=0,
        ),
        Panel(
            "Answers changed",
            "Deployments that answer otherwise than at the baseline, without a declared upgrade. The score need not be "
            "worse.",
            "stat",
            (Query(f"sum({largest('bench_change_active', ('deployment',))})", "changed"),),
            width=4,
            height=4,
            steps=_GOOD_TO_ODD,
            alert="EQSilentModelChange",
            no_value="no baseline yet",
            decimals=0,
        ),
        Panel(
            "Largest drop, points",
            "Change of the EQ score to its baseline in the worst deployment. 100 points is perfect; below -1 is worth "
            "a look, and the interval in the table says whether it is chance.",
            "stat",
            (Query(alone(smallest("bench_delta_points"), "min"), "points"),),
            width=4,
            height=4,
            steps=_SIGNED,
            alert="EQRegression",
            no_value="no baseline yet",
            decimals=1,
        ),
        Panel(
            "Upgrades that did not pass",
            "Newest upgrades with the verdict regressed or undecided.",
            "stat",
            (Query(f"sum({largest('upgrade_verdict', ('deployment',), _NOT_PASSED)})", "not passed"),),
            width=4,
            height=4,
            steps=_GOOD_TO_BAD,
            alert="EQUpgradeRegressed",
            no_value="no upgrade seen",
            decimals=0,
        ),
        Panel(
            "Oldest benchmark, intervals",
            "Age of the oldest last batch, in configured intervals. From 3 on the figures on this page are stale.",
            "stat",
            (Query(alone(age_in_intervals()), "intervals"),),
            width=4,
            height=4,
            steps=(Step(None, "green"), Step(2, "orange"), Step(3, "red")),
            alert="EQBenchmarkStale",
            no_value="no batch yet",
            decimals=1,
        ),
        Panel(
            "Emotions drifted",
            "Pairs of deployment and emotion whose perceived intensities are no longer distributed as in the reference "
            "window.",
            "stat",
            (Query(f"sum({largest('drift_active', ('deployment', 'emotion'))})", "drifted"),),
            width=4,
            height=4,
            steps=_GOOD_TO_ODD,
            alert="EQEmotionDrift",
            no_value="too few probes",
            decimals=0,
        ),
        Panel(
            "Which deployment, after what, by how much, how sure",
            "One line for each deployment and item set. Change is the estimate against the baseline in points, "
            "negative is worse; where the whole interval from lower to upper is below 0, chance does not explain it. "
            "The verdict is on the newest upgrade. Where a regression is open, 'since' says from when on.",
            "table",
            (
                Query(_STATE, "State", states="eq"),
                Query(smallest("bench_delta_points"), "Change, points"),
                Query(smallest("bench_delta_points_lower"), "Lower 95 %"),
                Query(smallest("bench_delta_points_upper"), "Upper 95 %"),
                Query(smallest("bench_score_points"), "Score"),
                Query(_model()),
                Query(_upgraded(), "Verdict", states="verdict"),
                Query(_changed(), "Model changed", unit=_ISO),
                Query(_at("bench_incident_opened_timestamp_seconds"), "Open since", unit=_ISO),
            ),
            width=24,
            height=7,
            alert="EQRegression",
            no_value="no batch yet",
            decimals=1,
            order="State",
        ),
    ),
)

_CHANGE = Row(
    "What changed, and since when?",
    (
        Panel(
            "State over time",
            "What the detector said of each deployment: all right, suspected, answers changed, regressed. Empty before "
            "the first baseline.",
            "state-timeline",
            (Query(_STATE, _LEGEND),),
            width=24,
            height=5,
            states="eq",
            alert="EQRegression",
            no_value="no baseline yet",
        ),
        Panel(
            "Open incidents, and what they rest on",
            "The evidence when each began: change in points with its 95 % interval, the answers that it rests on, and "
            "the share of items that were answered otherwise. It stays as it was until the incident is closed.",
            "table",
            (
                Query(f"1000 * {largest('bench_incident_opened_timestamp_seconds', _BY_KIND)}", "Open since", _ISO),
                Query(smallest("bench_incident_points", _BY_KIND), "Change then, points"),
                Query(smallest("bench_incident_points_lower", _BY_KIND), "Lower 95 %"),
                Query(smallest("bench_incident_points_upper", _BY_KIND), "Upper 95 %"),
                Query(largest("bench_incident_items", _BY_KIND), "Answers", decimals=0),
                Query(largest("bench_incident_answer_change_ratio", _BY_KIND), "Answered otherwise", "percentunit"),
            ),
            width=24,
            height=5,
            alert="EQRegression",
            no_value="no incident is open",
            decimals=1,
            order="Open since",
        ),
        Panel(
            "Change to the baseline: $deployment",
            "Estimate in points with its 95 % interval; negative is worse. A band wholly below 0 is more than chance.",
            "timeseries",
            (
                Query(smallest("bench_delta_points"), "change · {{item_set}}"),
                Query(smallest("bench_delta_points_lower"), "lower · {{item_set}}"),
                Query(smallest("bench_delta_points_upper"), "upper · {{item_set}}"),
            ),
            width=24,
            height=8,
            steps=(Step(None, "red"), Step(0, "transparent")),
            alert="EQRegression",
            no_value="no baseline yet",
            band=True,
            repeat="deployment",
            axis="points",
        ),
        Panel(
            "EQ score",
            "Score over the last round of items, in points; 100 is perfect. Vertical marks are upgrades. After a "
            "change of model a score comes back once it is measured anew.",
            "timeseries",
            (Query(smallest("bench_score_points"), _LEGEND),),
            most=100,
            alert="EQRegression",
            no_value="no batch yet",
            axis="points",
        ),
        Panel(
            "How near the alarm is",
            "Cumulative sum of lost points over its limit. At 1 and above it asks for an alarm, which the evidence and "
            "the level must confirm; after an alarm it starts anew.",
            "timeseries",
            (Query(largest("bench_regression_cusum_ratio"), _LEGEND),),
            steps=(Step(None, "transparent"), Step(1, "red")),
            least=0,
            alert="EQRegressionSuspected",
            no_value="no baseline yet",
            axis="of its limit",
        ),
    ),
)

_TRUST = Row(
    "Can these figures be trusted?",
    (
        Panel(
            "Benchmark answers that could be scored",
            "Share of benchmark calls in the window that gave a score. What could not be read, was refused or failed "
            "is never counted as 0 points, so a low share means that the score rests on fewer items.",
            "timeseries",
            (
                Query(
                    f"{growth('bench_items_total', BY_SET, _SCORED)} / ({growth('bench_items_total', BY_SET)} > 0)",
                    _LEGEND,
                ),
            ),
            unit="percentunit",
            steps=(Step(None, "red"), Step(0.95, "transparent")),
            least=0,
            most=1,
            width=8,
            alert="EQBenchmarkUnparseable",
            no_value="no batch in the window",
        ),
        Panel(
            "Age of the last batch, in intervals",
            "1 is on time. From 3 on the deployment is no longer measured.",
            "timeseries",
            (Query(age_in_intervals(), _LEGEND),),
            steps=(Step(None, "transparent"), Step(3, "red")),
            least=0,
            width=8,
            alert="EQBenchmarkStale",
            no_value="no batch yet",
            axis="intervals",
        ),
        Panel(
            "Evidence that users' emotions are perceived otherwise",
            "Strongest evidence over the emotions of a deployment, over its limit. 1 or more rejects that nothing "
            "changed, however often one looks. The Emotions dashboard says who changed: the users or the model.",
            "timeseries",
            (Query(largest("drift_evidence_ratio", ("deployment",)), "{{deployment}}"),),
            steps=(Step(None, "transparent"), Step(1, "orange")),
            log=True,
            width=8,
            alert="EQEmotionDrift",
            no_value="too few probes",
            axis="of its limit",
        ),
    ),
)

OVERVIEW = Board(
    "eqwatch-overview",
    "eqwatch / Overview",
    "Is the emotional intelligence of every deployment all right, what changed, after what, and since when?",
    (_ANSWER, _CHANGE, _TRUST),
    variables=("model", "window"),
)
