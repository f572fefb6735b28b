"""Sparse entries and dense vectors by NumPy and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.checks import different, different_beyond, equals
from gradwire.bench.inputs import Floats, Indices, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer, changed
from gradwire.kernels import reference

# Coalescing may add in another order.
_TOLERANCE = 1e-6


def _numpy_clear(inputs: Inputs) -> Case:
    indices = inputs.top.indices.astype(np.intp)

    def call(x: Floats) -> None:
        x[indices] = 0.0

    return changed(inputs, inputs.acc, call, call)


def _torch_clear(inputs: Inputs) -> Case:
    indices = inputs.tensor(inputs.top.indices.astype(np.int64))
    return changed(
        inputs,
        inputs.acc,
        lambda x: reference.clear(x, inputs.top.indices),
        lambda x: x.index_fill_(0, indices, 0.0),
        for_torch=True,
    )


def _numpy_scatter(inputs: Inputs) -> Case:
    indices, values = inputs.top.indices.astype(np.intp), inputs.top.values

    def call(x: Floats) -> None:
        x[indices] = values

    return changed(inputs, inputs.gradient, call, call)


def _torch_scatter(inputs: Inputs) -> Case:
    indices, values = _top(inputs)
    return changed(
        inputs,
        inputs.gradient,
        lambda x: reference.scatter(x, inputs.top.indices, inputs.top.values),
        lambda x: x.scatter_(0, indices, values),
        for_torch=True,
    )


def _torch_adding(method: str) -> Callable[[Inputs], Case]:
    def prepare(inputs: Inputs) -> Case:
        indices, values = _top(inputs)
        return changed(
            inputs,
            inputs.gradient,
            lambda x: reference.scatter_add(x, inputs.top.indices, inputs.top.values),
            lambda x: getattr(x, method)(0, indices, values),
            for_torch=True,
        )

    return prepare


def _numpy_add_at(inputs: Inputs) -> Case:
    indices, values = inputs.top.indices.astype(np.intp), inputs.top.values
    return changed(
        inputs,
        inputs.gradient,
        lambda x: reference.scatter_add(x, inputs.top.indices, values),
        lambda x: np.add.at(x, indices, values),
    )


def _torch_coalesce(count: int, inputs: Inputs) -> Case:
    torch = import_torch()
    indices, values = _tensors(inputs, *inputs.chunks(count))
    expected = reference.merge(*inputs.chunks(count))

    def call() -> Any:
        together = torch.cat(indices).unsqueeze(0)
        return torch.sparse_coo_tensor(
            together, torch.cat(values), (inputs.numel,), check_invariants=False
        ).coalesce()

    def wrong(result: Any) -> int:
        found = result.indices()[0].numpy().astype(np.uint32)
        return different(found, expected[0]) + different_beyond(
            _TOLERANCE, result.values().numpy(), expected[1]
        )

    return Case(call, wrong)


def _torch_dense_sum(count: int, inputs: Inputs) -> Case:
    torch = import_torch()
    indices, values = _tensors(inputs, *inputs.chunks(count))
    union, sums = reference.merge(*inputs.chunks(count))
    total = torch.empty(inputs.numel)

    def call() -> Any:
        total.zero_()
        for chunk in zip(indices, values, strict=True):
            total.index_add_(0, *chunk)
        return total

    def wrong(result: Any) -> int:
        outside = int(result.count_nonzero()) - int(np.count_nonzero(sums))
        return different(result.numpy()[union], sums) + abs(outside)

    return Case(call, wrong)


def _numpy_intersect(inputs: Inputs) -> Case:
    first, second = inputs.chunks(2)[0]
    return Case(
        lambda: np.intersect1d(first, second, assume_unique=True),
        equals(reference.intersect(first, second)[0]),
    )


def _torch_isin(inputs: Inputs) -> Case:
    torch = import_torch()
    first, second = _tensors(inputs, *inputs.chunks(2))[0]
    expected = reference.intersect(*inputs.chunks(2)[0])[0].astype(np.int64)
    return Case(lambda: first[torch.isin(first, second, assume_unique=True)], equals(expected))


def _tensors(inputs: Inputs, indices: list[Indices], values: list[Floats]) -> tuple[Any, Any]:
    return (
        [inputs.tensor(chunk.astype(np.int64)) for chunk in indices],
        [inputs.tensor(chunk) for chunk in values],
    )


def _top(inputs: Inputs) -> tuple[Any, Any]:
    (indices,), (values,) = _tensors(inputs, [inputs.top.indices], [inputs.top.values])
    return indices, values


CLEAR = (
    Peer("x[indices] = 0, NumPy", "numpy", _numpy_clear),
    Peer("torch index_fill_", "torch", _torch_clear),
)
SCATTER = (
    Peer("x[indices] = values, NumPy", "numpy", _numpy_scatter),
    Peer("torch scatter_", "torch", _torch_scatter),
)
SCATTER_ADD = (
    Peer("torch index_add_", "torch", _torch_adding("index_add_")),
    Peer("torch scatter_add_", "torch", _torch_adding("scatter_add_")),
    Peer("np.add.at", "numpy", _numpy_add_at),
)

INTERSECT = (
    Peer("np.intersect1d(assume_unique)", "numpy", _numpy_intersect),
    Peer("torch: a[isin(a, b)]", "torch", _torch_isin),
)


def merge_peers(count: int) -> tuple[Peer, ...]:
    """Return the peers of merging `count` chunks."""
    return (
        Peer("torch.sparse coalesce", "torch", lambda inputs: _torch_coalesce(count, inputs)),
        Peer("torch: zero_, index_add_ (dense)", "torch", lambda i: _torch_dense_sum(count, i)),
    )
