"""Regions: which rank owns which part of the index space, balanced by the load it brings.

Region r is ``[boundaries[r], boundaries[r + 1])``; regions are in index order and may be empty.
Ok-Topk (Li and Hoefler 2022, section 3.1.1) averages every rank's own equal-count boundaries; here
the *summed* load of all ranks is cut, which balances what owners really receive.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire.payload import Indices

LOAD_TILES = 1024  # 4 KiB to sum; a tile of 25 M elements is 24,415 of them

Boundaries = npt.NDArray[np.int64]


def equal_regions(numel: int, parts: int) -> Boundaries:
    """Return boundaries that cut ``numel`` elements into parts of equal length, to one element."""
    return np.arange(parts + 1, dtype=np.int64) * numel // parts


def tile_edges(numel: int) -> Boundaries:
    """Return where the load tiles begin, and ``numel`` at the end."""
    return equal_regions(numel, min(LOAD_TILES, max(numel, 1)))


def loads_between(indices: Indices, boundaries: Boundaries) -> npt.NDArray[np.uint32]:
    """Return how many of the increasing ``indices`` lie in each region."""
    return np.diff(_places_of(indices, boundaries)).astype(np.uint32)


def tile_loads(indices: Indices, numel: int) -> npt.NDArray[np.uint32]:
    """Return how many of the increasing ``indices`` fall into each load tile."""
    return loads_between(indices, tile_edges(numel))


def balanced_regions(loads: npt.NDArray[np.integer[Any]], numel: int, parts: int) -> Boundaries:
    """Cut the index space into parts of equal load, at element granularity inside a tile.

    ``loads`` are the tiles' loads summed over all ranks; within a tile the load is taken as even.
    Integer arithmetic only, so that every rank gets the same boundaries.
    """
    total = int(loads.sum(dtype=np.int64))
    if total == 0:
        return equal_regions(numel, parts)
    edges = tile_edges(numel)
    before = np.concatenate([[0], np.cumsum(loads, dtype=np.int64)])
    boundaries = np.empty(parts + 1, np.int64)
    boundaries[0], boundaries[parts] = 0, numel
    for part in range(1, parts):
        # The smallest position with at least part/parts of the load before it.
        target = total * part  # in units of 1/parts entries
        tile = int(np.searchsorted(before * parts, target, side="left")) - 1
        length = int(edges[tile + 1] - edges[tile])
        missing = target - int(before[tile]) * parts
        boundaries[part] = edges[tile] + -(-missing * length // (int(loads[tile]) * parts))
    return boundaries


def slices_of(indices: Indices, boundaries: Boundaries) -> list[slice]:
    """Return, for each region, the slice of the increasing ``indices`` that lies in it."""
    return [slice(begin, end) for begin, end in pairwise(_places_of(indices, boundaries).tolist())]


def _places_of(indices: Indices, boundaries: Boundaries) -> Boundaries:
    """Return how many of the increasing ``indices`` lie before each boundary."""
    # NumPy would convert all indices, to 64 bits, if the boundaries were not of their type.
    return np.searchsorted(indices, boundaries.astype(indices.dtype))


def imbalance(loads: list[int]) -> float:
    """Return the largest load over the mean; 1 when there is none."""
    total = sum(loads)
    return max(loads) * len(loads) / total if total else 1.0
