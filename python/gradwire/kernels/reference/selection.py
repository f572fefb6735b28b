"""Selection by magnitude, and what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.buffers import Selected

Floats = NDArray[np.float32]
Words = NDArray[Any]

MAGNITUDE_MASK = np.uint32(0x7FFFFFFF)
INFINITY = np.uint32(0x7F800000)


def magnitude(x: Floats) -> Words:
    """Return the bits of x without the sign: ordered like |x|, with NaN above infinity."""
    bits: Words = x.view(np.uint32) & MAGNITUDE_MASK
    return bits


def add(first: Floats, second: Floats) -> Floats:
    """Return first + second; overflow and invalid operations are results, not events."""
    with np.errstate(all="ignore"):
        return np.add(first, second)


def finite_check(x: Floats) -> bool:
    """Return True if x has neither NaN nor infinity."""
    return not bool(np.any(magnitude(x) >= INFINITY))


def absmax(x: Floats) -> float:
    """Return the largest magnitude; 0.0 if there is none."""
    return _as_float(magnitude(x).max(initial=np.uint32(0)))


def norm(x: Floats, order: int = 2) -> float:
    """Return the sum of magnitudes or the Euclidean norm, added up as `gradwire.kernels` says."""
    with np.errstate(all="ignore"):
        terms = np.abs(x.astype(np.float64)) ** order
        tiles = -(-x.size // 4096)
        padded = np.zeros(tiles * 4096)
        padded[: x.size] = terms
        lanes = np.zeros((tiles, 16))
        for row in range(256):
            lanes += padded.reshape(tiles, 256, 16)[:, row]
        while lanes.shape[1] > 1:
            lanes = lanes[:, ::2] + lanes[:, 1::2]
        total = _pairwise(lanes[:, 0].tolist())
        return float(total if order == 1 else np.sqrt(total))


def _pairwise(terms: list[float]) -> float:
    """Add neighbours as a binary counter carries: complete runs of 2^e terms, then the runs."""
    runs: list[float] = []  # from the longest, which comes first, to the shortest
    begin = 0
    for exponent in reversed(range(len(terms).bit_length())):
        if len(terms) >> exponent & 1:
            run = np.array(terms[begin : begin + 2**exponent])
            begin += 2**exponent
            while run.size > 1:
                run = run[::2] + run[1::2]
            runs.append(float(run[0]))
    total = 0.0
    for each in reversed(runs):
        total = each + total
    return total


def histogram(x: Floats, shift: int, bits: int, prefix: int = 0) -> NDArray[np.uint64]:
    """Count the non-zero elements of x by `bits` bits of their magnitude."""
    nonzero = magnitude(x)[magnitude(x) != 0].astype(np.int64)
    counted = nonzero[nonzero >> (shift + bits) == prefix]
    bins = (counted >> shift) & (2**bits - 1)
    return np.bincount(bins, minlength=2**bits).astype(np.uint64)


def kth_magnitude(x: Floats, k: int) -> float:
    """Return the k-th largest magnitude; 0.0 if x has fewer than k non-zeros."""
    ordered = np.sort(magnitude(x))
    kth = ordered[ordered.size - k] if k <= ordered.size else np.uint32(0)
    return _as_float(kth)


def momentum(
    gradient: Floats,
    momentum: Floats,
    residual: Floats,
    factor: float,
    out_momentum: Floats,
    out_acc: Floats,
    nesterov: bool,
) -> None:
    """Write the new momentum and residual of momentum correction."""
    m = np.float32(factor)
    with np.errstate(all="ignore"):
        updated = m * (momentum + gradient) if nesterov else m * momentum + gradient
        acc = (residual + updated) + gradient if nesterov else residual + updated
    out_momentum[:], out_acc[:] = updated, acc


def topk(x: Floats, k: int) -> Selected:
    """Select the k entries of largest magnitude; ties go to the lowest index."""
    # A stable sort by falling magnitude keeps ties in index order; zeros come last.
    falling = np.argsort(-magnitude(x).astype(np.int64), kind="stable")
    best = falling[: min(k, int(np.count_nonzero(magnitude(x))))]
    threshold = _as_float(magnitude(x)[best[-1]]) if k and best.size == k else 0.0
    indices = np.sort(best).astype(np.uint32)
    return Selected(indices, x[indices], indices.size, threshold)


def select(x: Floats, threshold: float, capacity: int | None = None) -> Selected:
    """Select every non-zero entry with |x| >= threshold; at most `capacity` are returned."""
    with np.errstate(over="ignore"):
        rounded = np.abs(np.array([threshold], np.float32))
    reached = (magnitude(x) >= magnitude(rounded)[0]) & (magnitude(x) != 0)
    indices = np.flatnonzero(reached).astype(np.uint32)
    written = indices[:capacity]
    return Selected(written, x[written], indices.size, float(rounded[0]))


def compensate_select(
    gradient: Floats,
    residual: Floats,
    threshold: float,
    out_acc: Floats,
    capacity: int | None = None,
) -> Selected:
    """Write acc = residual + gradient and select(acc, threshold)."""
    out_acc[:] = add(residual, gradient)
    return select(out_acc, threshold, capacity)


def compensate_topk(
    gradient: Floats, residual: Floats, k: int, floor: float, out_acc: Floats
) -> Selected:
    """Write acc = residual + gradient and topk(acc, k); floor means nothing here."""
    del floor
    out_acc[:] = add(residual, gradient)
    return topk(out_acc, k)


def _as_float(bits: np.uint32) -> float:
    return float(np.array([bits], np.uint32).view(np.float32)[0])
