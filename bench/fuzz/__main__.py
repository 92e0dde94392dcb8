"""Fuzz one target with atheris, starting from the committed corpus.

    python -m bench.fuzz TARGET [--runs N] [--minutes M] [--keep DIR]

Exit code 0: nothing broke. An input that breaks a rule is written to DIR (default: a directory of its own), and the
exit code is not 0. The short form, as the tests run it, is --runs 20000.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    # Only what is imported inside is instrumented, so that coverage guides the search.
    with atheris.instrument_imports(include=["middleware.proxy", "middleware.traffic"]):
        from bench.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m bench.fuzz")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--runs", type=int, default=-1, help="inputs to try; default: until the time is over")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, default=None, help="where new inputs and failures are kept")
    given = parser.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp(prefix="eqwatch-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    options = [
        f"-runs={given.runs}",
        f"-max_total_time={max(1, round(given.minutes * 60))}",
        "-max_len=4096",
        "-timeout=10",
        f"-artifact_prefix={keep}/failed-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(keep), str(CORPUS / given.target)], TARGETS[given.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
