"""Sparse entries and dense vectors."""

from __future__ import annotations

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import equals
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import sparse as peers
from gradwire.bench.row import Case, Row, changed
from gradwire.kernels import reference
from gradwire.kernels.arrays import aligned


def _clear(inputs: Inputs) -> Case:
    indices = inputs.top.indices
    return changed(
        inputs.acc,
        lambda x: reference.clear(x, indices),
        lambda x: kernels.clear(x, indices),
    )


def _scatter(inputs: Inputs) -> Case:
    indices, values = inputs.top.indices, inputs.top.values
    return changed(
        inputs.gradient,
        lambda x: reference.scatter(x, indices, values),
        lambda x: kernels.scatter(x, indices, values),
    )


def _scatter_add(inputs: Inputs) -> Case:
    indices, values = inputs.top.indices, inputs.top.values
    return changed(
        inputs.gradient,
        lambda x: reference.scatter_add(x, indices, values),
        lambda x: kernels.scatter_add(x, indices, values),
    )


def _touched(inputs: Inputs, entry: int) -> int:
    """Return the bytes of k entries and of the cache lines they change, read and written."""
    return entry * inputs.k + 2 * inputs.line_bytes(inputs.top.indices)


def _merge(count: int, inputs: Inputs) -> Case:
    indices, values = inputs.chunks(count)
    out = aligned(count * inputs.k, "uint32"), aligned(count * inputs.k)
    return Case(
        lambda: kernels.merge(indices, values, *out),
        equals(reference.merge(indices, values)),
    )


def _merge_bytes(count: int, inputs: Inputs) -> int:
    union = np.unique(np.concatenate(inputs.chunks(count)[0])).size
    return 8 * (count * inputs.k + union)


def _merge_row(count: int) -> Row:
    return Row(
        f"merge/{count}",
        f"the union of {count} ranks' k entries, common ones added",
        lambda inputs: _merge_bytes(count, inputs),
        lambda inputs: _merge(count, inputs),
        peers.merge_peers(count),
    )


def _intersect(inputs: Inputs) -> Case:
    first, second = inputs.chunks(2)[0]
    out, positions = aligned(inputs.k, "uint32"), aligned(inputs.k, "uint32")
    return Case(
        lambda: kernels.intersect(first, second, out, positions),
        equals(reference.intersect(first, second)),
    )


def _intersect_bytes(inputs: Inputs) -> int:
    first, second = inputs.chunks(2)[0]
    return 4 * (2 * inputs.k + 2 * reference.intersect(first, second)[0].size)


SPARSE = (
    Row(
        "clear",
        "k zeros into a vector",
        lambda inputs: _touched(inputs, 4),
        _clear,
        peers.CLEAR,
    ),
    Row(
        "scatter",
        "k entries into a vector",
        lambda inputs: _touched(inputs, 8),
        _scatter,
        peers.SCATTER,
    ),
    Row(
        "scatter_add",
        "k entries added to a vector",
        lambda inputs: _touched(inputs, 8),
        _scatter_add,
        peers.SCATTER_ADD,
    ),
    _merge_row(4),
    _merge_row(8),
    Row(
        "intersect",
        "the common ones of two ranks' k indices",
        _intersect_bytes,
        _intersect,
        peers.INTERSECT,
    ),
)
