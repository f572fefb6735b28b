"""Published volume of each scheme, in words of 4 bytes that one rank sends.

After table 1 of Li and Hoefler, "Near-Optimal Sparse Allreduce for Distributed Deep Learning",
PPoPP 2022 (arXiv 2201.07598). n: elements; k: entries that each rank brings; P: ranks. An entry is
two words there, index and value; with shorter indices gradwire stays below.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradwire.errors import require_integer, unknown

WORD_BYTES = 4

Words = Callable[[int, int, int], float]


def _others(ranks: int) -> float:
    return (ranks - 1) / ranks


BOUNDS: dict[str, Words] = {
    "dense": lambda n, k, ranks: 2 * n * _others(ranks),
    "allgather": lambda n, k, ranks: 2.0 * k * (ranks - 1),
    "topkdsa_low": lambda n, k, ranks: 4 * k * _others(ranks),
    "topkdsa_high": lambda n, k, ranks: (2 * k + n) * _others(ranks),
    "gtopk": lambda n, k, ranks: 4 * k * math.log2(ranks),
    "gaussian_k": lambda n, k, ranks: 2.0 * k * (ranks - 1),
    "oktopk_low": lambda n, k, ranks: 2 * k * _others(ranks),
    "oktopk_high": lambda n, k, ranks: 6 * k * _others(ranks),
    "lower_bound": lambda n, k, ranks: 2 * k * _others(ranks),
}

# The bound that a schedule of gradwire is held against: the largest that its scheme may need.
_OF_SCHEDULE = {
    "dense": "dense",
    "allgather": "allgather",
    "oktopk": "oktopk_high",
    "topkdsa": "topkdsa_high",
    "gtopk": "gtopk",
}


def published_words(scheme: str, numel: int, k: int, ranks: int) -> float:
    """Return the words of 4 bytes that one rank sends, as published.

    Args:
        scheme: a name in `BOUNDS`; "lower_bound" is that of any scheme which ends with k sums.
        numel: elements of the gradient.
        k: entries that each rank brings.
        ranks: number of ranks.

    Raises:
        ConfigError: unknown scheme, or a number out of range.
    """
    if scheme not in BOUNDS:
        raise unknown("scheme", scheme, list(BOUNDS))
    require_integer("published_words: numel", numel, 0)
    require_integer("published_words: k", k, 0)
    require_integer("published_words: ranks", ranks, 1)
    return BOUNDS[scheme](numel, k, ranks)


def bound_of(schedule: str) -> str | None:
    """Return the scheme whose bound goes with one of gradwire's schedules; None if none does."""
    return _OF_SCHEDULE.get(schedule)
