"""Command of the anchor bench: `python -m bench.anchor [--sealed]`.

Without --sealed, the open half, which the anchor was tuned on. With it, the sealed half; each version of the anchor
that is measured there is written down in evaluations.jsonl, to be seen by everybody.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Sequence

from bench.anchor.labelled import FOLDER, Half, Labelled, labelled
from bench.anchor.raters import Rater, raters
from bench.anchor.report import Figures, figures, tables
from middleware.probe.anchor_weights import load_anchor

__all__ = ["main"]

_MAIN = "anchor"
_RECORD = FOLDER / "evaluations.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where the anchor's rank correlation is not surely above every baseline's value."""
    parser = argparse.ArgumentParser(prog="python -m bench.anchor", description="What the local anchor is worth.")
    parser.add_argument("--sealed", action="store_true", help="measure on the sealed half, and write down that it was")
    options = parser.parse_args(arguments)
    half: Half = "sealed" if options.sealed else "open"
    messages = labelled(half)
    version = load_anchor().version
    by_name = raters()
    found = figures(messages, {name: [rate(m) for m in messages] for name, rate in by_name.items()}, _MAIN)
    print(f"Anchor {version}, {half} half, {len(messages)} messages; in brackets, 95 % intervals.\n")
    print(tables(found))
    print(f"\nOne message takes {_milliseconds(by_name[_MAIN], messages):.0f} ms (median).")
    if options.sealed:
        _write_down(version, found)
    others = [values["rank correlation"].value for name, values in found["raters"].items() if name != _MAIN]
    return 0 if found["raters"][_MAIN]["rank correlation"].low > max(others) else 1


def _milliseconds(rate: Rater, messages: Sequence[Labelled]) -> float:
    taken = []
    for message in messages:
        began = time.perf_counter()
        rate(message)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000.0


def _write_down(version: str, found: dict[str, Figures]) -> None:
    """Once per version: the same version gives the same figures."""
    lines = _RECORD.read_text().splitlines() if _RECORD.exists() else []
    if any(json.loads(line)["version"] == version for line in lines):
        return
    plain = {
        part: {
            row: {name: dataclasses.astuple(value) for name, value in values.items()} for row, values in rows.items()
        }
        for part, rows in found.items()
    }
    lines.append(json.dumps({"version": version, **plain}))
    _RECORD.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
