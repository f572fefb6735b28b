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
from gradwire.kernels.arrays import aligned

_ENTRY = 8  # bytes: an index and a value


def _case(vectors: Any, expected: Selected, call: Callable[..., Any]) -> Case:
    """Return the case of call(momentum, out_momentum, out_acc, indices, values)."""
    momentum, *expected_vectors = vectors
    out = [aligned(momentum.size) for _ in range(2)]
    entries = aligned(expected.found, "uint32"), aligned(expected.found)
    return Case(
        lambda: (*out, call(momentum, *out, *entries)), equals((*expected_vectors, expected))
    )


def _momentum_select(inputs: Inputs) -> Case:
    vectors, top = peers.expected(inputs)
    expected = select_in_blocks(vectors[2], top.threshold)
    return _case(
        vectors,
        expected,
        lambda momentum, *out: kernels.momentum_select(
            inputs.gradient, momentum, inputs.residual, peers.FACTOR, top.threshold, *out
        ),
    )


def _momentum_topk(inputs: Inputs) -> Case:
    vectors, top = peers.expected(inputs)
    return _case(
        vectors,
        top,
        lambda momentum, *out: kernels.momentum_topk(
            inputs.gradient, momentum, inputs.residual, peers.FACTOR, inputs.k, 0.0, *out
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
