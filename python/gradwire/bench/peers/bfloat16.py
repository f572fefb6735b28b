"""Selection from bfloat16 by torch."""

from __future__ import annotations

from typing import Any

from gradwire.bench.checks import sampled_floor, topk_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import import_torch, in_bfloat16
from gradwire.bench.peers.selection import same_magnitudes
from gradwire.bench.row import Case, Peer
from gradwire.kernels import reference


def _topk(inputs: Inputs) -> Case:
    torch = import_torch()
    x, wide = in_bfloat16(inputs, inputs.gradient)
    expected = topk_in_blocks(wide, inputs.k, sampled_floor(wide, inputs.k))
    same = same_magnitudes(expected.values)
    k, magnitudes = inputs.k, torch.empty_like(x)
    best = (torch.empty(k, dtype=torch.bfloat16), torch.empty(k, dtype=torch.int64))
    values = torch.empty(k, dtype=torch.bfloat16)

    def call() -> Any:
        torch.abs(x, out=magnitudes)
        torch.topk(magnitudes, k, sorted=False, out=best)
        return torch.take(x, best[1], out=values)

    return Case(call, lambda result: same(result.float()))


def _compensate_topk(inputs: Inputs) -> Case:
    torch = import_torch()
    gradient, wide = in_bfloat16(inputs, inputs.gradient)
    sums = reference.add(inputs.residual, wide)
    expected = topk_in_blocks(sums, inputs.k, sampled_floor(sums, inputs.k))
    residual = inputs.tensor(inputs.residual)
    acc, magnitudes, k = torch.empty_like(residual), torch.empty_like(residual), inputs.k
    best = (torch.empty(k), torch.empty(k, dtype=torch.int64))
    values = torch.empty(k)

    def call() -> Any:
        torch.add(residual, gradient, out=acc)
        torch.abs(acc, out=magnitudes)
        torch.topk(magnitudes, k, sorted=False, out=best)
        return torch.take(acc, best[1], out=values)

    return Case(call, same_magnitudes(expected.values))


TOPK = (Peer("torch.topk(|x|, sorted=False)", "torch", _topk),)
COMPENSATE_TOPK = (Peer("torch: add, topk(|x|)", "torch", _compensate_topk),)
