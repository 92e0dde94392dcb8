"""Emotions by deployment: what users feel as it is perceived, whether that drifted, and how far it can be believed."""

from middleware.observe.dashboards.panels import Board, Panel, Row, Step
from middleware.observe.dashboards.queries import Query, growth, largest, of, per_second, quantile, smallest

__all__ = ["EMOTIONS"]

_BY_EMOTION = ("deployment", "emotion")
_LEGEND = "{{emotion}}"
_BOTH = "{{deployment}} · {{emotion}}"
_LIMIT = (Step(None, "transparent"), Step(1, "orange"))
_PERFECT = 10
# Intensities from 7 on; the bucket of 6 holds all that are lower, since ratings are whole numbers or nearly.
_NOT_STRONG = 'le="6.0"'


def _share_strong() -> str:
    lower = f"increase({of('probe_intensity_bucket', _NOT_STRONG)}[$window])"
    every = f"sum by (deployment, emotion) (increase({of('probe_intensity_count')}[$window]))"
    return f"1 - sum by (deployment, emotion) ({lower}) / ({every} > 0)"


_FEELING = Row(
    "What do users feel?",
    (
        Panel(
            "Middle intensity: $deployment",
            "Median intensity of each emotion of the user over the window, 0 to 10, as the model under test perceives "
            "it. That is what the model perceives, not what users feel.",
            "timeseries",
            (Query(quantile(0.5, "probe_intensity", _BY_EMOTION, window="$window"), _LEGEND),),
            width=24,
            least=0,
            most=_PERFECT,
            alert="EQEmotionDrift",
            no_value="no probe in the window",
            repeat="deployment",
            axis="intensity",
        ),
        Panel(
            "Strong emotions: $deployment",
            "Share of probed turns of the window in which the emotion is perceived as 7 or more of 10.",
            "timeseries",
            (Query(_share_strong(), _LEGEND),),
            width=24,
            repeat="deployment",
            unit="percentunit",
            least=0,
            most=1,
            alert="EQEmotionDrift",
            no_value="no probe in the window",
        ),
        Panel(
            "Relief after the reply: $deployment",
            "Mean change of the intensity in the turn after the reply, less the change expected from where it stood. "
            "An association, not an effect of the reply; negative is a fall, good for unpleasant emotions only.",
            "timeseries",
            (Query(smallest("relief_intensity_change", _BY_EMOTION), _LEGEND),),
            width=24,
            repeat="deployment",
            no_value="no answer key, or too few turns",
            axis="intensity",
        ),
        Panel(
            "Distribution of perceived intensities",
            "All selected deployments and emotions: how many ratings of which intensity, over time. Choose one "
            "deployment above to see its own.",
            "heatmap",
            (Query(f"sum by (le) (increase({of('probe_intensity_bucket')}[$__rate_interval]))", "{{le}}"),),
            width=24,
            alert="EQEmotionDrift",
            no_value="no probe in the window",
        ),
    ),
)

