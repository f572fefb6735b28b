"""Signs with a scale per block."""

from __future__ import annotations

import numpy as np

from gradwire.kernels.reference.quantization import Bytes, blocks_of, sum_in_lanes
from gradwire.kernels.reference.selection import Floats, add


def quantize_sign(x: Floats, block: int, *, given: Floats | None = None) -> tuple[Bytes, Floats]:
    """Return (codes, scales): bits that are 1 where x >= 0, and the mean of |x| of each block."""
    codes = np.packbits(x >= 0, bitorder="little")
    return codes, _means(x, block) if given is None else given


def compensate_sign(
    gradient: Floats, residual: Floats, block: int, out_error: Floats, *,
    given: Floats | None = None,
) -> tuple[Bytes, Floats]:  # fmt: skip
    """Code acc = residual + gradient; out_error = acc - value."""
    acc = add(residual, gradient)
    codes, scales = quantize_sign(acc, block, given=given)
    with np.errstate(all="ignore"):
        out_error[:] = acc - dequantize_sign(codes, scales, acc.size, block)
    return codes, scales


def dequantize_sign(codes: Bytes, scales: Floats, n: int, block: int) -> Floats:
    """Return scale or -scale for each of n codes."""
    positive = np.unpackbits(codes, bitorder="little")[:n].astype(bool)
    each = scales[np.arange(n) // (block or max(n, 1))]
    return np.where(positive, each, -each)


def dequantize_sign_add(codes: Bytes, scales: Floats, block: int, out: Floats) -> None:
    """Set out = out + value."""
    out[:] = add(out, dequantize_sign(codes, scales, out.size, block))


def _means(x: Floats, block: int) -> Floats:
    means = np.full(len(blocks_of(x.size, block)), np.nan, np.float32)
    for i, place in enumerate(blocks_of(x.size, block)):
        part = x[place]
        if np.isfinite(part).all():
            means[i] = sum_in_lanes(np.abs(part).astype(np.float64)) / part.size
    return means
