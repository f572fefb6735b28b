"""Selection by magnitude, with and without error feedback, by NumPy and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.checks import different, select_in_blocks
from gradwire.bench.inputs import Floats, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer


def _same_selection(inputs: Inputs) -> Callable[[Any], int]:
    """Compare (indices, values) with everything that reaches the k-th magnitude."""
    expected = select_in_blocks(inputs.acc, inputs.kth)

    def wrong(result: Any) -> int:
        indices, values = (np.asarray(part) for part in result)
        return different((indices.astype(np.uint32), values), (expected.indices, expected.values))

    return wrong


def same_magnitudes(values: Floats) -> Callable[[Any], int]:
    """Compare magnitudes: of equal ones, peers may choose others than the first."""
    expected = np.sort(np.abs(values))
    return lambda values: different(np.sort(np.abs(np.asarray(values))), expected)


def _torch_threshold(inputs: Inputs) -> Case:
    x, threshold = inputs.tensor(inputs.acc), inputs.kth

    def call() -> Any:
        indices = (x.abs() >= threshold).nonzero().squeeze(1)
        return indices, x[indices]

    return Case(call, _same_selection(inputs))


def _numpy_threshold(inputs: Inputs) -> Case:
    x, threshold = inputs.acc, np.float32(inputs.kth)
    magnitudes, reached = np.empty_like(x), np.empty(x.size, bool)

    def call() -> Any:
        np.greater_equal(np.abs(x, out=magnitudes), threshold, out=reached)
        indices = np.flatnonzero(reached)
        return indices, x[indices]

    return Case(call, _same_selection(inputs))


def _torch_largest(inputs: Inputs, room: int, order: Callable[[Any, Any], Any]) -> Case:
    """Return the case of the k values that order(magnitudes, out) finds the first places of.

    out: `room` magnitudes and as many places.
    """
    torch = import_torch()
    x, k = inputs.tensor(inputs.acc), inputs.k
    magnitudes = torch.empty_like(x)
    ordered = (torch.empty(room), torch.empty(room, dtype=torch.int64))
    places, values = ordered[1][:k], torch.empty(k)

    def call() -> Any:
        torch.abs(x, out=magnitudes)
        order(magnitudes, ordered)
        return torch.take(x, places, out=values)

    return Case(call, same_magnitudes(inputs.top.values))


def _torch_topk(inputs: Inputs) -> Case:
    topk, k = import_torch().topk, inputs.k
    return _torch_largest(inputs, k, lambda x, out: topk(x, k, sorted=False, out=out))


def _torch_sort(inputs: Inputs) -> Case:
    sort = import_torch().sort
    return _torch_largest(inputs, inputs.numel, lambda x, out: sort(x, descending=True, out=out))


def _numpy_argpartition(inputs: Inputs) -> Case:
    x, place = inputs.acc, inputs.numel - inputs.k
    magnitudes = np.empty_like(x)

    def call() -> Any:
        np.abs(x, out=magnitudes)
        return x[np.argpartition(magnitudes, place)[place:]]

    return Case(call, same_magnitudes(inputs.top.values))


def _numpy_partition(inputs: Inputs) -> Case:
    x, place = inputs.acc, inputs.numel - inputs.k
    magnitudes = np.empty_like(x)

    def call() -> Any:
        np.abs(x, out=magnitudes)
        magnitudes.partition(place)
        return magnitudes[place:]

    return Case(call, same_magnitudes(inputs.top.values))


def _torch_compensate_threshold(inputs: Inputs) -> Case:
    torch = import_torch()
    gradient, residual = (inputs.tensor(x) for x in (inputs.gradient, inputs.residual))
    acc, threshold = torch.empty_like(gradient), inputs.kth

    def call() -> Any:
        torch.add(residual, gradient, out=acc)
        indices = (acc.abs() >= threshold).nonzero().squeeze(1)
        return indices, acc[indices]

    return Case(call, _same_selection(inputs))


def _torch_residual_threshold(inputs: Inputs) -> Case:
    """One step of error feedback as libraries of torch operations do it.

    The residual is what was accumulated less what was sent, and what was sent is made dense.
    """
    torch = import_torch()
    gradient, old = (inputs.tensor(x) for x in (inputs.gradient, inputs.residual))
    threshold = inputs.kth
    same = _same_selection(inputs)

    def call() -> Any:
        acc = old + gradient
        indices = (acc.abs() >= threshold).nonzero().squeeze(1)
        values = acc[indices]
        sent = torch.zeros_like(acc)
        sent[indices] = values
        return indices, values, acc - sent

    def wrong(result: Any) -> int:
        expected = inputs.acc.copy()
        expected[select_in_blocks(inputs.acc, inputs.kth).indices] = 0
        return same(result[:2]) + different(result[2].numpy(), expected)

    return Case(call, wrong)


def _torch_compensate_topk(inputs: Inputs) -> Case:
    torch = import_torch()
    gradient, residual = (inputs.tensor(x) for x in (inputs.gradient, inputs.residual))
    acc, magnitudes, k = torch.empty_like(gradient), torch.empty_like(gradient), inputs.k
    best = (torch.empty(k), torch.empty(k, dtype=torch.int64))
    values = torch.empty(k)

    def call() -> Any:
        torch.add(residual, gradient, out=acc)
        torch.abs(acc, out=magnitudes)
        torch.topk(magnitudes, k, sorted=False, out=best)
        return torch.take(acc, best[1], out=values)

    return Case(call, same_magnitudes(inputs.top.values))


SELECT = (
    Peer("torch: abs, >=, nonzero, gather", "torch", _torch_threshold),
    Peer("np: abs, >=, flatnonzero, gather", "numpy", _numpy_threshold),
)
TOPK = (
    Peer("torch.topk(|x|, sorted=False)", "torch", _torch_topk),
    Peer("np.argpartition(|x|)", "numpy", _numpy_argpartition),
    Peer("np.partition(|x|), values only", "numpy", _numpy_partition),
)
SORT = Peer("torch.sort(|x|)", "torch", _torch_sort)  # on a GPU it need not be slow
COMPENSATE_SELECT = (
    Peer("torch: add, abs, >=, nonzero, gather", "torch", _torch_compensate_threshold),
)
COMPENSATE_SELECT_CLEAR = (Peer("torch: threshold + residual", "torch", _torch_residual_threshold),)
COMPENSATE_TOPK = (Peer("torch: add, topk(|x|)", "torch", _torch_compensate_topk),)
