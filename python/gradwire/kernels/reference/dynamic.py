"""Codes of the dynamic table by their definition: the nearest of all its numbers."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference.quantization import Bytes, blocks_of
from gradwire.kernels.reference.selection import Floats, add

ZERO_CODE = 127


@cache
def dynamic_table() -> Floats:
    """Return the 256 numbers, from the lowest to the highest; read-only."""
    sizes = []
    for decade in range(7):
        parts = 2 ** (6 - decade)
        for part in range(parts):
            middle = Fraction(1, 10) + Fraction(9, 10) * Fraction(2 * part + 1, 2 * parts)
            sizes.append(_nearest_float32(middle / 10**decade))
    table: Floats = np.sort(np.array([*sizes, *(-size for size in sizes), 0, 1], np.float32))
    table.flags.writeable = False
    return table


def _nearest_float32(exact: Fraction) -> np.float32:
    guess = np.float32(float(exact))
    around = (np.nextafter(guess, np.float32(0)), guess, np.nextafter(guess, np.float32(2)))
    return min(around, key=lambda number: abs(Fraction(float(number)) - exact))


def _code_of(t: Floats) -> Bytes:
    """Return the code of the number nearest to each t; the lower one if there are two."""
    table = dynamic_table().astype(np.float64)
    bounds: NDArray[np.float64] = (table[1:] + table[:-1]) / 2  # exact in float64
    return np.searchsorted(bounds, t.astype(np.float64), side="left").astype(np.uint8)


def quantize_dynamic(x: Floats, block: int) -> tuple[Bytes, Floats]:
    """Return (codes, scales)."""
    blocks = blocks_of(x.size, block)
    codes, scales = np.full(x.size, ZERO_CODE, np.uint8), np.full(len(blocks), np.nan, np.float32)
    for number, place in enumerate(blocks):
        if np.isfinite(x[place]).all():
            scales[number] = np.abs(x[place]).max()
            if scales[number] != 0:
                codes[place] = _code_of(x[place] / scales[number])
    return codes, scales


def dequantize_dynamic(codes: Bytes, scales: Floats, n: int, block: int) -> Floats:
    """Return the float32 values of n codes."""
    with np.errstate(all="ignore"):
        values: Floats = dynamic_table()[codes] * scales[np.arange(n) // (block or max(n, 1))]
    return values


def dequantize_dynamic_add(codes: Bytes, scales: Floats, block: int, out: Floats) -> None:
    """Set out = out + value."""
    out[:] = add(out, dequantize_dynamic(codes, scales, out.size, block))


def compensate_quantize_dynamic(
    gradient: Floats, residual: Floats, block: int, out_error: Floats
) -> tuple[Bytes, Floats]:
    """Code acc = residual + gradient; out_error = acc - value."""
    acc = add(residual, gradient)
    codes, scales = quantize_dynamic(acc, block)
    with np.errstate(all="ignore"):
        out_error[:] = acc - dequantize_dynamic(codes, scales, acc.size, block)
    return codes, scales
