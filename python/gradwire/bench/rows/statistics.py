"""Finiteness, histogram and k-th magnitude."""

from __future__ import annotations

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import blocks, equals, histogram_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import statistics as peers
from gradwire.bench.row import Case, Row
from gradwire.kernels import reference

_BITS = 13  # sign-free leading bits: exponent and 5 of the mantissa
_SHIFT = 31 - _BITS


def _finite_check(inputs: Inputs) -> Case:
    x = inputs.gradient
    expected = all(reference.finite_check(x[part]) for part in blocks(inputs.numel))
    return Case(lambda: kernels.finite_check(x), equals(expected))


def _histogram(inputs: Inputs) -> Case:
    counts = np.empty(1 << _BITS, np.uint64)
    return Case(
        lambda: kernels.histogram(inputs.acc, _SHIFT, _BITS, out=counts),
        equals(histogram_in_blocks(inputs.acc, _SHIFT, _BITS)),
    )


def _kth_magnitude(inputs: Inputs) -> Case:
    return Case(lambda: kernels.kth_magnitude(inputs.acc, inputs.k), equals(inputs.kth))


STATISTICS = (
    Row(
        "finite_check",
        "is there no NaN and no infinity?",
        lambda inputs: 4 * inputs.numel,
        _finite_check,
        peers.FINITE_CHECK,
    ),
    Row(
        "histogram",
        f"counts of the {_BITS} leading bits of magnitudes",
        lambda inputs: 4 * inputs.numel,
        _histogram,
        peers.histogram_peers(_SHIFT, _BITS),
    ),
    Row(
        "kth_magnitude",
        "the k-th largest magnitude, exactly",
        lambda inputs: 4 * inputs.numel,
        _kth_magnitude,
        peers.KTH_MAGNITUDE,
    ),
)
