"""What checks of communicators send, and how they look for errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.errors import GradwireError

Check = Callable[[Communicator], None]


def message(source: int, destination: int, size: int) -> Bytes:
    """Return (size,) bytes that differ between pairs and between positions."""
    positions = np.arange(size, dtype=np.int64)
    return ((positions * 7 + source * 31 + destination * 101) % 251).astype(np.uint8)


def uneven_size(source: int, destination: int, step: int = 0) -> int:
    """Return the size in B of a message: 0, a few bytes, or more than MPI sends eagerly."""
    return (0, 1, 13, 4096, 70_001)[(source * 3 + destination * 2 + step) % 5]


def around_pieces(source: int, destination: int, step: int) -> int:
    """Return the size in B of a message that is up to two pieces of 8 B long."""
    return (source + 2 * destination + step) % 18


def expect(kind: type[GradwireError], call: Callable[[], Any], text: str = "") -> GradwireError:
    """Return the error of `kind` that `call` raises, whose message contains `text`."""
    error = error_of(call)
    assert isinstance(error, kind), f"expected {kind.__name__}, got {error!r}"
    assert text in str(error), f"expected {text!r} in {error}"
    return error


def error_of(*calls: Callable[[], Any]) -> GradwireError | None:
    """Return the error of gradwire that the first failing call raises; None if none does."""
    try:
        for call in calls:
            call()
    except GradwireError as error:
        return error
    return None
