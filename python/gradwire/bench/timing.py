"""Time of a call, and of a copy of the same length just before it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple

from gradwire.bench.row import Case


class Samples(NamedTuple):
    """Seconds of each call, and of the copy that came before it."""

    seconds: list[float]
    copy_seconds: list[float]


def measure(case: Case, copy: Callable[[], None], repetitions: int) -> tuple[Samples, Any]:
    """Time copy and call in turn; return the samples and the last call's result.

    The copy streams through twice numel float32 before each call, so a call finds in the caches
    what the copy left there and not what the previous call did.
    """
    samples = Samples([], [])
    result = None
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repetitions):
            result = None  # freed here, not within the timed part
            case.reset()
            begin = perf_counter_ns()
            copy()
            copied = perf_counter_ns()
            result = case.call()
            end = perf_counter_ns()
            samples.copy_seconds.append((copied - begin) * 1e-9)
            samples.seconds.append((end - copied) * 1e-9)
    finally:
        if collecting:
            gc.enable()
    return samples, result
