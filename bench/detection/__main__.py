"""Command of the detection bench: `python -m bench.detection [--short] [--replicates N] [--seed N]`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.detection.answers import folder, load
from bench.detection.study import LONG, SHORT, bars, study
from bench.detection.tables import as_markdown, bar_lines

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: every bar is met; 1: one is missed; 4: the data are not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description="Detectors on real models' answers.")
    parser.add_argument("--short", action="store_true", help="fewer cases, under a minute on one core")
    parser.add_argument("--replicates", type=int, help="simulated installations per case and noise level")
    parser.add_argument("--seed", type=int, default=20240324, help="of everything that is drawn")
    options = parser.parse_args(arguments)
    path = folder()
    if path is None:
        print("EQWATCH_EQBENCH_DIR names no folder with response_matrix_v2.csv.gz", file=sys.stderr)
        return 4
    size = SHORT if options.short else LONG
    if options.replicates is not None:
        size = replace(size, replicates=options.replicates)
    figures = study(load(path), size, options.seed, lambda line: print(line, file=sys.stderr, flush=True))
    found = bars(figures)
    print(f"{size.replicates} installations per case and noise level, seed {options.seed}\n")
    print(as_markdown(figures) + "\n")
    print("\n".join(bar_lines(found)))
    return 0 if all(bar.met for bar in found) else 1


if __name__ == "__main__":
    sys.exit(main())
