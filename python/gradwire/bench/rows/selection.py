"""Selection by magnitude, with and without error feedback."""

from __future__ import annotations

from typing import Any

from gradwire import kernels
from gradwire.bench.checks import different, equals, select_in_blocks
from gradwire.bench.inputs import Inputs, copied
from gradwire.bench.peers import selection as peers
from gradwire.bench.row import Case, Row

_ENTRY = 8  # bytes: an index and a value


def _entries(inputs: Inputs, size: int) -> tuple[Any, Any]:
    return inputs.room(size, "uint32"), inputs.room(size)


def _vectors(inputs: Inputs) -> tuple[Any, Any]:
    return inputs.put(inputs.gradient), inputs.put(inputs.residual)


def _select(inputs: Inputs) -> Case:
    expected = select_in_blocks(inputs.acc, inputs.kth)
    x, entries = inputs.put(inputs.acc), _entries(inputs, expected.found)
    return Case(lambda: kernels.select(x, inputs.kth, *entries), equals(expected))


def _topk(inputs: Inputs) -> Case:
    x, entries = inputs.put(inputs.acc), _entries(inputs, inputs.k)
    return Case(lambda: kernels.topk(x, inputs.k, *entries), equals(inputs.top))


def _compensate_select(inputs: Inputs) -> Case:
    expected = select_in_blocks(inputs.acc, inputs.kth)
    vectors, acc = _vectors(inputs), inputs.room(inputs.numel)
    entries = _entries(inputs, expected.found)

    def call() -> Any:
        return acc, kernels.compensate_select(*vectors, inputs.kth, acc, *entries)

    return Case(call, equals((inputs.acc, expected)))


def _compensate_select_clear(inputs: Inputs) -> Case:
    expected = select_in_blocks(inputs.acc, inputs.kth)
    vectors, acc = _vectors(inputs), inputs.room(inputs.numel)
    entries = _entries(inputs, expected.found)

    def call() -> Any:
        found = kernels.compensate_select(*vectors, inputs.kth, acc, *entries)
        kernels.clear(acc, found.indices)
        return acc, found

    def wrong(result: Any) -> int:
        left = copied(inputs.acc)
        left[expected.indices] = 0.0
        return different(result, (left, expected))

    return Case(call, wrong)


def _compensate_topk(inputs: Inputs, floor: float) -> Case:
    vectors, acc = _vectors(inputs), inputs.room(inputs.numel)
    entries = _entries(inputs, inputs.k)

    def call() -> Any:
        return acc, kernels.compensate_topk(*vectors, inputs.k, floor, acc, *entries)

    return Case(call, equals((inputs.acc, inputs.top)))


SELECTION = (
    Row(
        "select",
        "entries that reach a threshold",
        lambda inputs: 4 * inputs.numel + _ENTRY * inputs.k,
        _select,
        peers.SELECT,
    ),
    Row(
        "topk",
        "the k entries of largest magnitude, exactly",
        lambda inputs: 4 * inputs.numel + _ENTRY * inputs.k,
        _topk,
        peers.TOPK,
    ),
    Row(
        "compensate_select",
        "acc = residual + gradient, and its entries that reach a threshold",
        lambda inputs: 12 * inputs.numel + _ENTRY * inputs.k,
        _compensate_select,
        peers.COMPENSATE_SELECT,
    ),
    Row(
        "compensate_select+clear",
        "the same, and what was selected leaves acc: a step of error feedback",
        lambda inputs: 12 * inputs.numel + _ENTRY * inputs.k,
        _compensate_select_clear,
        peers.COMPENSATE_SELECT_CLEAR,
    ),
    Row(
        "compensate_topk/floor",
        "acc = residual + gradient, and its exact top k, helped by a good floor",
        lambda inputs: 12 * inputs.numel + _ENTRY * inputs.k,
        lambda inputs: _compensate_topk(inputs, inputs.floor),
    ),
    Row(
        "compensate_topk",
        "acc = residual + gradient, and its exact top k, without a floor",
        lambda inputs: 12 * inputs.numel + _ENTRY * inputs.k,
        lambda inputs: _compensate_topk(inputs, 0.0),
        peers.COMPENSATE_TOPK,
    ),
)
