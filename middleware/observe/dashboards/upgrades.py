"""Upgrade comparison: old version against new, overall, by branch of emotional intelligence, and by kind of failure."""

from middleware.observe.dashboards.panels import Board, Panel, Row, Step
from middleware.observe.dashboards.queries import (
    BY_SET,
    Query,
    average,
    growth,
    largest,
    latest,
    of,
    quantile,
    smallest,
    verdict,
)

__all__ = ["UPGRADES"]

_SET = "{{deployment}} · {{item_set}}"
_BELOW_ZERO = (Step(None, "red"), Step(0, "transparent"))
_MODELS = latest("upgrade_info", BY_SET, ("from_model", "to_model"))


def _by_model(expr: str) -> str:
    """The same series with the model that answered at the time, so that versions are told apart."""
    model = latest("target_info", ("deployment",), ("model_version",))
    return f"{expr} * on (deployment) group_left (model_version) {model}"


_VERDICT = Row(
    "Is the new version as good as the old one?",
    (
        Panel(
            "Newest upgrades",
            "From which model to which, and the verdict: pass, undecided or regressed; none in force while it is being "
            "compared, or once somebody accepted its level. New minus old is in points, with its 95 % interval at the "
            "last look; to the reference of record it adds up over all upgrades.",
            "table",
            (
                Query(
                    f"({verdict()}) * on (deployment, item_set) group_left (from_model, to_model) {_MODELS}",
                    "Verdict",
                    states="verdict",
                ),
                Query(smallest("upgrade_delta_points"), "Change, points"),
                Query(smallest("upgrade_delta_points_lower"), "Lower 95 %"),
                Query(smallest("upgrade_delta_points_upper"), "Upper 95 %"),
                Query(largest("upgrade_passes"), "Passes", decimals=0),
                Query(smallest("bench_reference_delta_points"), "To the record, points"),
                Query(f"1000 * {largest('upgrade_decided_timestamp_seconds')}", "Judged", unit="dateTimeAsIso"),
                Query(
                    f"(0 * {smallest('bench_score_points')}) + on (deployment) group_left () "
                    f"(1000 * {largest('target_changed_timestamp_seconds', ('deployment',))})",
                    "Model changed",
                    unit="dateTimeAsIso",
                ),
            ),
            width=24,
            height=6,
            alert="EQUpgradeRegressed",
            no_value="no upgrade seen",
            decimals=1,
            order="Verdict",
        ),
        Panel(
            "Verdict over time",
            "The verdict in force on the newest upgrade.",
            "state-timeline",
            (Query(verdict(), _SET),),
            width=24,
            height=5,
            states="verdict",
            alert="EQUpgradeUndecided",
            no_value="no upgrade seen",
        ),
        Panel(
            "Score by model version",
            "The line changes its name where the model that answers does: compare the level before with the one after.",
            "timeseries",
            (Query(_by_model(smallest("bench_score_points")), "{{deployment}} · {{model_version}}"),),
            most=100,
            alert="EQUpgradeRegressed",
            no_value="no batch yet",
            axis="points",
        ),
        Panel(
            "Change to the reference of record",
            "Score now minus that of the first accepted baseline, in points, over all upgrades since. Losses too small "
            "for an alarm of their own add up here.",
            "timeseries",
            (
                Query(smallest("bench_reference_delta_points"), _SET),
                Query(smallest("bench_reference_delta_points_lower"), _SET + " · lower"),
                Query(smallest("bench_reference_delta_points_upper"), _SET + " · upper"),
            ),
            steps=_BELOW_ZERO,
            band=True,
            alert="EQRegression",
            no_value="no accepted baseline yet",
            axis="points",
        ),
        Panel(
            "Below the reference of record",
            "Whether the losses of all upgrades together have reached the margin.",
            "state-timeline",
            (Query(largest("bench_reference_below_active"), _SET),),
            width=24,
            height=5,
            states="below",
            alert="EQRegression",
            no_value="no accepted baseline yet",
        ),
    ),
)

