"""Command of the gate bench: `python -m bench.gate [--gates N] [--seed N]`."""

import argparse
import sys
from collections.abc import Sequence

from bench.detection.answers import folder, load
from bench.gate.study import CASES, Outcome, study

__all__ = ["main"]

ALPHA = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: no case is wrong more often than alpha; 1: one is; 4: the data are not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description="Upgrade gates on real models' answers.")
    parser.add_argument("--gates", type=int, default=2000, help="simulated gates per case and noise level")
    parser.add_argument("--seed", type=int, default=20240324, help="of everything that is drawn")
    options = parser.parse_args(arguments)
    path = folder()
    if path is None:
        print("EQWATCH_EQBENCH_DIR names no folder with response_matrix_v2.csv.gz", file=sys.stderr)
        return 4
    outcomes = study(load(path), CASES, options.gates, options.seed, lambda line: print(line, file=sys.stderr))
    print("| noise | baseline | candidate | true drop | pass | regressed | undecided | passes | wrong |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for outcome in outcomes:
        print(_line(outcome))
    return 0 if all(outcome.error <= ALPHA for outcome in outcomes) else 1


def _line(outcome: Outcome) -> str:
    case, shares = outcome.case, outcome.shares
    verdicts = [f"{shares.get(verdict, 0.0):.3f}" for verdict in ("pass", "regressed", "undecided")]
    wrong = f"{outcome.error:.3f}" if case.wrong else "-"
    cells = [outcome.noise, case.baseline, case.candidate, f"{case.drop:g}", *verdicts, f"{outcome.passes:.1f}", wrong]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
