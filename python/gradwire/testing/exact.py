"""Inputs whose sums are exact, so that a test can demand equal bits whatever the order.

Small integers times one power of two add without rounding as long as the sum of their magnitudes
stays below 2^24 units. A mean over a power of two of ranks is exact too.
"""

from __future__ import annotations

import numpy as np

from gradwire.errors import ConfigError
from gradwire.payload import Float32

_EXACT_BITS = 24  # float32 holds every integer up to 2^24


def exact_values(
    generator: np.random.Generator,
    numel: int,
    bits: int = 10,
    exponent: int = -6,
    zeros: float = 0.0,
) -> Float32:
    """Return ``(numel,)`` float32 integers in (-2^bits, 2^bits) times 2^exponent.

    Up to ``largest_terms(bits)`` of them add exactly, in any order and any grouping. With few bits
    there are many ties.

    Args:
        generator: what draws them.
        numel: number of elements.
        bits: 1 to 24.
        exponent: -100 to 100, so that neither values nor sums leave the normal range.
        zeros: share of the elements that become zero, half of them -0.

    Raises:
        ConfigError: bits or exponent out of range.
    """
    if not 1 <= bits <= _EXACT_BITS or not -100 <= exponent <= 100:
        raise ConfigError(
            "exact_values: bits must be in [1, 24] and exponent in [-100, 100], "
            f"got {bits} and {exponent}"
        )
    limit = 2**bits
    integers = generator.integers(1 - limit, limit, numel).astype(np.float32)
    values: Float32 = integers * np.float32(2.0**exponent)
    if zeros:
        emptied = generator.random(numel) < zeros
        values[emptied] = np.where(generator.random(int(emptied.sum())) < 0.5, 0.0, -0.0)
    return values


def largest_terms(bits: int) -> int:
    """Return how many values of so many bits add without rounding."""
    return 1 << (_EXACT_BITS - bits)
