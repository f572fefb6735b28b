"""Orthonormal transforms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference.randomness import philox4x32
from gradwire.kernels.reference.selection import Floats


def hadamard(
    x: Floats,
    block: int,
    signs: str | None = None,
    seed: int = 0,
    key: int = 0,
    step: int = 0,
    rank: int = 0,
    phase: int = 0,
) -> Floats:
    """Return the Walsh-Hadamard transform of every `block` elements of x, in natural order."""
    minus = random_signs(x.size, seed, key, step, rank, phase)
    y = np.where(minus, -x, x) if signs == "before" else x
    distance = 1
    with np.errstate(all="ignore"):
        while distance < block:
            pairs = y.reshape(-1, 2, distance)
            first, second = pairs[:, 0], pairs[:, 1]
            y = np.stack([first + second, first - second], axis=1).reshape(-1)
            distance *= 2
        result: Floats = y * np.float32(1 / np.sqrt(block))
    return np.where(minus, -result, result) if signs == "after" else result


def random_signs(
    n: int, seed: int, key: int, step: int, rank: int, phase: int
) -> NDArray[np.bool_]:
    """Return for each of n elements whether it is negated: one bit of Philox per element."""
    blocks = np.arange(-(-n // 128), dtype=np.uint64)
    low, high = blocks & np.uint64(0xFFFFFFFF), blocks >> np.uint64(32)
    fixed = [np.full_like(blocks, word) for word in (step, rank | phase << 31)]
    words = philox4x32(np.array([low, high, *fixed]), (seed, key)).T.astype("<u4")
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
    return bits[:n].astype(bool)
