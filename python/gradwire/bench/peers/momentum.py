"""Momentum correction as Deep Gradient Compression does it with torch operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.checks import different, sampled_floor, topk_in_blocks
from gradwire.bench.inputs import Floats, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.peers.selection import same_magnitudes
from gradwire.bench.row import Case, Peer
from gradwire.kernels import Selected, reference

FACTOR = 0.9


def expected(inputs: Inputs) -> tuple[tuple[Floats, Floats, Floats], Selected]:
    """Return momentum, the new momentum and residual, and the new residual's top k."""
    momentum = inputs.another()
    updated, acc = np.empty_like(momentum), np.empty_like(momentum)
    reference.momentum(
        inputs.gradient, momentum, inputs.residual, FACTOR, updated, acc, nesterov=False
    )
    top = topk_in_blocks(acc, inputs.k, sampled_floor(acc, inputs.k))
    return (momentum, updated, acc), top


def _in_place(inputs: Inputs, choose: Callable[..., Any]) -> Case:
    """Update momentum and residual in place and choose(residual, top's threshold) from it."""
    torch = import_torch()
    (start, updated, acc), top = expected(inputs)
    gradient = inputs.tensor(inputs.gradient)
    starts = [inputs.tensor(x) for x in (start, inputs.residual)]
    momentum, residual = (x.clone() for x in starts)
    same = same_magnitudes(top.values)

    def reset() -> None:
        momentum.copy_(starts[0])
        residual.copy_(starts[1])

    def call() -> Any:
        momentum.mul_(FACTOR).add_(gradient)
        residual.add_(momentum)
        return momentum, residual, choose(torch, residual, top.threshold)

    def wrong(result: Any) -> int:
        return different(result[:2], (updated, acc)) + same(result[2][: inputs.k])

    return Case(call, wrong, reset)


def _select(inputs: Inputs) -> Case:
    def choose(torch: Any, x: Any, threshold: float) -> Any:
        return x[(x.abs() >= threshold).nonzero().squeeze(1)]

    return _in_place(inputs, choose)


def _topk(inputs: Inputs) -> Case:
    def choose(torch: Any, x: Any, threshold: float) -> Any:
        return x[torch.topk(x.abs(), inputs.k, sorted=False).indices]

    return _in_place(inputs, choose)


SELECT = (Peer("torch: mul_, add_, >=, nonzero", "torch", _select),)
TOPK = (Peer("torch: mul_, add_, add_, topk(|x|)", "torch", _topk),)
