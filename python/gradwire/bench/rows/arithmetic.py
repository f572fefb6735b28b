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

_FACTOR = peers.FACTOR
_HADAMARD = peers.HADAMARD


def _add(inputs: Inputs) -> Case:
    residual, gradient = inputs.put(inputs.residual), inputs.put(inputs.gradient)
    out = inputs.room(inputs.numel)
    return Case(lambda: kernels.add(residual, gradient, out), equals(inputs.acc))


def _scale(inputs: Inputs) -> Case:
    x, out = inputs.put(inputs.gradient), inputs.room(inputs.numel)

    def wrong(result: Any) -> int:
        return different_in_blocks(
            lambda part: reference.scale(part, _FACTOR), inputs.gradient, result
        )

    return Case(lambda: kernels.scale(x, _FACTOR, out), wrong)


def _scale_add(inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    return changed(
        inputs,
        inputs.residual,
        lambda out: np.copyto(out, reference.scale_add(inputs.gradient, _FACTOR, out)),
        lambda out: kernels.scale_add(x, _FACTOR, out),
    )


def _hadamard(inputs: Inputs) -> Case:
    whole = peers.whole_blocks(inputs)
    x, out = inputs.put(whole), inputs.room(whole.size)

    def wrong(result: Any) -> int:
        return different_in_blocks(lambda part: reference.hadamard(part, _HADAMARD), whole, result)

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
