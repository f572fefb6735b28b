"""float32 to and from float16, with the bits of NumPy's casts, whose time depends on the values.

NumPy raises the processor's underflow flag for every number below 2^-14 that it rounds, which takes
some 65 ns each; most numbers of a gradient are such. Here numbers are rounded by a sum: a float32
that lies in [2^13 p, 2^14 p), p a power of two, has a last place worth 2^-10 p. So after
``x + 2^13 p``, with p <= x < 2 p, the last bits of the sum are the digits of x in float16, rounded
to nearest, ties to even, the leading one included. Below 2^-14 the p of 2^-14 gives subnormals.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradwire import kernels

Float32 = npt.NDArray[np.float32]
Float16 = npt.NDArray[np.float16]
_Words = npt.NDArray[np.uint32]
_Halves = npt.NDArray[np.uint16]

_BLOCK = 1 << 16  # elements whose sums and powers of two stay in the second-level cache
_BEYOND = 65520.0  # the first number that becomes Inf
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_EXPONENT = np.uint32(0x7F800000)
_LEAST_NORMAL = np.uint32(113 << 23)  # 2^-14
_SHIFT = np.uint32(13 << 23)  # times 2^13
_TO_EXPONENT = np.uint32(13)  # from the place of an exponent in float32 to that in float16
# The 16 bits kept of the sum and its power of two, 2^13 p, lack the exponent of p in float16, less
# one for the leading digit: e + 13 stands there for e - 113.
_EXCESS = np.uint16((126 << 10) & 0xFFFF)
_TO_SIGN, _SIGN = np.uint32(16), np.uint16(0x8000)


def to_float16(x: Float32) -> Float16:
    """Return x rounded to float16, to nearest, ties to even; beyond the range it becomes Inf.

    x: (n,) float32, contiguous. Returns (n,) float16. NaN stays NaN.
    """
    if not kernels.absmax(x) < _BEYOND:  # or NaN: the step fails, and may take its time
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return x.astype(np.float16)
    bits, out = x.view(np.uint32), np.empty(len(x), np.uint16)
    size = min(_BLOCK, len(x))
    sums, powers, signs = np.empty(size, "u4"), np.empty(size, "u4"), np.empty(size, "u2")
    for begin in range(0, len(x), _BLOCK):
        part = bits[begin : begin + _BLOCK]
        n = len(part)
        _round(part, sums[:n], powers[:n], signs[:n], out[begin : begin + n])
    return out.view(np.float16)


def _round(x: _Words, sums: _Words, powers: _Words, signs: _Halves, out: _Halves) -> None:
    """Round the bits of a block of float32 below 65520; sums, powers and signs are scratch."""
    np.bitwise_and(x, _MAGNITUDE, out=sums)
    np.bitwise_and(sums, _EXPONENT, out=powers)
    np.clip(powers, _LEAST_NORMAL, _EXPONENT, out=powers)
    np.add(powers, _SHIFT, out=powers)
    np.add(sums.view(np.float32), powers.view(np.float32), out=sums.view(np.float32))
    np.right_shift(powers, _TO_EXPONENT, out=powers)
    np.add(sums, powers, out=sums)
    out[:] = sums  # the last 16 bits, where the sum's own exponent has none
    np.subtract(out, _EXCESS, out=out)
    np.right_shift(x, _TO_SIGN, out=powers)
    signs[:] = powers
    np.bitwise_and(signs, _SIGN, out=signs)
    np.bitwise_or(out, signs, out=out)


def from_float16(halves: Float16) -> Float32:
    """Return the float32 of the same value: (n,), exactly; NaN stays NaN."""
    values: Float32 = kernels.scale(halves, 1.0, np.empty(len(halves), np.float32))
    return values