_DRIFT = Row(
    "Did that drift, and who changed?",
    (
        Panel(
            "Drift of what the model perceives",
            "Drifted: evidence, distance and number of conversations all suffice.",
            "state-timeline",
            (Query(largest("drift_active", _BY_EMOTION), _BOTH),),
            width=24,
            height=9,
            states="drift",
            alert="EQEmotionDrift",
            no_value="too few conversations",
        ),
        Panel(
            "Evidence: perceived by the model",
            "Over its limit: 1 or more rejects that the intensities are distributed as in the reference window, "
            "however often one looks.",
            "timeseries",
            (Query(largest("drift_evidence_ratio", _BY_EMOTION), _BOTH),),
            steps=_LIMIT,
            log=True,
            alert="EQEmotionDrift",
            no_value="too few conversations",
            axis="of its limit",
        ),
        Panel(
            "Evidence: expressed by users",
            "The same of what users express, as the answer key rates it. If this drifts as well, the users changed; if "
            "only the panel on the left does, the model did.",
            "timeseries",
            (
                Query(
                    largest("drift_expressed_evidence_ratio", (*_BY_EMOTION, "reference")), _BOTH + " · {{reference}}"
                ),
            ),
            steps=_LIMIT,
            log=True,
            alert="EQEmotionDrift",
            no_value="no answer key, or too few conversations",
            axis="of its limit",
        ),
        Panel(
            "Size of the drift: $deployment",
            "Distance between reference and current window of perceived intensities, in intensity points. Below 0.5 it "
            "raises no alert, whatever the evidence.",
            "timeseries",
            (
                Query(largest("drift_wasserstein_distance", _BY_EMOTION), _LEGEND),
                Query(
                    largest("drift_expressed_wasserstein_distance", (*_BY_EMOTION, "reference")),
                    _LEGEND + " · expressed, {{reference}}",
                ),
            ),
            width=24,
            repeat="deployment",
            steps=(Step(None, "transparent"), Step(0.5, "orange")),
            least=0,
            alert="EQEmotionDrift",
            no_value="too few conversations",
            axis="intensity",
        ),
        Panel(
            "Conversations in the windows",
            "How much the comparison rests on. Under 200 in the current window raises no alert.",
            "timeseries",
            (Query(largest("drift_window_conversations", ("deployment", "window")), "{{deployment}} · {{window}}"),),
            width=24,
            unit="short",
            steps=(Step(None, "transparent"), Step(200, "green")),
            least=0,
            alert="EQEmotionDrift",
            no_value="no conversation yet",
            axis="conversations",
        ),
    ),
)

_FORESIGHT = Row(
    "Does the model foresee what users feel next?",
    (
        Panel(
            "Skill of anticipation: $deployment",
            "Share of the loss in foreseeing the next turn that the model's prediction removes, by emotion. 0 is no "
            "better than knowing this turn; at most 1.",
            "timeseries",
            (
                Query(smallest("anticipation_skill_ratio", _BY_EMOTION), _LEGEND),
                Query(smallest("anticipation_skill_ratio_lower", _BY_EMOTION), _LEGEND + " · lower"),
                Query(largest("anticipation_skill_ratio_upper", _BY_EMOTION), _LEGEND + " · upper"),
            ),
            width=24,
            band=True,
            alert="EQAnticipationLost",
            no_value="no answer key, or too few turns",
            repeat="deployment",
            axis="share removed",
        ),
        Panel(
            "Skill lost",
            "Lost: the interval of the skill lies wholly below that of its own reference window, of 300 turns each.",
            "state-timeline",
            (Query(largest("anticipation_lost_active", _BY_EMOTION), _BOTH),),
            width=24,
            height=7,
            states="lost",
            alert="EQAnticipationLost",
            no_value="no reference window yet",
        ),
        Panel(
            "Loss of predictions",
            "EQ-Bench loss between what was predicted for the next turn and what the user then expressed, points; the "
            "median and the worst tenth of the window.",
            "timeseries",
            (
                Query(
                    quantile(0.5, "anticipation_loss_points", ("deployment",), window="$window"),
                    "{{deployment}} · median",
                ),
                Query(
                    quantile(0.9, "anticipation_loss_points", ("deployment",), window="$window"),
                    "{{deployment}} · worst tenth",
                ),
            ),
            least=0,
            alert="EQAnticipationLost",
            no_value="no answer key, or no turn in the window",
            axis="points lost",
        ),
        Panel(
            "Predictions answered and not",
            "Answered: the turns that the skill rests on. Left: users who did not come back in time during the window; "
            "those who leave are unlike those who stay.",
            "timeseries",
            (
                Query(largest("anticipation_turns", ("deployment",)), "{{deployment}} · answered"),
                Query(growth("anticipation_censored_total", ("deployment",)), "{{deployment}} · left"),
            ),
            unit="short",
            least=0,
            alert="EQAnticipationLost",
            no_value="no answer key",
            axis="predictions",
        ),
    ),
)

