"""What an allreduce does with arrays: which ones it takes, and how it adds them up."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gradwire.communicators.messages import Bytes
from gradwire.errors import ConfigError, WireError

Array = npt.NDArray[Any]
ReduceOp = Literal["sum", "max"]


def check_reducible(array: Array, op: str) -> Array:
    """Return `array` contiguous if `allreduce` can take it; raise ConfigError otherwise."""
    if op not in ("sum", "max"):
        raise ConfigError(f"allreduce: op must be 'sum' or 'max', got {op!r}")
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ConfigError("allreduce: expected a 1-D NumPy array")
    if array.dtype.kind not in "iuf" or not array.dtype.isnative:
        raise ConfigError(
            f"allreduce: expected integers or floats in native byte order, got {array.dtype}"
        )
    return np.ascontiguousarray(array)


def part_bounds(length: int, size: int) -> list[int]:
    """Cut `length` elements into `size` parts that differ by at most one element."""
    return [length * part // size for part in range(size + 1)]


def reduce_in_rank_order(
    messages: list[Bytes], dtype: np.dtype[Any], expected: int, op: ReduceOp
) -> Array:
    """Combine messages of `dtype` elements, each of `expected` bytes, in rank order."""
    combine = np.add if op == "sum" else np.maximum
    arrays = [typed(message, dtype, expected, peer) for peer, message in enumerate(messages)]
    total: Array = arrays[0].copy()
    with np.errstate(all="ignore"):  # infinities, NaN and wrapping are results here
        for array in arrays[1:]:
            combine(total, array, out=total)
    return total


def typed(message: Bytes, dtype: np.dtype[Any], expected: int, peer: int) -> Array:
    """Return a peer's message as an array; raise WireError if it has not the expected bytes."""
    if message.size != expected:
        raise WireError(
            f"allreduce: expected {expected} B from rank {peer}, got {message.size} B; "
            "all ranks must pass arrays of the same length and dtype"
        )
    typed: Array = message.view(dtype)
    return typed
