"""Attacks that are flagged, and look-alikes that are flagged by mistake, by half and by kind of flag."""

from collections import Counter

from bench.hostile.corpora import HALVES, counted, load, ordinary, said, table
from middleware.probe.injection import steering
from middleware.records.conversation import STEERING_KINDS
from middleware.records.emotions import DEFAULT_EMOTIONS

__all__ = ["flag_rates"]


def flag_rates() -> str:
    """Tables in Markdown; the techniques that got through by name."""
    rows, kinds, missed = [], [], {}
    for half in HALVES:
        found = {
            name: [(row, steering(said(row), tuple(row["emotions"]))) for row in load(name, half)]
            for name in ("injections", "benign")
        }
        usual = ordinary(half)
        falsely = sum(bool(steering(row["text"], DEFAULT_EMOTIONS[row["domain"]])) for row in usual)
        shares = [counted(sum(bool(k) for _, k in rated), len(rated), least=1) for rated in found.values()]
        rows.append([half, *shares, counted(falsely, len(usual), least=1)])
        by_kind = Counter(kind for _, flags in found["injections"] for kind in flags)
        kinds.append([half, *(str(by_kind[kind]) for kind in STEERING_KINDS)])
        missed[half] = Counter(row["technique"] for row, flags in found["injections"] if not flags)
    texts = [
        table(["half", "attacks flagged", "look-alikes flagged", "ordinary messages flagged"], rows),
        table(["half", *STEERING_KINDS], kinds),
        *(
            f"missed, {half}: " + (", ".join(f"{name} {n}" for name, n in sorted(names.items())) or "none")
            for half, names in missed.items()
        ),
    ]
    return "\n\n".join(texts)
