"""Selection from bfloat16, which is a torch tensor: NumPy has no such type."""

from __future__ import annotations

from typing import Any

from gradwire import kernels
from gradwire.bench.checks import equals, sampled_floor, topk_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import bfloat16 as peers
from gradwire.bench.peers import in_bfloat16
from gradwire.bench.row import Case, Row
from gradwire.kernels import reference

_ENTRY = 8  # bytes: an index and a value


def _topk(inputs: Inputs) -> Case:
    x, wide = in_bfloat16(inputs, inputs.gradient)
    expected = topk_in_blocks(wide, inputs.k, sampled_floor(wide, inputs.k))
    entries = inputs.room(inputs.k, "uint32"), inputs.room(inputs.k)
    return Case(lambda: kernels.topk(x, inputs.k, *entries), equals(expected))


def _compensate_topk(inputs: Inputs) -> Case:
    gradient, wide = in_bfloat16(inputs, inputs.gradient)
    sums = reference.add(inputs.residual, wide)
    expected = (sums, topk_in_blocks(sums, inputs.k, sampled_floor(sums, inputs.k)))
    residual, acc = inputs.put(inputs.residual), inputs.room(sums.size)
    entries = inputs.room(inputs.k, "uint32"), inputs.room(inputs.k)

    def call() -> Any:
        return acc, kernels.compensate_topk(gradient, residual, inputs.k, 0.0, acc, *entries)

    return Case(call, equals(expected))


BFLOAT16 = (
    Row(
        "topk/bfloat16",
        "the k entries of largest magnitude of a bfloat16 vector, exactly",
        lambda inputs: 2 * inputs.numel + _ENTRY * inputs.k,
        _topk,
        peers.TOPK,
    ),
    Row(
        "compensate_topk/bfloat16",
        "acc = residual + bfloat16 gradient, and its exact top k, without a floor",
        lambda inputs: 10 * inputs.numel + _ENTRY * inputs.k,
        _compensate_topk,
        peers.COMPENSATE_TOPK,
    ),
)
