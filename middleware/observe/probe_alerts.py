"""Alerts on probes of conversations: drift, agreement with the answer key, anticipation, coverage."""

from middleware.observe.promql import BY_DEPLOYMENT, figure, found, held, place, select
from middleware.observe.recordings import AGREEMENT_LOSS, AGREEMENT_TURNS, COVERAGE, ELIGIBLE
from middleware.observe.rule import Alert, Recording

__all__ = ["PROBE_ALERTS"]

_BY_EMOTION = (*BY_DEPLOYMENT, "emotion")
_AT_EMOTION = place("deployment", "emotion")
# The number of conversations is the deployment's, over all emotions.
_ON_DEPLOYMENT = f"on ({', '.join(BY_DEPLOYMENT)})"


_CONVERSATIONS = held("drift_window_conversations", BY_DEPLOYMENT, window="current")


def _of_deployment(selector: str) -> str:
    """In a text: a number that the deployment has as a whole, where the alert is about one emotion."""
    query = selector.replace("{", "{%s,") if "{" in selector else f"{selector}{{%s}}"
    return place("deployment").replace("$at", "$all") + found(f"max({query})", "value | printf `%.0f`", "$all")


def _recorded(rule: Recording, form: str = "%.0f") -> str:
    """In a text: the value of a recording rule at the place."""
    return found(f"{rule.name}{{%s}}", f"value | printf `{form}`")


_DRIFT = Alert(
    name="EQEmotionDrift",
    severity="warning",
    expr=f"""\
{held("drift_active", _BY_EMOTION)} == 1
unless {held("drift_evidence_ratio", _BY_EMOTION)} < @{{drift_evidence}}
unless {held("drift_wasserstein_distance", _BY_EMOTION)} <= @{{drift_distance}}
unless {_ON_DEPLOYMENT} {_CONVERSATIONS} < @{{drift_conversations}}""",
    hold="10m",
    keep="1h",
    summary="{{ $labels.emotion }} as the model of {{ $labels.deployment }} perceives it has drifted",
    description=(
        f"{_AT_EMOTION}Distance between reference and current window: {figure('drift_wasserstein_distance', '%.2f')} "
        f"intensity points; evidence over its limit: {figure('drift_evidence_ratio', '%.1f')}; conversations in the "
        "current window: "
        + _of_deployment(select("drift_window_conversations", window="current"))
        + ". Whether the users changed or the model's eye did: compare with the drift of what users expressed."
    ),
    when="What the model perceives has drifted: evidence, distance and number of conversations suffice.",
    floor="`drift_conversations` conversations, a distance over `drift_distance`, evidence of `drift_evidence`",
    carries=("deployment", "emotion"),
)

_DISAGREEMENT = Alert(
    name="EQReferenceDisagreement",
    severity="warning",
    expr=f"""\
({AGREEMENT_LOSS.name} - {AGREEMENT_LOSS.name} offset 7d) > @{{disagreement_points}}
and {AGREEMENT_TURNS.name} >= @{{disagreement_turns}}
and {AGREEMENT_TURNS.name} offset 7d >= @{{disagreement_turns}}""",
    hold="1h",
    keep="6h",
    summary="The model of {{ $labels.deployment }} and its {{ $labels.reference }} disagree more than a week ago",
    description=(
        f"{place('deployment', 'reference')}The mean loss between the model's perception and the answer key rose by "
        f"{{{{ $value | printf `%.1f` }}}} points within 7 days, to {_recorded(AGREEMENT_LOSS, '%.1f')}, over "
        f"{_recorded(AGREEMENT_TURNS)} rated turns. It is a change; it is quality only where the answer key is the "
        "better one of the two."
    ),
    when="The mean agreement loss of a week is over that of the week before by `disagreement_points`.",
    floor="`disagreement_turns` rated turns in each of both weeks and a rise of `disagreement_points`",
    carries=("deployment", "reference"),
)

_ANTICIPATION = Alert(
    name="EQAnticipationLost",
    severity="warning",
    expr=f"""\
{held("anticipation_lost_active", _BY_EMOTION)} == 1
unless {held("anticipation_skill_ratio", _BY_EMOTION)} > @{{anticipation_skill}}
unless {_ON_DEPLOYMENT} {held("anticipation_turns", BY_DEPLOYMENT)} < @{{anticipation_turns}}""",
    hold="10m",
    keep="1h",
    summary="The model of {{ $labels.deployment }} no longer foresees {{ $labels.emotion }}",
    description=(
        f"{_AT_EMOTION}Skill in foreseeing the user's next turn: {figure('anticipation_skill_ratio', '%.3f')} (95 % "
        f"interval {figure('anticipation_skill_ratio_lower', '%.3f')} to "
        f"{figure('anticipation_skill_ratio_upper', '%.3f')}), below the interval of its own reference window; "
        f"predictions with an answer: {_of_deployment(select('anticipation_turns'))}."
    ),
    when="The upper bound of the skill is under the lower bound of its own reference window.",
    floor="`anticipation_turns` predictions; the effect floor is that the two intervals do not meet",
    carries=("deployment", "emotion"),
)

_COVERAGE = Alert(
    name="EQProbeCoverageLow",
    severity="info",
    expr=f"{COVERAGE.name} < @{{coverage_ratio}}\nand {ELIGIBLE.name} >= @{{coverage_turns}}",
    hold="30m",
    keep="30m",
    summary="Fewer conversations of {{ $labels.deployment }} are probed than configured",
    description=(
        f"{place('deployment')}{{{{ $value | humanizePercentage }}}} of {_recorded(ELIGIBLE)} eligible turns in six "
        "hours were probed. What is missing is counted by outcome: a full queue, the budget, a pause, or calls that "
        "failed."
    ),
    when="Less than `coverage_ratio` of the eligible turns of six hours were probed.",
    floor="`coverage_turns` eligible turns and a share under `coverage_ratio`",
    carries=("deployment",),
)

PROBE_ALERTS: tuple[Alert, ...] = (_DRIFT, _DISAGREEMENT, _ANTICIPATION, _COVERAGE)
