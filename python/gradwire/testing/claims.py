"""The checks of what a compressor claims in its :class:`~gradwire.compressors.Traits`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire.compressors import Compressor
from gradwire.payload import Float32, Payload
from gradwire.testing.cases import SIZES, context, inputs, require, restored, same_bits
from gradwire.testing.exact import exact_values
from gradwire.testing.gradients import all_equal, single_spike
from gradwire.values import FLOAT16, FLOAT32, Encoded, Plain, plain

DRAWS = 400
SETTLED_STEP = 1000  # long after any warm-up

Float64 = npt.NDArray[np.float64]


def check_lossless(compressor: Compressor) -> None:
    """``lossless``: what comes out is what went in, bit for bit."""
    if not compressor.traits.lossless:
        return
    for what, values in inputs():
        at = context(SETTLED_STEP)
        out = restored(compressor, compressor.compress(values, at), len(values), at)
        require(same_bits(out, values), compressor, f"{what}: not lossless")


def check_sparse(compressor: Compressor) -> None:
    """``sparse``: entries travel, no dense values; without it, no entries."""
    sparse = compressor.traits.sparse
    values = exact_values(np.random.default_rng(0), 4096)
    payload = compressor.compress(values, context(SETTLED_STEP))
    require(
        (len(payload.indices) > 0) == sparse and (len(payload.dense) > 0) != sparse,
        compressor,
        f"claims sparse={sparse} and sends {len(payload.indices)} entries "
        f"and {len(payload.dense)} dense values",
    )


def check_summable(compressor: Compressor) -> None:
    """``summable``: the sum of payloads stands for the sum of what they stand for."""
    traits = compressor.traits
    require(traits.summable or not traits.native, compressor, "native needs summable")
    if not traits.summable:
        return
    for numel in SIZES:
        generators = [np.random.default_rng([numel, rank]) for rank in range(4)]
        payloads, total = [], np.zeros(numel, np.float32)
        for rank, generator in enumerate(generators):
            at = context(SETTLED_STEP, rank)
            payloads.append(compressor.compress(exact_values(generator, numel, 6, -2), at))
            total += restored(compressor, payloads[-1], numel, at)
        require(all(payload.numel == 0 for payload in payloads), compressor, "summable, but sparse")
        sums = [plain(_sum([each.dense.decode() for each in payloads]))]
        if traits.native:
            form = payloads[0].dense.format
            if not isinstance(form, Plain) or form not in (FLOAT32, FLOAT16):
                raise AssertionError(f"{compressor!r}: {form} is not native")
            native = [each.dense.data.view(form.dtype) for each in payloads]
            sums.append(Encoded(form, len(native[0]), _sum(native).view(np.uint8)))
        for dense in sums:
            out = restored(compressor, Payload(dense=dense), numel, context(SETTLED_STEP, 3))
            require(np.array_equal(out, total), compressor, f"{numel} elements: not summable")


def check_rounding(compressor: Compressor) -> None:
    """``rounding``: every element is within the relative or the absolute bound."""
    if compressor.traits.rounding is None:
        return
    relative, absolute = compressor.traits.rounding
    for what, values in inputs():
        at = context(SETTLED_STEP)
        out = restored(compressor, compressor.compress(values, at), len(values), at)
        exact = values.astype(np.float64)
        allowed = np.maximum(relative * np.abs(exact), absolute)
        error = np.abs(out - exact)
        require(bool(np.all(error <= allowed)), compressor, f"{what}: rounded too far")


def check_unbiased(compressor: Compressor) -> None:
    """``omega``: the mean of many draws is the input, and the error is as small as claimed."""
    omega = compressor.traits.omega
    if omega is None:
        return
    for what, values, coordinates in _statistical_inputs():
        drawn, errors = _draws(compressor, values)
        norm = float(np.sum(values.astype(np.float64) ** 2))
        # The squared error of a mean of T draws is 1/T of theirs on average. Summed over many
        # coordinates it hardly varies; one alone is within 4 standard deviations.
        slack = 1.5 if coordinates > 100 else 16.0
        mean_error = float(np.sum((drawn - values) ** 2)) / norm
        allowed = slack * float(errors.mean()) / DRAWS + 1e-12
        require(
            mean_error <= allowed, compressor, f"{what}: biased, {mean_error:.3g} > {allowed:.3g}"
        )
        _require_mean_at_most(compressor, what, errors, omega(len(values)))


def check_contraction(compressor: Compressor) -> None:
    """``delta``: the squared error is at most (1 - delta) of the input's square, in the mean."""
    delta = compressor.traits.delta
    if delta is None:
        return
    for what, values, _ in _statistical_inputs():
        _, errors = _draws(compressor, values)
        claimed = delta(len(values))
        require(0 < claimed <= 1, compressor, f"delta must be in (0, 1], got {claimed}")
        _require_mean_at_most(compressor, what, errors, 1 - claimed)


def check_bounds_are_defined(compressor: Compressor) -> None:
    """``omega`` and ``delta`` are numbers for every size, the empty bucket included."""
    for numel in SIZES:
        for bound in (compressor.traits.omega, compressor.traits.delta):
            value = bound(numel) if bound else 0.0
            require(bool(np.isfinite(value)) and value >= 0, compressor, f"bound({numel})={value}")


CHECKS = (
    check_lossless,
    check_sparse,
    check_summable,
    check_rounding,
    check_unbiased,
    check_contraction,
    check_bounds_are_defined,
)


def _statistical_inputs() -> list[tuple[str, Float32, int]]:
    """Return (description, vector, number of coordinates that matter)."""
    generator = np.random.default_rng(5)
    normal = generator.standard_normal(1000).astype(np.float32)
    laplace = generator.laplace(size=777).astype(np.float32)
    return [
        ("normal values", normal, 1000),
        ("Laplace values", laplace, 777),
        ("negative values", -np.abs(normal), 1000),
        ("equal values", all_equal(generator, 500), 500),
        ("one spike", single_spike(generator, 500), 1),
        ("one element", np.array([-2.5], np.float32), 1),
    ]


def _draws(compressor: Compressor, values: Float32) -> tuple[Float64, Float64]:
    """Return the mean of many decompressed draws, and each one's squared relative error."""
    total = np.zeros(len(values), np.float64)
    errors = np.empty(DRAWS, np.float64)
    norm = np.sum(values.astype(np.float64) ** 2)
    for draw in range(DRAWS):
        at = context(SETTLED_STEP + draw)
        out = restored(compressor, compressor.compress(values, at), len(values), at)
        total += out
        errors[draw] = np.sum((out.astype(np.float64) - values) ** 2) / norm
    return total / DRAWS, errors


def _require_mean_at_most(
    compressor: Compressor, what: str, errors: Float64, claimed: float
) -> None:
    mean = float(errors.mean())
    uncertainty = 4 * float(errors.std()) / DRAWS**0.5 + 1e-6
    require(
        mean <= claimed + uncertainty,
        compressor,
        f"{what}: squared error {mean:.4g} of the input's square, claimed {claimed:.4g}",
    )


def _sum(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    total: npt.NDArray[Any] = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
