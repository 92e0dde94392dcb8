"""Times the vectorised item scores: a million of each version. Run it with the project's Python; it prints a table."""

import time
from typing import Literal

import numpy as np

from scorer import score_answers

ITEMS = 1_000_000
ROUNDS = 5


def main() -> None:
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 11, (ITEMS, 4)).astype(np.float64)
    references = rng.integers(0, 11, (ITEMS, 4)).astype(np.float64)
    versions: tuple[Literal["v1", "v2"], ...] = ("v1", "v2")
    print(f"{ITEMS:,} items of 4 emotions, best and worst of {ROUNDS} rounds")
    for version in versions:
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            scores = score_answers(answers, references, version)
            seconds.append(time.perf_counter() - started)
        print(
            f"{version}: {min(seconds):.3f} to {max(seconds):.3f} s, "
            f"{ITEMS / min(seconds) / 1e6:.1f} million a second, mean of random answers {np.nanmean(scores):+.2f}"
        )


if __name__ == "__main__":
    main()
