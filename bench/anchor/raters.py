"""Who is measured: the anchor, the anchor on emotions that it was not taught, and baselines that it has to beat."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.anchor.labelled import Labelled
from middleware.probe.anchor import LocalAnchor, Reader
from middleware.probe.anchor_heads import HEADS_FILE, read_all, read_examples, read_heads
from middleware.probe.anchor_weights import load_anchor, load_reader, model_folder
from scorer.emotion_heads import Heads
from scorer.minilm import Floats, unit

__all__ = ["Rater", "raters"]

Rater = Callable[[Labelled], Mapping[str, float]]

_STRONG = 6.0
_WORDS: Mapping[str, str] = {
    "Confusion": "confus|lost|don't understand|don't get|unclear|no idea|makes? no sense|what does|puzzl|huh",
    "Boredom": "bor(ed|ing)|dull|tedious|yawn|sleep|monoton|same old|already know|whatever",
    "Frustration": "frustrat|annoy|give up|hate|stuck|fed up|again|useless|argh|ugh|stupid|fail",
    "Curiosity": "curious|wonder|interesting|fascinat|why|how does|tell me more|want to know|love to know",
    "Loneliness": "alone|lonely|lonel|nobody|no one|miss|by myself|empty|silence|no friends",
    "Distress": "scared|afraid|panic|worr|anxious|terrif|cry|help|can't breathe|stress|nervous|hurt",
    "Calm": "calm|peace|quiet|relax|rest|still|slow|gentle|content|breath",
    "Joy": "happy|joy|great|wonderful|love|amazing|best|yay|haha|glad|excited|delight",
    "Interest": "interest|how much|price|buy|available|tell me|which|does it|do you have|colou?r|want",
    "Trust": "trust|rely|always|recommend|honest|never had a problem|years|sure|know you",
    "Annoyance": "annoy|stop|again|ridiculous|enough|unsubscribe|times|why do i|spam|irritat",
    "Disappointment": "disappoint|expected|hoped|sad|let down|shame|pity|broken|looked? forward|sold out",
}


def raters() -> dict[str, Rater]:
    """By name, the anchor first."""
    anchor = load_anchor()
    reader, _ = load_reader(model_folder())
    heads, _, _ = read_heads(HEADS_FILE)
    return {
        "anchor": lambda message: anchor.rate(message.text, list(message.intensity)),
        "anchor, emotion not taught": _untaught(reader, heads),
        "cosine to prototypes": _prototypes(reader),
        "cosine to the name": _names(reader),
        "word list": _listed,
        "constant": _constant(),
    }


def _untaught(reader: Reader, heads: Heads) -> Rater:
    """Each emotion as if it were one of the user's own: by its name, without its own examples."""
    anchors = {emotion: LocalAnchor(reader, _without(heads, emotion), "bench") for emotion in heads.emotions}
    return lambda message: {e: anchors[e].rate(message.text, [e])[e] for e in message.intensity}


def _without(heads: Heads, emotion: str) -> Heads:
    column = heads.emotions.index(emotion)
    return replace(
        heads,
        emotions=tuple(e for e in heads.emotions if e != emotion),
        weight=np.delete(heads.weight, column, axis=1),
        bias=np.delete(heads.bias, column),
        names=np.delete(heads.names, column, axis=0),
    )


def _prototypes(reader: Reader) -> Rater:
    """The usual way: the cosine to the mean embedding of the same examples that the anchor was taught by."""
    emotions, texts, labels = read_examples()
    embedded = unit(read_all(reader, texts)[:, -1])
    centres = {
        emotion: unit(embedded[np.nan_to_num(labels[:, column]) >= _STRONG].mean(axis=0))
        for column, emotion in enumerate(emotions)
    }
    return _by_cosine(reader, centres)


def _names(reader: Reader) -> Rater:
    emotions, _, _ = read_examples()
    return _by_cosine(reader, {emotion: reader.name(emotion) for emotion in emotions})


def _by_cosine(reader: Reader, centres: Mapping[str, Floats]) -> Rater:
    """Cosines from 0 to 0.6 as 0 to 10: hardly any sentence is nearer to a mean."""

    def rate(message: Labelled) -> Mapping[str, float]:
        embedded = _embedded(reader, [message.text])[0]
        return {e: float(np.clip(embedded @ centres[e] / 0.6, 0.0, 1.0)) * 10.0 for e in message.intensity}

    return rate


def _embedded(reader: Reader, texts: Sequence[str]) -> Floats:
    return unit(reader.read(texts)[:, -1])


def _listed(message: Labelled) -> Mapping[str, float]:
    text = message.text.casefold()
    return {e: min(10.0, 4.0 * len(re.findall(rf"\b(?:{_WORDS[e]})", text))) for e in message.intensity}


def _constant() -> Rater:
    """For each emotion the mean of the examples, whatever is said."""
    emotions, _, labels = read_examples()
    means = dict(zip(emotions, np.nanmean(labels, axis=0), strict=True))
    return lambda message: {emotion: float(means[emotion]) for emotion in message.intensity}
