"""The JSON form of a gate's report. Answers of the models are in ``worst`` and nowhere else."""

import json
import math
from dataclasses import asdict
from typing import Any

from middleware.gate.contamination import contamination_json
from middleware.gate.report import GateReport, Side
from middleware.gate.words import contamination, explanation, flattery, headline, new_dialogues, next_step
from scorer.comparison import Comparison, Interval

__all__ = ["as_json", "to_json_text"]

SCHEMA = 1


def as_json(report: GateReport) -> dict[str, Any]:
    """Numbers in points; null where there is none."""
    last = report.comparison
    return {
        "schema": SCHEMA,
        "gate_id": report.gate_id,
        "verdict": report.verdict,
        "declined": last.declined,
        "reason": last.reason,
        "headline": headline(report),
        "explanation": explanation(report),
        "next_step": next_step(report),
        "margin": report.rules.margin,
        "alpha": report.rules.alpha,
        "max_passes": report.rules.max_passes,
        "passes": last.passes,
        "passes_to_decide": last.passes_to_decide,
        "deciding_margin": _number(last.deciding_margin),
        "these_items": _interval(last.these_items) | {"items": report.items},
        "new_dialogues": _interval(last.new_dialogues.interval)
        | {
            "verdict": last.new_dialogues.verdict,
            "dialogues": last.new_dialogues.dialogues,
            "dialogues_to_decide": last.new_dialogues.dialogues_to_decide,
            "explanation": new_dialogues(report),
        },
        "looks": [_look(look) for look in report.looks],
        "baseline": _side(report.baseline),
        "candidate": _side(report.candidate),
        "item_set": report.protocol.item_set,
        "protocol": report.protocol.key,
        "order_seed": report.seed,
        "items": {
            each.item_id: {name: _number(getattr(each, name)) for name in ("baseline", "candidate", "change")}
            for each in report.item_changes
        },
        "no_longer_read": list(report.no_longer_read),
        "emotions": [
            {name: _rounded(value) for name, value in asdict(each).items()}
            | {"error_change": _number(each.error_change)}
            for each in report.emotions
        ],
        "flattery": None
        if report.flattery is None
        else {
            "items": report.flattery.items,
            **{name: _number(getattr(report.flattery, name)) for name in ("points", "lower", "upper")},
            "words": flattery(report),
        },
        "contamination": {
            each.role: contamination_json(each.found)
            | {"model": each.model, "item_set": each.item_set, "words": contamination(each.model, each.found)}
            for each in report.contamination
        }
        or None,
        "groups": [{name: _rounded(value) for name, value in asdict(each).items()} for each in report.groups],
        "worst": [asdict(each) for each in report.worst],
        "started_at": report.started_at,
        "finished_at": report.finished_at,
    }


def to_json_text(report: GateReport) -> str:
    """As it stands in a file."""
    return json.dumps(as_json(report), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _look(look: Comparison) -> dict[str, Any]:
    return _interval(look.these_items) | {"passes": look.passes, "verdict": look.verdict, "reason": look.reason}


def _side(side: Side) -> dict[str, Any]:
    values = asdict(side)
    values["score"] = values.pop("points")
    return values


def _interval(found: Interval) -> dict[str, Any]:
    return {name: _number(value, 6) for name, value in asdict(found).items()}


def _rounded(value: Any) -> Any:
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None, digits: int = 4) -> float | None:
    """JSON has neither infinity nor NaN."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
