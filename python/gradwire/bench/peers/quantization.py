"""Uniform quantisation and signs as chains of torch operations; codes stay in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.checks import blocks, different
from gradwire.bench.inputs import Floats, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer

BLOCK = 512  # elements that share a scale
# Codes are right if they stand for numbers this near, in steps; the rest is rounding of the scale.
_HALF, _WHOLE, _SLACK = 0.5, 1.0, 1e-3


def _levels(bits: int) -> int:
    return int((1 << (bits - 1)) - 1)


def _tensors(inputs: Inputs, *vectors: Floats) -> tuple[Any, Any]:
    """Return torch, and vectors in rows of BLOCK, zeros behind the end of the last one."""
    torch = import_torch()
    rows = -(-inputs.numel // BLOCK)
    padded = [torch.zeros(rows, BLOCK) for _ in vectors]
    for tensor, vector in zip(padded, vectors, strict=True):
        tensor.view(-1)[: inputs.numel] = inputs.tensor(vector)
    return torch, padded


def _too_far(x: Floats, steps: float, levels: int) -> Callable[[Any], int]:
    """Compare what (codes, scales, ...) stand for with x; scales: one per row, or one of all."""

    def wrong(result: Any) -> int:
        codes, scales = result[0].reshape(-1).numpy(), result[1].reshape(-1).numpy() / levels
        count = abs(int(codes[x.size :].any()))
        for part in blocks(x.size):
            each = scales
            if scales.size > 1:
                each = np.repeat(scales[part.start // BLOCK : -(-part.stop // BLOCK)], BLOCK)
            each = each[: part.stop - part.start]
            near = np.abs(codes[part] * each - x[part]) <= (steps + _SLACK) * each
            count += int(np.count_nonzero(~near))
        return count

    return wrong


def _nearest(torch: Any, x: Any, levels: int) -> tuple[Any, Any]:
    scales = x.abs().amax(1, keepdim=True)
    return (x * (levels / scales)).round_().to(torch.int8), scales


def _qsgd(torch: Any, x: Any, levels: int) -> tuple[Any, Any]:
    """QSGD with one norm of all."""
    norm = x.norm()
    level = x.abs() * (levels / norm)
    lower = level.floor()
    upwards = torch.rand_like(x) < level - lower
    return ((lower + upwards) * x.sign()).to(torch.int8), norm


def _quantize(method: Callable[..., Any], steps: float, bits: int, inputs: Inputs) -> Case:
    torch, (x,) = _tensors(inputs, inputs.gradient)
    levels = _levels(bits)
    return Case(lambda: method(torch, x, levels), _too_far(inputs.gradient, steps, levels))


def _compensate(method: Callable[..., Any], steps: float, bits: int, inputs: Inputs) -> Case:
    torch, (gradient, residual) = _tensors(inputs, inputs.gradient, inputs.residual)
    levels = _levels(bits)

    def call() -> Any:
        acc = residual + gradient
        codes, scale = method(torch, acc, levels)
        return codes, scale, acc - codes * (scale / levels)

    return Case(call, _too_far(inputs.acc, steps, levels))


def _random_codes(inputs: Inputs, bits: int) -> tuple[Any, Any]:
    torch, (x,) = _tensors(inputs, inputs.gradient)
    return _nearest(torch, x, _levels(bits))


def _dequantize(bits: int, inputs: Inputs) -> Case:
    codes, scales = _random_codes(inputs, bits)
    return Case(lambda: codes * (scales / _levels(bits)), None)


def _dequantize_add(bits: int, inputs: Inputs) -> Case:
    _, (out,) = _tensors(inputs, inputs.residual)
    codes, scales = _random_codes(inputs, bits)
    return Case(lambda: out.add_(codes * (scales / _levels(bits))), None)


def _sign(inputs: Inputs) -> Case:
    torch, (x,) = _tensors(inputs, inputs.gradient)

    def call() -> Any:
        return (x >= 0).to(torch.uint8), x.abs().mean(1)

    return Case(call, _same_signs(inputs.gradient))


def _compensate_sign(inputs: Inputs) -> Case:
    torch, (gradient, residual) = _tensors(inputs, inputs.gradient, inputs.residual)

    def call() -> Any:
        acc = residual + gradient
        scales = acc.abs().mean(1, keepdim=True)
        positive = acc >= 0
        return positive.to(torch.uint8), scales, acc - torch.where(positive, scales, -scales)

    return Case(call, _same_signs(inputs.acc))


def _same_signs(x: Floats) -> Callable[[Any], int]:
    expected = (x >= 0).astype(np.uint8)
    return lambda result: different(result[0].reshape(-1).numpy()[: x.size], expected)


def _sign_add(inputs: Inputs) -> Case:
    torch, (x, out) = _tensors(inputs, inputs.gradient, inputs.residual)
    positive, scales = x >= 0, x.abs().mean(1, keepdim=True)
    return Case(lambda: out.add_(torch.where(positive, scales, -scales)), None)


def nearest_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of quantisation to nearest."""
    return (
        Peer("torch: amax, multiply, round, int8", "torch",
             lambda inputs: _quantize(_nearest, _HALF, bits, inputs)),
    )  # fmt: skip


def stochastic_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of stochastic quantisation."""
    return (
        Peer("torch: QSGD, int8", "torch", lambda inputs: _quantize(_qsgd, _WHOLE, bits, inputs)),
    )


def compensate_nearest_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of quantisation to nearest with error feedback."""
    return (
        Peer("torch: round + residual, int8", "torch",
             lambda inputs: _compensate(_nearest, _HALF, bits, inputs)),
    )  # fmt: skip


def compensate_stochastic_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of stochastic quantisation with error feedback."""
    return (
        Peer("torch: QSGD + residual, int8", "torch",
             lambda inputs: _compensate(_qsgd, _WHOLE, bits, inputs)),
    )  # fmt: skip


def dequantize_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of decoding."""
    return (Peer("torch: int8 times scales", "torch", lambda inputs: _dequantize(bits, inputs)),)


def dequantize_add_peers(bits: int) -> tuple[Peer, ...]:
    """Return the peers of decoding and adding."""
    return (
        Peer("torch: int8 times scales, add_", "torch",
             lambda inputs: _dequantize_add(bits, inputs)),
    )  # fmt: skip


SIGN = (Peer("torch: >=, mean(|x|), uint8", "torch", _sign),)
COMPENSATE_SIGN = (Peer("torch: sign + residual, uint8", "torch", _compensate_sign),)
SIGN_ADD = (Peer("torch: where, add_", "torch", _sign_add),)
