"""Sparse entries and dense vectors.

NumPy has no bfloat16: uint16 arrays are taken for the bits of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference.casts import narrow, widen
from gradwire.kernels.reference.selection import Floats, add

Vector = NDArray[Any]
Indices = NDArray[np.uint32]


def clear(x: Vector, indices: Indices | None = None) -> None:
    """Set x[indices] = 0, or all of x."""
    x[... if indices is None else indices] = 0


def scatter(out: Vector, indices: Indices, values: Vector) -> None:
    """Set out[indices] = values."""
    out[indices] = values


def scatter_add(out: Vector, indices: Indices, values: Vector) -> None:
    """Set out[indices] = out[indices] + values, added in float32 where the type is shorter."""
    out[indices] = narrow(add(widen(out[indices]), widen(values)), out.dtype)


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


def intersect(a: Indices, b: Indices) -> tuple[Indices, Indices]:
    """Return the common elements of two strictly increasing arrays."""
    common, positions, _ = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return common, positions.astype(np.uint32)
