"""Finiteness, largest magnitude, norms, histogram and k-th magnitude by NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.bench.checks import different, equals, histogram_in_blocks
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer
from gradwire.kernels import reference

_MAGNITUDE = 0x7FFFFFFF
# Sums in float32 can be far off: of 25 million magnitudes torch's is 6 % too small.
_TOLERANCE = 0.1


def _numpy_isfinite(inputs: Inputs) -> Case:
    x, finite = inputs.gradient, np.empty(inputs.numel, bool)
    return Case(lambda: bool(np.isfinite(x, out=finite).all()), equals(True))


def _torch_isfinite(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)
    return Case(lambda: bool(torch.isfinite(x).all()), equals(True))


def _torch_absmax(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)
    out = torch.empty_like(x)

    def call() -> float:
        torch.abs(x, out=out)
        return float(out.max())

    return Case(call, equals(reference.absmax(inputs.gradient)))


def _torch_aminmax(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)

    def call() -> float:
        least, most = torch.aminmax(x)
        return max(-float(least), float(most))

    return Case(call, equals(reference.absmax(inputs.gradient)))


def _numpy_minmax(inputs: Inputs) -> Case:
    x = inputs.gradient
    return Case(lambda: max(-float(x.min()), float(x.max())), equals(reference.absmax(x)))


def _torch_norm(order: int, dtype: str, inputs: Inputs) -> Case:
    torch = import_torch()
    x, added = inputs.tensor(inputs.gradient), getattr(torch, dtype)
    return Case(
        lambda: float(torch.linalg.vector_norm(x, order, dtype=added)),
        _near_norm(order, inputs),
    )


def _numpy_norm(order: int, inputs: Inputs) -> Case:
    x = inputs.gradient
    return Case(lambda: float(np.linalg.norm(x, order)), _near_norm(order, inputs))


def _near_norm(order: int, inputs: Inputs) -> Any:
    expected = reference.norm(inputs.gradient, order)
    return lambda result: int(not abs(result - expected) <= _TOLERANCE * expected)


def _numpy_bincount(shift: int, bits: int, inputs: Inputs) -> Case:
    x = inputs.acc.view(np.uint32)
    bins = np.empty(inputs.numel, np.uint32)

    def call() -> Any:
        np.bitwise_and(x, _MAGNITUDE, out=bins)
        np.right_shift(bins, shift, out=bins)
        return np.bincount(bins, minlength=1 << bits)

    return Case(call, _same_counts(shift, bits, inputs))


def _torch_bincount(shift: int, bits: int, inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.acc).view(torch.int32)

    def call() -> Any:
        return torch.bincount((x & _MAGNITUDE) >> shift, minlength=1 << bits)

    return Case(call, _same_counts(shift, bits, inputs))


def _same_counts(shift: int, bits: int, inputs: Inputs) -> Any:
    """Compare all bins but the lowest, in which peers count zeros too."""
    expected = histogram_in_blocks(inputs.acc, shift, bits)[1:]
    return lambda result: different(np.asarray(result)[1:].astype(np.uint64), expected)


def _torch_kthvalue(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.acc)
    magnitudes = torch.empty_like(x)

    def call() -> float:
        torch.abs(x, out=magnitudes)
        return float(torch.kthvalue(magnitudes, inputs.numel - inputs.k + 1).values)

    return Case(call, equals(inputs.kth))


def _numpy_partition(inputs: Inputs) -> Case:
    magnitudes = np.empty_like(inputs.acc)
    place = inputs.numel - inputs.k

    def call() -> float:
        np.abs(inputs.acc, out=magnitudes)
        magnitudes.partition(place)
        return float(magnitudes[place])

    return Case(call, equals(inputs.kth))


def norm_peers(order: int) -> tuple[Peer, ...]:
    """Return the peers of norm(x, order)."""
    name = f"torch vector_norm(x, {order})"
    return (
        Peer(name, "torch", lambda inputs: _torch_norm(order, "float32", inputs)),
        Peer(f"{name}, float64", "torch", lambda inputs: _torch_norm(order, "float64", inputs)),
        Peer(f"np.linalg.norm(x, {order})", "numpy", lambda inputs: _numpy_norm(order, inputs)),
    )


def histogram_peers(shift: int, bits: int) -> tuple[Peer, ...]:
    """Return the peers of histogram(x, shift, bits)."""
    return (
        Peer("np.bincount", "numpy", lambda inputs: _numpy_bincount(shift, bits, inputs)),
        Peer("torch.bincount", "torch", lambda inputs: _torch_bincount(shift, bits, inputs)),
    )


FINITE_CHECK = (
    Peer("np.isfinite(x).all()", "numpy", _numpy_isfinite),
    Peer("torch.isfinite(x).all()", "torch", _torch_isfinite),
)
ABSMAX = (
    Peer("torch.abs(x).max()", "torch", _torch_absmax),
    Peer("torch.aminmax(x)", "torch", _torch_aminmax),
    Peer("np: max(-x.min(), x.max())", "numpy", _numpy_minmax),
)
KTH_MAGNITUDE = (
    Peer("torch.kthvalue(|x|)", "torch", _torch_kthvalue),
    Peer("np.partition(|x|)", "numpy", _numpy_partition),
)
