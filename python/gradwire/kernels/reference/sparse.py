"""Sparse entries and dense vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference.selection import Floats, add

Indices = NDArray[np.uint32]


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
