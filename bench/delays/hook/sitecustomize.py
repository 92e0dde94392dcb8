"""Read by each Python process that `bench.delays` has under it: whatever is handed to a thread begins and ends late.

Writes to the store, and all else that may block, run in threads of an executor: a counter, a log line or an answer
that comes before its write has ended is then seen before it by a test that looks.
"""

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

_PROBABILITY, _MEAN_SECONDS = (float(part) for part in os.environ.get("BENCH_DELAYS", "0,0").split(","))
_LONGEST_MEANS = 5.0
_random = random.SystemRandom()  # not the tests' generator
_submit, _sleep = ThreadPoolExecutor.submit, time.sleep  # as they are before a test puts others in their place


def _pause() -> None:
    if _random.random() < _PROBABILITY:
        _sleep(_MEAN_SECONDS * min(_random.expovariate(1.0), _LONGEST_MEANS))


def _late(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    _pause()
    try:
        return work(*arguments, **named)
    finally:
        _pause()


def _submit_late(self: ThreadPoolExecutor, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
    return _submit(self, partial(_late, work), *arguments, **named)


ThreadPoolExecutor.submit = _submit_late  # type: ignore[assignment]
