"""Operations that do not wait for the GPU to tell what they found: what the kernels alone take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.checks import different, select_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import selection, sparse, statistics
from gradwire.bench.row import Case, Row, changed
from gradwire.bench.rows.sparse import merge_bytes
from gradwire.kernels import Selected, queued, reference

_ENTRY = 8  # bytes: an index and a value
_FOUND = 3  # words
_RANKS = 8  # whose entries are merged


def _selection(
    inputs: Inputs, expected: Any, workspace: int, call: Callable[..., Any], *vectors: Any
) -> Case:
    """Return the case of call(indices, values, found, workspace), which also writes `vectors`."""
    *expected_vectors, selected = expected
    entries = inputs.room(selected.found, "uint32"), inputs.room(selected.found)
    found, work = inputs.room(_FOUND, "uint64"), inputs.room(workspace, "uint8")

    def run() -> Any:
        call(*entries, found, work)
        return (*vectors, *entries, found)

    def wrong(result: Any) -> int:
        *written, indices, values, words = result
        told = queued.read_found(np.asarray(words))
        mine = Selected(indices[: told.written], values[: told.written], told.found, told.threshold)
        return different((*written, mine), (*expected_vectors, selected))

    return Case(run, wrong)


def _select(inputs: Inputs) -> Case:
    x, expected = inputs.put(inputs.acc), select_in_blocks(inputs.acc, inputs.kth)
    return _selection(
        inputs,
        (expected,),
        queued.select_workspace(inputs.numel),
        lambda *out: queued.select(x, inputs.kth, *out),
    )


def _topk(inputs: Inputs) -> Case:
    x = inputs.put(inputs.acc)
    return _selection(
        inputs,
        (inputs.top,),
        queued.topk_workspace(inputs.numel, inputs.k),
        lambda *out: queued.topk(x, inputs.k, *out),
    )


def _compensate_select(inputs: Inputs) -> Case:
    gradient, residual = inputs.put(inputs.gradient), inputs.put(inputs.residual)
    acc = inputs.room(inputs.numel)
    return _selection(
        inputs,
        (inputs.acc, select_in_blocks(inputs.acc, inputs.kth)),
        queued.select_workspace(inputs.numel),
        lambda *out: queued.compensate_select(gradient, residual, inputs.kth, acc, *out),
        acc,
    )


def _compensate_topk(inputs: Inputs, floor: float) -> Case:
    gradient, residual = inputs.put(inputs.gradient), inputs.put(inputs.residual)
    acc = inputs.room(inputs.numel)
    return _selection(
        inputs,
        (inputs.acc, inputs.top),
        queued.topk_workspace(inputs.numel, inputs.k),
        lambda *out: queued.compensate_topk(gradient, residual, inputs.k, floor, acc, *out),
        acc,
    )


def _number(inputs: Inputs, expected: float, call: Callable[[Any], Any]) -> Case:
    """Return the case of call(out), which writes one float32."""
    out = inputs.room(1)

    def run() -> Any:
        call(out)
        return out

    return Case(run, lambda result: different(result, np.full(1, expected, np.float32)))


def _absmax(inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    return _number(inputs, reference.absmax(inputs.gradient), lambda out: queued.absmax(x, out))


def _kth_magnitude(inputs: Inputs) -> Case:
    x = inputs.put(inputs.acc)
    work = inputs.room(queued.kth_magnitude_workspace(inputs.numel), "uint8")
    return _number(inputs, inputs.kth, lambda out: queued.kth_magnitude(x, inputs.k, out, work))


def _scatter_add(inputs: Inputs) -> Case:
    entries = inputs.put(inputs.top.indices), inputs.put(inputs.top.values)
    status = inputs.room(1, "uint32")
    return changed(
        inputs,
        inputs.gradient,
        lambda x: reference.scatter_add(x, inputs.top.indices, inputs.top.values),
        lambda x: queued.scatter_add(x, *entries, status),
    )


def _merge(inputs: Inputs) -> Case:
    indices, values = ([inputs.put(x) for x in each] for each in inputs.chunks(_RANKS))
    total = _RANKS * inputs.k
    out = inputs.room(total, "uint32"), inputs.room(total)
    found = inputs.room(2, "uint64")
    work = inputs.room(queued.merge_workspace(_RANKS, total), "uint8")
    expected = reference.merge(*inputs.chunks(_RANKS))

    def run() -> Any:
        queued.merge(indices, values, *out, found, work)
        return (*out, found)

    def wrong(result: Any) -> int:
        places, sums, words = result
        count, fault = (int(word) for word in np.asarray(words))
        return different((places[:count], sums[:count]), expected) + (fault != 0)

    return Case(run, wrong)


def _read(inputs: Inputs) -> int:
    return 4 * inputs.numel


def _entries(inputs: Inputs, vectors: int) -> int:
    return 4 * vectors * inputs.numel + _ENTRY * inputs.k


QUEUED = (
    Row("queued/absmax", "absmax that does not wait", _read, _absmax, statistics.ABSMAX),
    Row(
        "queued/kth_magnitude",
        "kth_magnitude that does not wait",
        _read,
        _kth_magnitude,
        statistics.KTH_MAGNITUDE,
    ),
    Row(
        "queued/select",
        "select that does not wait",
        lambda inputs: _entries(inputs, 1),
        _select,
        selection.SELECT,
    ),
    Row(
        "queued/topk",
        "topk that does not wait",
        lambda inputs: _entries(inputs, 1),
        _topk,
        (*selection.TOPK, selection.SORT),
    ),
    Row(
        "queued/compensate_select",
        "compensate_select that does not wait",
        lambda inputs: _entries(inputs, 3),
        _compensate_select,
        selection.COMPENSATE_SELECT,
    ),
    Row(
        "queued/compensate_topk/floor",
        "compensate_topk with a good floor that does not wait",
        lambda inputs: _entries(inputs, 3),
        lambda inputs: _compensate_topk(inputs, inputs.floor),
    ),
    Row(
        "queued/compensate_topk",
        "compensate_topk without a floor that does not wait",
        lambda inputs: _entries(inputs, 3),
        lambda inputs: _compensate_topk(inputs, 0.0),
        selection.COMPENSATE_TOPK,
    ),
    Row(
        "queued/scatter_add",
        "scatter_add that does not wait",
        lambda inputs: _ENTRY * inputs.k + 2 * inputs.line_bytes(inputs.top.indices),
        _scatter_add,
        sparse.SCATTER_ADD,
    ),
    Row(
        f"queued/merge/{_RANKS}",
        f"the union of {_RANKS} ranks' k entries that does not wait",
        lambda inputs: merge_bytes(_RANKS, inputs),
        _merge,
        sparse.merge_peers(_RANKS),
    ),
)
