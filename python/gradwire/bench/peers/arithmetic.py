"""Dense sums, products and transforms by NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.bench.checks import different_beyond, different_in_blocks, equals
from gradwire.bench.inputs import Floats, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer, changed
from gradwire.kernels import reference

FACTOR = 1.0 / 3.0
HADAMARD = 4096
# A product that is not rounded before it is added; values are of the same size.
_TOLERANCE = 1e-6


def whole_blocks(inputs: Inputs) -> Floats:
    """Return the gradient without what is left over from blocks of HADAMARD; at least one."""
    x = inputs.gradient[: inputs.numel // HADAMARD * HADAMARD]
    return x if x.size else np.resize(inputs.gradient, HADAMARD)


def _numpy_add(inputs: Inputs) -> Case:
    out = np.empty_like(inputs.acc)
    return Case(lambda: np.add(inputs.residual, inputs.gradient, out=out), equals(inputs.acc))


def _torch_add(inputs: Inputs) -> Case:
    torch = import_torch()
    first, second = (inputs.tensor(x) for x in (inputs.residual, inputs.gradient))
    out = torch.empty_like(first)
    return Case(lambda: torch.add(first, second, out=out), equals(inputs.acc))


def _scaled(inputs: Inputs) -> Any:
    def wrong(result: Any) -> int:
        return different_in_blocks(
            lambda part: reference.scale(part, FACTOR), inputs.gradient, result
        )

    return wrong


def _numpy_scale(inputs: Inputs) -> Case:
    x, out, factor = inputs.gradient, np.empty_like(inputs.gradient), np.float32(FACTOR)
    return Case(lambda: np.multiply(x, factor, out=out), _scaled(inputs))


def _torch_scale(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)
    out = torch.empty_like(x)
    return Case(lambda: torch.mul(x, FACTOR, out=out), _scaled(inputs))


def _numpy_scale_add(inputs: Inputs) -> Case:
    x, product, factor = inputs.gradient, np.empty_like(inputs.gradient), np.float32(FACTOR)

    def call(out: Floats) -> None:
        np.multiply(x, factor, out=product)
        np.add(out, product, out=out)

    return changed(
        inputs,
        inputs.residual,
        lambda out: np.copyto(out, reference.scale_add(x, FACTOR, out)),
        call,
    )


def _torch_scale_add(inputs: Inputs) -> Case:
    x, start = inputs.tensor(inputs.gradient), inputs.tensor(inputs.residual)
    out = start.clone()
    expected = reference.scale_add(inputs.gradient, FACTOR, inputs.residual)

    def reset() -> None:
        out.copy_(start)

    return Case(
        lambda: out.add_(x, alpha=FACTOR),
        lambda result: different_beyond(_TOLERANCE, result, expected),
        reset,
    )


def _torch_hadamard(inputs: Inputs) -> Case:
    """The butterflies of all blocks at once, stage by stage."""
    torch = import_torch()
    x = whole_blocks(inputs)
    start = inputs.tensor(x)

    def call() -> Any:
        y, distance = start, 1
        while distance < HADAMARD:
            pairs = y.view(-1, 2, distance)
            first, second = pairs[:, 0], pairs[:, 1]
            y = torch.stack((first + second, first - second), dim=1)
            distance *= 2
        return y.view(-1).mul_(HADAMARD**-0.5)

    def wrong(result: Any) -> int:
        return different_in_blocks(lambda part: reference.hadamard(part, HADAMARD), x, result)

    return Case(call, wrong)


ADD = (
    Peer("np.add(out=)", "numpy", _numpy_add),
    Peer("torch.add(out=)", "torch", _torch_add),
)
SCALE = (
    Peer("np.multiply(out=)", "numpy", _numpy_scale),
    Peer("torch.mul(out=)", "torch", _torch_scale),
)
SCALE_ADD = (
    Peer("np.multiply, np.add(out=)", "numpy", _numpy_scale_add),
    Peer("torch add_(x, alpha=)", "torch", _torch_scale_add),
)
HADAMARD_TRANSFORM = (Peer("torch: 12 stages of add, sub, stack", "torch", _torch_hadamard),)