_BELIEF = Row(
    "How far can these figures be believed?",
    (
        Panel(
            "Disagreement with the answer key",
            "Median EQ-Bench loss between the model's perception and the answer key's rating of the same turn, points, "
            "and its noise floor: the loss between two perceptions of one turn. Near the floor there is nothing left "
            "to explain.",
            "timeseries",
            (
                Query(
                    quantile(0.5, "probe_agreement_loss_points", ("deployment", "reference"), window="$window"),
                    "{{deployment}} · {{reference}}",
                ),
                Query(
                    quantile(0.5, "probe_retest_loss_points", ("deployment",), window="$window"),
                    "{{deployment}} · noise floor",
                ),
            ),
            least=0,
            alert="EQReferenceDisagreement",
            no_value="no answer key, or no turn in the window",
            axis="points lost",
        ),
        Panel(
            "Repeatability of the answer key",
            "Share of the variance of its ratings that the answer key gives again when it rates a turn twice: the "
            "ceiling of every comparison with it.",
            "timeseries",
            (Query(smallest("judge_retest_ratio", ("deployment", "reference")), "{{deployment}} · {{reference}}"),),
            unit="percentunit",
            least=0,
            most=1,
            alert="EQReferenceDisagreement",
            no_value="nothing rated twice yet",
        ),
        Panel(
            "Turns by outcome of their probes",
            "Over the window: probed and scored, or why not. What is left out biases what is seen.",
            "bars",
            (Query(growth("probe_conversations_total", ("outcome",)), "{{outcome}}"),),
            unit="short",
            width=8,
            stacked=True,
            least=0,
            alert="EQProbeCoverageLow",
            no_value="no sampled turn in the window",
            axis="turns",
        ),
        Panel(
            "Ratings of the answer key by outcome",
            "Over the window.",
            "bars",
            (Query(growth("judge_ratings_total", ("reference", "outcome")), "{{reference}} · {{outcome}}"),),
            unit="short",
            width=8,
            stacked=True,
            least=0,
            alert="EQReferenceDisagreement",
            no_value="no answer key",
            axis="turns",
        ),
        Panel(
            "Text that looks like steering the judge",
            "Probed turns of the window whose user text tells the judge what to answer. They are probed all the same.",
            "bars",
            (Query(growth("injection_flags_total", ("deployment",)), "{{deployment}}"),),
            unit="short",
            width=8,
            stacked=True,
            least=0,
            no_value="none seen",
            axis="turns",
        ),
    ),
)

_USE = Row(
    "Does the application use it?",
    (
        Panel(
            "Calls that were informed",
            "Share of calls before which the application read an estimate, among those for which one was there.",
            "timeseries",
            (Query(smallest("awareness_adoption_ratio", ("deployment",)), "{{deployment}}"),),
            unit="percentunit",
            least=0,
            most=1,
            no_value="nobody reads",
        ),
        Panel(
            "Relief, with and without a read",
            "Relief after calls before which an estimate was read, and after the others. An association: applications "
            "read where they expect trouble.",
            "timeseries",
            (Query(smallest("relief_read_intensity_change", (*_BY_EMOTION, "read")), _BOTH + " · read: {{read}}"),),
            no_value="nobody reads, or too few turns",
            axis="intensity",
        ),
        Panel(
            "Reads by the application",
            "Per second, by channel and outcome.",
            "timeseries",
            (Query(per_second("awareness_reads_total", ("channel", "outcome")), "{{channel}} · {{outcome}}"),),
            unit="reqps",
            least=0,
            no_value="nobody reads",
        ),
        Panel(
            "Age of the emotions when read",
            "Old emotions are of little use to the next reply: the median, and the age that 1 read in 20 exceeds.",
            "timeseries",
            (
                Query(quantile(0.5, "awareness_age_seconds"), "median"),
                Query(quantile(0.95, "awareness_age_seconds"), "1 in 20 is older"),
            ),
            unit="s",
            least=0,
            no_value="nobody reads",
        ),
    ),
)

EMOTIONS = Board(
    "eqwatch-emotions",
    "eqwatch / Emotions by deployment",
    "What users feel as it is perceived, whether that drifted, who changed, and how far it can be believed.",
    (_FEELING, _DRIFT, _FORESIGHT, _BELIEF, _USE),
    variables=("window",),
)
