"""What happened, in words with the figures, for people who read it in a chat. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from middleware.records.event import Event

__all__ = ["GROUPS", "Said", "said"]

_MINUS = "\N{MINUS SIGN}"

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "emotion_threshold": "emotions",
        "incident_opened": "incidents",
        "incident_closed": "incidents",
        "reference_margin_crossed": "incidents",
        "reference_margin_recovered": "incidents",
        "upgrade_declared": "upgrades",
        "upgrade_noticed": "upgrades",
        "upgrade_verdict": "upgrades",
        "upgrade_withdrawn": "upgrades",
        "emotion_drift": "drift",
    }
)
"""Events that webhooks are told of, by the name that the setting `send` has for them."""

_CAUSES = {
    "users": "What users express drifted as well: the users, or what they talk about, changed.",
    "model": "What users express did not drift: the model, or how it is asked, changed.",
    "unknown": "Who changed, the users or the model, can't be told yet.",
}
_ENDS = {
    "acknowledged": "Somebody acknowledged it.",
    "declared": "An upgrade was declared.",
    "noticed": "Another version took over, which is being judged.",
    "recovered": "The score is back at the baseline's level.",
    "rolled_back": "The version before is back.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """headline: a few words; text: a sentence or two; figures: name and value, in the order to be read."""

    headline: str
    text: str
    figures: tuple[tuple[str, str], ...]


def said(event: Event, *, false_alarms_per_year: float) -> Said:
    """The event in words; one that has none of its own is named. Values that are not known are left out."""
    words = _WORDS.get(event.kind, _other)(event)
    if event.kind != "incident_opened":
        return words
    rate = f"at most {false_alarms_per_year:g} in a year, over all that this installation watches"
    return Said(words.headline, words.text, (*words.figures, ("False alarms", rate)))


def _opened(event: Event) -> Said:
    details = event.details
    model = details.get("model") or "the model"
    if details.get("kind") == "regression":
        change = _number(event, "points")
        amount = f" by {_points(-change, signed=False)} points" if change is not None and change < 0 else ""
        headline, text = f"EQ fell{amount}", f"The emotional intelligence of {model} is below its baseline."
    else:
        headline, text = "The model changed", f"{model} answers differently from its baseline, and not worse."
    return Said(headline, text, _figures(event))


def _closed(event: Event) -> Said:
    cause = str(event.details.get("cause") or "")
    kind = "regression" if event.details.get("kind") == "regression" else "change"
    seconds = _number(event, "seconds")
    lasted = (("Lasted", _span(seconds)),) if seconds is not None else ()
    text = _ENDS.get(cause, f"Cause: {cause.replace('_', ' ')}." if cause else "")
    return Said(f"Incident closed ({kind})", text, (*_figures(event), *lasted))


def _verdict(event: Event) -> Said:
    details = event.details
    verdict = str(details.get("verdict") or "undecided")
    headline = {"pass": "Upgrade passed", "regressed": "Upgrade regressed"}.get(verdict, f"Upgrade {verdict}")
    reason = str(details.get("reason") or "")
    text = f"{_versions(event)}{f': {reason}' if reason else ''}"
    return Said(headline, text if text.endswith(".") else f"{text}.", _figures(event))


def _upgrade(event: Event) -> Said:
    headline = {
        "upgrade_declared": "Upgrade declared",
        "upgrade_noticed": "Another model version answers",
        "upgrade_withdrawn": "The version before is back",
    }[event.kind]
    note = str(event.details.get("note") or "")
    return Said(headline, f"{_versions(event)}.{f' {note}' if note else ''}", _figures(event))


def _reference(event: Event) -> Said:
    crossed = event.kind == "reference_margin_crossed"
    headline = "EQ fell below the reference of record" if crossed else "EQ is back near the reference of record"
    text = "Losses that were each too small for an alarm have added up to the margin." if crossed else ""
    margin = _number(event, "margin")
    more = (("Margin", f"{_points(margin, signed=False)} points"),) if margin is not None else ()
    return Said(headline, text, (*_figures(event), *more))


def _drift(event: Event) -> Said:
    details = event.details
    emotion = details.get("emotion")
    headline = f"{emotion} drifted"
    text = _CAUSES.get(str(details.get("cause") or ""), "")
    figures = []
    before, now = _number(event, "reference_mean"), _number(event, "current_mean")
    if before is not None and now is not None:
        figures.append(("Mean intensity", f"{before:.1f} → {now:.1f} of 10"))
    if (distance := _number(event, "distance")) is not None:
        figures.append(("Moved by", f"{distance:.1f} intensity points"))
    if (conversations := _number(event, "conversations")) is not None:
        figures.append(("Conversations", f"{conversations:g}"))
    if (evidence := _number(event, "evidence")) is not None:
        figures.append(("Evidence over its limit", _times(evidence)))
    return Said(headline, text, (*_figures(event), *figures))


def _threshold(event: Event) -> Said:
    details = event.details
    text = f"Threshold: {details.get('threshold')}. An estimate from text, not a fact about a person."
    figures = [("Conversation", str(details.get("conversation"))), ("Turn", str(details.get("turn")))]
    if (row := _number(event, "turns")) is not None and row > 1:
        figures.append(("Turns in a row", f"{row:g}"))
    figures.append(("Judge", str(details.get("judge"))))
    return Said(f"{details.get('emotion')} at {_tenth(_number(event, 'intensity'))} of 10", text, tuple(figures))


def _other(event: Event) -> Said:
    return Said(event.kind.replace("_", " ").capitalize(), "", _figures(event))


_WORDS: Mapping[str, Callable[[Event], Said]] = {
    "emotion_drift": _drift,
    "emotion_threshold": _threshold,
    "incident_closed": _closed,
    "incident_opened": _opened,
    "reference_margin_crossed": _reference,
    "reference_margin_recovered": _reference,
    "upgrade_declared": _upgrade,
    "upgrade_noticed": _upgrade,
    "upgrade_verdict": _verdict,
    "upgrade_withdrawn": _upgrade,
}


def _figures(event: Event) -> tuple[tuple[str, str], ...]:
    """What events of the benchmark have in common: points with interval, since when, on how many items."""
    found: list[tuple[str, str]] = []
    points, lower, upper = (_number(event, name) for name in ("points", "lower", "upper"))
    if points is not None:
        interval = (
            f" (95 % interval {_points(lower)} to {_points(upper)})" if lower is not None and upper is not None else ""
        )
        found.append(("Change", f"{_points(points)} points{interval}"))
    if (since := _number(event, "since")) is not None:
        found.append(("Since", _moment(since)))
    if items := _number(event, "items"):
        batches = _number(event, "batches")
        found.append(("Evidence", f"{items:g} items" + (f" in {batches:g} batches" if batches else "")))
    for label, name in (("Item set", "item_set"), ("Model", "model")):
        if event.details.get(name):
            found.append((label, str(event.details[name])))
    return tuple(found)


def _versions(event: Event) -> str:
    return f"From {event.details.get('from_model') or '?'} to {event.details.get('to_model') or '?'}"


def _number(event: Event, name: str) -> float | None:
    value = event.details.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _points(value: float, *, signed: bool = True) -> str:
    text = f"{abs(value):.1f}"
    if text == "0.0":
        return text
    sign = _MINUS if value < 0 else "+" if signed else ""
    return sign + text


def _tenth(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 1000 else "more than 1000 times"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def _span(seconds: float) -> str:
    minutes = int(max(0.0, seconds) // 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
