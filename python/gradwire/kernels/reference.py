"""The kernels in plain NumPy: the specification that native results equal bit for bit.

Written to be read, not to be fast. Signatures are those of `gradwire.kernels` without output
buffers and workspace; arguments are taken to be valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.buffers import Selected

Floats = NDArray[np.float32]
Indices = NDArray[np.uint32]
Words = NDArray[Any]

_MAGNITUDE_MASK = np.uint32(0x7FFFFFFF)
_INFINITY = np.uint32(0x7F800000)
_TILE = 1 << 16
_LOW_WORD = np.uint64(0xFFFFFFFF)
_WORD_BITS = np.uint64(32)


def magnitude(x: Floats) -> Words:
    """Return the bits of x without the sign: ordered like |x|, with NaN above infinity."""
    bits: Words = x.view(np.uint32) & _MAGNITUDE_MASK
    return bits


def add(first: Floats, second: Floats) -> Floats:
    """Return first + second; overflow and invalid operations are results, not events."""
    with np.errstate(all="ignore"):
        return np.add(first, second)


def finite_check(x: Floats) -> bool:
    """Return True if x has neither NaN nor infinity."""
    return not bool(np.any(magnitude(x) >= _INFINITY))


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


def clear(x: Floats, indices: Indices) -> None:
    """Set x[indices] = 0."""
    x[indices] = 0.0


def scatter(out: Floats, indices: Indices, values: Floats) -> None:
    """Set out[indices] = values."""
    out[indices] = values


def scatter_add(out: Floats, indices: Indices, values: Floats) -> None:
    """Set out[indices] = out[indices] + values."""
    out[indices] = add(out[indices], values)


def merge(
    index_chunks: Sequence[Indices], value_chunks: Sequence[Floats]
) -> tuple[Indices, Floats]:
    """Return the union of sorted chunks; common values are added in chunk order."""
    union = np.unique(np.concatenate([np.empty(0, np.uint32), *index_chunks]))
    sums = np.zeros(union.size, np.float32)
    present = np.zeros(union.size, bool)
    for indices, values in zip(index_chunks, value_chunks, strict=True):
        places = np.searchsorted(union, indices)
        sums[places] = np.where(present[places], add(sums[places], values), values)
        present[places] = True
    return union, sums


def intersect(a: Indices, b: Indices) -> Indices:
    """Return the common elements of two strictly increasing arrays."""
    return np.intersect1d(a, b, assume_unique=True)


def to_bfloat16(x: Floats) -> NDArray[np.uint16]:
    """Return the bits of x rounded to bfloat16, to nearest, ties to even; NaN stays NaN."""
    bits = x.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    quiet = (bits >> np.uint64(16)) | np.uint64(0x40)
    halves: NDArray[np.uint16] = np.where(magnitude(x) > _INFINITY, quiet, rounded).astype(
        np.uint16
    )
    return halves


def from_bfloat16(bits: NDArray[np.uint16]) -> Floats:
    """Return the float32 values of bfloat16 bits."""
    widened: Floats = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return widened


def encoded_size(count: int, length: int, codec: str) -> int:
    """Return the exact bytes of `count` indices of a range of `length` positions."""
    return 4 * count if codec == "u32" else 4 * -(-length // _TILE) + 2 * count


def encode_indices(indices: Indices, begin: int, length: int, codec: str) -> NDArray[np.uint8]:
    """Return the wire form of strictly increasing indices in [begin, begin + length)."""
    relative = indices.astype(np.int64) - begin
    if codec == "u32":
        return np.frombuffer(relative.astype("<u4").tobytes(), np.uint8)
    counts = np.bincount(relative // _TILE, minlength=-(-length // _TILE))
    offsets = relative % _TILE
    return np.frombuffer(counts.astype("<u4").tobytes() + offsets.astype("<u2").tobytes(), np.uint8)


def decode_indices(
    data: NDArray[np.uint8], count: int, begin: int, length: int, codec: str
) -> Indices:
    """Return the indices of a message that encode_indices wrote."""
    message = data.tobytes()
    if codec == "u32":
        relative = np.frombuffer(message, "<u4").astype(np.int64)
    else:
        tiles = -(-length // _TILE)
        counts = np.frombuffer(message, "<u4", tiles)
        offsets = np.frombuffer(message, "<u2", count, 4 * tiles)
        relative = np.repeat(np.arange(tiles, dtype=np.int64) * _TILE, counts) + offsets
    return (relative + begin).astype(np.uint32)


def philox4x32(counter4: Words, key2: Sequence[int], rounds: int = 10) -> Words:
    """Return blocks of Philox4x32: counter4 is (4,) or (4, blocks) uint64 words below 2**32."""
    first, second, third, fourth = counter4
    low_key, high_key = (np.uint64(word) for word in key2)
    for _ in range(rounds):
        left = np.uint64(0xD2511F53) * first
        right = np.uint64(0xCD9E8D57) * third
        first = (right >> _WORD_BITS) ^ second ^ low_key
        third = (left >> _WORD_BITS) ^ fourth ^ high_key
        second, fourth = right & _LOW_WORD, left & _LOW_WORD
        low_key = (low_key + np.uint64(0x9E3779B9)) & _LOW_WORD
        high_key = (high_key + np.uint64(0xBB67AE85)) & _LOW_WORD
    return np.array([first, second, third, fourth])


def random_indices(n: int, k: int, seed: int, key: int, step: int) -> Indices:
    """Return k distinct positions below n, sorted, drawn as `gradwire.kernels` describes."""
    wanted = min(k, n - k)
    marked: set[int] = set()
    block = 0
    while len(marked) < wanted:
        counter = np.array([block % 2**32, block >> 32, step, 0], np.uint64)
        words = [int(word) for word in philox4x32(counter, (seed, key))]
        for draw in (words[0] | words[1] << 32, words[2] | words[3] << 32):
            if len(marked) < wanted:
                marked.add((draw * n) >> 64)
        block += 1
    chosen = np.array(sorted(marked), np.uint32)
    if k > n - k:
        return np.setdiff1d(np.arange(n, dtype=np.uint32), chosen, assume_unique=True)
    return chosen


def _as_float(bits: np.uint32) -> float:
    return float(np.array([bits], np.uint32).view(np.float32)[0])
