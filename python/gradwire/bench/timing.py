"""Time of a call, and of a copy of the same length just before it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, NamedTuple

from gradwire.bench.place import HOST, Host
from gradwire.bench.row import Case


class Samples(NamedTuple):
    """Seconds of each call, and of the copy that came before it."""

    seconds: list[float]
    copy_seconds: list[float]


def measure(
    case: Case, copy: Callable[[], None], repetitions: int, place: Host = HOST
) -> tuple[Samples, Any]:
    """Time copy and call in turn; return the samples and the last call's result.

    The copy streams through twice numel float32 before each call, so a call finds in the caches
    what the copy left there and not what the previous call did. A GPU's cache, which may hold all
    of a shorter vector, is flushed before both.
    """
    mark, flush = place.mark, place.flush
    samples = Samples([], [])
    result = None
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repetitions):
            result = None  # freed here, not within the timed part
            case.reset()
            flush()
            begin = mark()
            copy()
            copied = mark()
            flush()
            called = mark()
            result = case.call()
            end = mark()
            samples.seconds.append(place.seconds(called, end))
            samples.copy_seconds.append(place.seconds(begin, copied))
    finally:
        if collecting:
            gc.enable()
    return samples, result
