"""Finiteness, largest magnitude, norms, histogram and k-th magnitude."""

from __future__ import annotations

from gradwire import kernels
from gradwire.bench.checks import blocks, equals, histogram_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import statistics as peers
from gradwire.bench.row import Case, Peer, Row
from gradwire.kernels import reference

_BITS = 13  # sign-free leading bits: exponent and 5 of the mantissa
_SHIFT = 31 - _BITS


def _finite_check(inputs: Inputs) -> Case:
    x, gradient = inputs.put(inputs.gradient), inputs.gradient
    expected = all(reference.finite_check(gradient[part]) for part in blocks(inputs.numel))
    return Case(lambda: kernels.finite_check(x), equals(expected))


def _absmax(inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    return Case(lambda: kernels.absmax(x), equals(reference.absmax(inputs.gradient)))


def _norm(order: int, inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    return Case(lambda: kernels.norm(x, order), equals(reference.norm(inputs.gradient, order)))


def _histogram(inputs: Inputs) -> Case:
    x, counts = inputs.put(inputs.acc), inputs.room(1 << _BITS, "uint64")
    return Case(
        lambda: kernels.histogram(x, _SHIFT, _BITS, out=counts),
        equals(histogram_in_blocks(inputs.acc, _SHIFT, _BITS)),
    )


def _kth_magnitude(inputs: Inputs) -> Case:
    x = inputs.put(inputs.acc)
    return Case(lambda: kernels.kth_magnitude(x, inputs.k), equals(inputs.kth))


def _one_read(inputs: Inputs) -> int:
    return 4 * inputs.numel


def _norm_row(order: int, summary: str, norm_peers: tuple[Peer, ...]) -> Row:
    return Row(f"norm/{order}", summary, _one_read, lambda i: _norm(order, i), norm_peers)


STATISTICS = (
    Row(
        "finite_check",
        "is there no NaN and no infinity?",
        _one_read,
        _finite_check,
        peers.FINITE_CHECK,
    ),
    Row(
        "absmax",
        "the largest magnitude",
        _one_read,
        _absmax,
        peers.ABSMAX,
    ),
    _norm_row(1, "the sum of magnitudes, in float64", peers.norm_peers(1)),
    _norm_row(2, "the Euclidean norm, in float64", peers.norm_peers(2)),
    Row(
        "histogram",
        f"counts of the {_BITS} leading bits of magnitudes",
        _one_read,
        _histogram,
        peers.histogram_peers(_SHIFT, _BITS),
    ),
    Row(
        "kth_magnitude",
        "the k-th largest magnitude, exactly",
        _one_read,
        _kth_magnitude,
        peers.KTH_MAGNITUDE,
    ),
)
