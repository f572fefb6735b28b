"""Natural compression to 8 bits."""

from __future__ import annotations

import numpy as np

from gradwire.kernels.random_bits import RandomStream
from gradwire.kernels.reference.quantization import Bytes, random_bits
from gradwire.kernels.reference.selection import Floats, add, magnitude

ZERO_EXPONENT, LARGEST_EXPONENT = 18, 145


def quantize_natural(x: Floats, random: RandomStream) -> tuple[Bytes, bool]:
    """Return the codes, and whether all of x is finite."""
    kept = magnitude(x).astype(np.int64)
    exponent = (kept >> 23) + ((kept & 0x7FFFFF) >> 7 > random_bits(x.size, random))
    code = np.clip(exponent, ZERO_EXPONENT, LARGEST_EXPONENT) - ZERO_EXPONENT
    return (np.signbit(x) * 128 + code).astype(np.uint8), bool(np.isfinite(x).all())


def dequantize_natural(codes: Bytes) -> Floats:
    """Return the values of codes."""
    number = (codes & 127).astype(np.int32)
    power = np.where(number == 0, 0.0, np.ldexp(1.0, number + ZERO_EXPONENT - 127))
    return np.where(codes >= 128, -power, power).astype(np.float32)


def dequantize_natural_add(codes: Bytes, out: Floats) -> None:
    """Set out = out + value."""
    out[:] = add(out, dequantize_natural(codes))
