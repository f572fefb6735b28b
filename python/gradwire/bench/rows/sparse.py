"""Sparse entries and dense vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import equals
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import sparse as peers
from gradwire.bench.row import Case, Row, changed
from gradwire.kernels import reference


def _top(inputs: Inputs) -> tuple[Any, Any]:
    return inputs.put(inputs.top.indices), inputs.put(inputs.top.values)


def _clear(inputs: Inputs) -> Case:
    indices = inputs.put(inputs.top.indices)
    return changed(
        inputs,
        inputs.acc,
        lambda x: reference.clear(x, inputs.top.indices),
        lambda x: kernels.clear(x, indices),
    )


def _scatter(inputs: Inputs) -> Case:
    entries = _top(inputs)
    return changed(
        inputs,
        inputs.gradient,
        lambda x: reference.scatter(x, inputs.top.indices, inputs.top.values),
        lambda x: kernels.scatter(x, *entries),
    )


def _scatter_add(inputs: Inputs) -> Case:
    entries = _top(inputs)
    return changed(
        inputs,
        inputs.gradient,
        lambda x: reference.scatter_add(x, inputs.top.indices, inputs.top.values),
        lambda x: kernels.scatter_add(x, *entries),
    )


def _touched(inputs: Inputs, entry: int) -> int:
    """Return the bytes of k entries and of the cache lines they change, read and written."""
    return entry * inputs.k + 2 * inputs.line_bytes(inputs.top.indices)


def _merge(count: int, inputs: Inputs) -> Case:
    indices, values = ([inputs.put(x) for x in chunks] for chunks in inputs.chunks(count))
    out = inputs.room(count * inputs.k, "uint32"), inputs.room(count * inputs.k)
    return Case(
        lambda: kernels.merge(indices, values, *out),
        equals(reference.merge(*inputs.chunks(count))),
    )


def merge_bytes(count: int, inputs: Inputs) -> int:
    """Return the counted bytes of one merge of so many chunks."""
    union = np.unique(np.concatenate(inputs.chunks(count)[0])).size
    return 8 * (count * inputs.k + union)


def _merge_row(count: int) -> Row:
    return Row(
        f"merge/{count}",
        f"the union of {count} ranks' k entries, common ones added",
        lambda inputs: merge_bytes(count, inputs),
        lambda inputs: _merge(count, inputs),
        peers.merge_peers(count),
    )


def _intersect(inputs: Inputs) -> Case:
    first, second = (inputs.put(x) for x in inputs.chunks(2)[0])
    out, positions = (inputs.room(inputs.k, "uint32") for _ in range(2))
    return Case(
        lambda: kernels.intersect(first, second, out, positions),
        equals(reference.intersect(*inputs.chunks(2)[0])),
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
