"""The figures as Markdown tables."""

from collections.abc import Iterator, Mapping, Sequence

from bench.anchor.labelled import Labelled
from bench.anchor.measures import LEAST, MEASURES, Interval, Ratings, measured

__all__ = ["Figures", "figures", "tables"]

Figures = Mapping[str, Mapping[str, Interval]]


def figures(messages: Sequence[Labelled], ratings: Mapping[str, Ratings], main: str) -> dict[str, Figures]:
    """``raters``: each rater on all messages; ``groups``: the main rater on each group of at least LEAST messages."""
    found: dict[str, dict[str, Interval]] = {}
    for name, members in _groups(messages):
        if len(members) >= LEAST:
            found[f"{name} ({len(members)})"] = measured(
                [_narrowed(messages[i], name) for i in members], [ratings[main][i] for i in members]
            )
    return {"raters": {name: measured(messages, given) for name, given in ratings.items()}, "groups": found}


def tables(found: Mapping[str, Figures]) -> str:
    """One table for each part."""
    return "\n\n".join("\n".join(_table(name, part)) for name, part in found.items())


def _table(name: str, part: Figures) -> Iterator[str]:
    yield "| " + " | ".join([name, *MEASURES]) + " |"
    yield "| " + " | ".join(["---"] * (len(MEASURES) + 1)) + " |"
    for row, values in part.items():
        yield "| " + " | ".join([row, *(_cell(values[measure]) for measure in MEASURES)]) + " |"


def _cell(interval: Interval) -> str:
    return "-" if interval.value != interval.value else str(interval)


def _groups(messages: Sequence[Labelled]) -> Iterator[tuple[str, list[int]]]:
    places = range(len(messages))
    yield "ordinary", [i for i in places if not messages[i].hard]
    yield "hard", [i for i in places if messages[i].hard]
    for group in ("irony", "politeness", "mixed", "codeswitch"):
        yield group, [i for i in places if messages[i].group == group]
    for domain in dict.fromkeys(message.domain for message in messages):
        yield domain, [i for i in places if messages[i].domain == domain]
    for emotion in dict.fromkeys(emotion for message in messages for emotion in message.intensity):
        yield emotion, [i for i in places if emotion in messages[i].intensity]


def _narrowed(message: Labelled, group: str) -> Labelled:
    """Where the group is an emotion, the message with that emotion alone."""
    if group not in message.intensity:
        return message
    return Labelled(message.domain, message.group, message.text, {group: message.intensity[group]})