_WHERE = Row(
    "Where does it differ?",
    (
        Panel(
            "Score by branch: $deployment",
            "Points over the items of one branch of emotional intelligence. Few items: more chance.",
            "timeseries",
            (Query(smallest("bench_branch_score_points", (*BY_SET, "branch")), "{{branch}}"),),
            width=24,
            repeat="deployment",
            most=100,
            alert="EQUpgradeRegressed",
            no_value="no batch yet",
            axis="points",
        ),
        Panel(
            "Loss of single items",
            "100 minus the score of an item, over the window: the middle item and the worst tenth. A worst tenth that "
            "rises alone means that some kind of item got worse, not all.",
            "timeseries",
            (
                Query(
                    quantile(0.5, "bench_item_loss_points", ("deployment",), window="$window"),
                    "{{deployment}} · median",
                ),
                Query(
                    quantile(0.9, "bench_item_loss_points", ("deployment",), window="$window"),
                    "{{deployment}} · worst tenth",
                ),
            ),
            least=0,
            alert="EQUpgradeRegressed",
            no_value="no batch in the window",
            axis="points lost",
        ),
        Panel(
            "Mean loss by model version",
            "Mean of 100 minus the item's score over the window, under the name of the model that answered.",
            "timeseries",
            (Query(_by_model(average("bench_item_loss_points", BY_SET)), "{{deployment}} · {{model_version}}"),),
            least=0,
            alert="EQUpgradeRegressed",
            no_value="no batch in the window",
            axis="points lost",
        ),
        Panel(
            "Distribution of item losses",
            "How many items lost how many points, over time: a band that moves up is a fall of all items, a second "
            "band is a fall of some.",
            "heatmap",
            (Query(f"sum by (le) (increase({of('bench_item_loss_points_bucket')}[$__rate_interval]))", "{{le}}"),),
            width=24,
            unit="none",
            alert="EQUpgradeRegressed",
            no_value="no batch in the window",
        ),
    ),
)

_HOW = Row(
    "Does it answer otherwise?",
    (
        Panel(
            "Items answered otherwise",
            "Share of items whose latest answer is none of the baseline's own. Noise alone gives some: what counts is "
            "a rise over the level before. The score need not change.",
            "timeseries",
            (Query(largest("bench_answer_change_ratio"), _SET),),
            width=6,
            unit="percentunit",
            most=1,
            least=0,
            alert="EQSilentModelChange",
            no_value="no baseline yet",
        ),
        Panel(
            "Evidence that the answers changed",
            "Common logarithm: 3 means that a fair bet against a change would have lost 1,000 to 1.",
            "timeseries",
            (
                Query(largest("bench_change_evidence_log10"), "changed · " + _SET),
                Query(largest("bench_regression_evidence_log10"), "worse · " + _SET),
            ),
            least=-3,
            width=6,
            alert="EQSilentModelChange",
            no_value="no baseline yet",
            axis="power of 10",
        ),
        Panel(
            "Answers that the evidence rests on",
            "Since the statistic left the ground. Few answers and much evidence mean a large change.",
            "timeseries",
            (Query(largest("bench_evidence_items", (*BY_SET, "kind")), _SET + " · {{kind}}"),),
            unit="short",
            width=6,
            least=0,
            alert="EQRegressionSuspected",
            no_value="no evidence",
            axis="answers",
        ),
        Panel(
            "Benchmark calls by outcome",
            "Over the window. A new version that refuses, or no longer keeps to the format, shows here; it is never "
            "scored as 0.",
            "bars",
            (Query(growth("bench_items_total", ("outcome",)), "{{outcome}}"),),
            unit="short",
            width=6,
            stacked=True,
            least=0,
            alert="EQBenchmarkUnparseable",
            no_value="no batch in the window",
            axis="calls",
        ),
    ),
)

UPGRADES = Board(
    "eqwatch-upgrades",
    "eqwatch / Upgrade comparison",
    "Old version against new: verdict, size with its interval, and where the difference lies.",
    (_VERDICT, _WHERE, _HOW),
    variables=("model", "window"),
    since="now-14d",
)
