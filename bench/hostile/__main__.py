"""Command of the hostile bench: `python -m bench.hostile [flags | redaction | model]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.hostile.corpora import checked
from bench.hostile.flags import flag_rates
from bench.hostile.model import model_shifts
from bench.hostile.personal import redaction_rates

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: measured; 3: a corpus is not the one that was committed."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["flags", "redaction", "model"], default="flags")
    parser.add_argument(
        "--kept", type=Path, default=Path("build/hostile-model.jsonl"), help="answers of the model so far"
    )
    options = parser.parse_args(arguments)
    if not checked():
        print("a corpus differs from SHA256SUMS: what is measured on it means nothing", file=sys.stderr)
        return 3
    if options.what == "model":
        options.kept.parent.mkdir(parents=True, exist_ok=True)
        print(model_shifts(options.kept))
    else:
        print({"flags": flag_rates, "redaction": redaction_rates}[options.what]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
