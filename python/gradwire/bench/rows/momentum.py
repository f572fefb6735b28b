"""Momentum correction fused with selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradwire import kernels
from gradwire.bench.checks import equals, select_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import momentum as peers
from gradwire.bench.row import Case, Row
from gradwire.kernels import Selected

_ENTRY = 8  # bytes: an index and a value


def _case(inputs: Inputs, vectors: Any, expected: Selected, call: Callable[..., Any]) -> Case:
    """Return the case of call(gradient, momentum, residual, *outputs), which selects.

    outputs: momentum, acc, indices, values.
    """
    momentum, *expected_vectors = vectors
    own = [inputs.put(x) for x in (inputs.gradient, momentum, inputs.residual)]
    out = [inputs.room(momentum.size) for _ in range(2)]
    entries = inputs.room(expected.found, "uint32"), inputs.room(expected.found)
    return Case(lambda: (*out, call(*own, *out, *entries)), equals((*expected_vectors, expected)))


def _momentum_select(inputs: Inputs) -> Case:
    vectors, top = peers.expected(inputs)
    expected = select_in_blocks(vectors[2], top.threshold)
    return _case(
        inputs,
        vectors,
        expected,
        lambda gradient, momentum, residual, *out: kernels.momentum_select(
            gradient, momentum, residual, peers.FACTOR, top.threshold, *out
        ),
    )


def _momentum_topk(inputs: Inputs) -> Case:
    vectors, top = peers.expected(inputs)
    return _case(
        inputs,
        vectors,
        top,
        lambda gradient, momentum, residual, *out: kernels.momentum_topk(
            gradient, momentum, residual, peers.FACTOR, inputs.k, 0.0, *out
        ),
    )


MOMENTUM = (
    Row(
        "momentum_select",
        "momentum and residual updated, and entries that reach a threshold",
        lambda inputs: 20 * inputs.numel + _ENTRY * inputs.k,
        _momentum_select,
        peers.SELECT,
    ),
    Row(
        "momentum_topk",
        "momentum and residual updated, and the exact top k, without a floor",
        lambda inputs: 20 * inputs.numel + _ENTRY * inputs.k,
        _momentum_topk,
        peers.TOPK,
    ),
)
