"""How many elements of a result are wrong, and what the reference says about long vectors.

The reference is applied to one block after the other where that is the same thing, so that its
temporary arrays stay small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels import Selected, reference
from gradwire.kernels.arrays import is_tensor

Floats = NDArray[np.float32]

BLOCK = 1 << 20  # elements
_SAMPLED = 64  # one element of so many


def blocks(numel: int) -> Iterator[slice]:
    """Yield slices that cover a vector of numel elements."""
    for begin in range(0, numel, BLOCK):
        yield slice(begin, min(begin + BLOCK, numel))


def different(result: Any, expected: Any) -> int:
    """Return how many elements differ from what is expected, bit by bit.

    Tuples are compared part by part; numbers are one element. Missing and surplus elements count,
    and of another dtype all do.
    """
    if isinstance(expected, (tuple, list)):
        if not isinstance(result, (tuple, list)) or len(result) != len(expected):
            return max(1, sum(np.size(part) for part in expected))
        return sum(different(*parts) for parts in zip(result, expected, strict=True))
    if not isinstance(expected, np.ndarray):
        return int(type(result) is not type(expected) or _bits(result) != _bits(expected))
    found = _numpy(result)
    if found.dtype != expected.dtype or found.ndim != expected.ndim:
        return max(1, found.size, expected.size)
    common = min(found.size, expected.size)
    word = np.dtype(f"u{expected.itemsize}")
    unequal = found[:common].view(word) != expected[:common].view(word)
    return int(np.count_nonzero(unequal)) + abs(found.size - expected.size)


def different_beyond(tolerance: float, result: Any, expected: NDArray[Any]) -> int:
    """Return how many elements differ by more than tolerance times the largest one expected."""
    found: NDArray[Any] = np.asarray(result)
    if found.shape != expected.shape:
        return max(1, found.size, expected.size)
    limit = tolerance * float(np.abs(expected).max(initial=0))
    return int(np.count_nonzero(~(np.abs(found - expected) <= limit)))


def equals(expected: Any) -> Callable[[Any], int]:
    """Return the check that counts what is different from expected."""
    return lambda result: different(result, expected)


def by_blocks(specification: Callable[[slice], tuple[Any, ...]], numel: int) -> tuple[Any, ...]:
    """Return the arrays that a specification has for each slice of numel elements, joined."""
    parts = [specification(part) for part in blocks(numel)]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def select_in_blocks(x: Floats, threshold: float) -> Selected:
    """Return reference.select(x, threshold)."""
    parts = [(part.start, reference.select(x[part], threshold)) for part in blocks(x.size)]
    indices = np.concatenate([found.indices + np.uint32(begin) for begin, found in parts])
    return Selected(indices, x[indices], indices.size, parts[-1][1].threshold)


def topk_in_blocks(x: Floats, k: int, floor: float) -> Selected:
    """Return reference.topk(x, k); quicker if at least k entries reach the floor."""
    candidates = select_in_blocks(x, floor)
    if candidates.found < k:
        return reference.topk(x, k)
    best = reference.topk(candidates.values, k)
    return best._replace(indices=candidates.indices[best.indices])


def histogram_in_blocks(x: Floats, shift: int, bits: int) -> NDArray[np.uint64]:
    """Return reference.histogram(x, shift, bits)."""
    counts = np.zeros(1 << bits, np.uint64)
    for part in blocks(x.size):
        counts += reference.histogram(x[part], shift, bits)
    return counts


def different_in_blocks(
    specification: Callable[[NDArray[Any]], NDArray[Any]], x: NDArray[Any], result: Any
) -> int:
    """Return how many elements of result differ from an elementwise specification of x."""
    found = _numpy(result)
    if found.shape != x.shape:
        return max(1, x.size)
    return sum(different(found[part], specification(x[part])) for part in blocks(x.size))


def sampled_floor(x: Floats, k: int) -> float:
    """Return a magnitude somewhat below the k-th largest one: a guess by a part of x."""
    sample = np.abs(x[::_SAMPLED])
    place = max(0, sample.size - 1 - 2 * k // _SAMPLED)
    return float(np.partition(sample, place)[place])


def _numpy(result: Any) -> NDArray[Any]:
    """Return an array or a tensor of the host as NumPy's; an empty one for what is neither."""
    if is_tensor(result):
        return np.asarray(result)
    return result if isinstance(result, np.ndarray) else np.empty(0)


def _bits(number: object) -> object:
    """Return something that is equal for equal bits: -0.0 is not 0.0, and NaN is NaN."""
    return number.hex() if isinstance(number, float) else number
