"""Dense sums and products, and the Walsh-Hadamard transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import different_in_blocks, equals
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import arithmetic as peers
from gradwire.bench.row import Case, Row, changed
from gradwire.kernels import reference
from gradwire.kernels.arrays import aligned

_FACTOR = peers.FACTOR
_HADAMARD = peers.HADAMARD


def _add(inputs: Inputs) -> Case:
    out = aligned(inputs.numel)
    return Case(lambda: kernels.add(inputs.residual, inputs.gradient, out), equals(inputs.acc))


def _scale(inputs: Inputs) -> Case:
    x, out = inputs.gradient, aligned(inputs.numel)

    def wrong(result: Any) -> int:
        return different_in_blocks(lambda part: reference.scale(part, _FACTOR), x, result)

    return Case(lambda: kernels.scale(x, _FACTOR, out), wrong)


def _scale_add(inputs: Inputs) -> Case:
    return changed(
        inputs.residual,
        lambda out: np.copyto(out, reference.scale_add(inputs.gradient, _FACTOR, out)),
        lambda out: kernels.scale_add(inputs.gradient, _FACTOR, out),
    )


def _hadamard(inputs: Inputs) -> Case:
    x = peers.whole_blocks(inputs)
    out = aligned(x.size)

    def wrong(result: Any) -> int:
        return different_in_blocks(lambda part: reference.hadamard(part, _HADAMARD), x, result)

    return Case(lambda: kernels.hadamard(x, _HADAMARD, out=out), wrong)


ARITHMETIC = (
    Row(
        "add",
        "the sum of two vectors",
        lambda inputs: 12 * inputs.numel,
        _add,
        peers.ADD,
    ),
    Row(
        "scale",
        "a vector times a number",
        lambda inputs: 8 * inputs.numel,
        _scale,
        peers.SCALE,
    ),
    Row(
        "scale_add",
        "a vector times a number, added to another",
        lambda inputs: 12 * inputs.numel,
        _scale_add,
        peers.SCALE_ADD,
    ),
    Row(
        "hadamard",
        f"Walsh-Hadamard transforms of {_HADAMARD:,} elements each",
        lambda inputs: 8 * peers.whole_blocks(inputs).size,
        _hadamard,
        peers.HADAMARD_TRANSFORM,
    ),
)
