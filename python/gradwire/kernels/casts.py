"""float32 to and from the 16-bit types, the same bits everywhere and in all rounding modes."""

from __future__ import annotations

from collections.abc import Callable

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, allocate, length, trimmed


def to_bfloat16(x: Array, out: Array | None = None) -> Array:
    """Return the bits of x rounded to bfloat16, to nearest, ties to even.

    x: (n,) float32. out: at least (n,) uint16, allocated when None. Too large becomes infinity; NaN
    stays NaN (quiet, with its sign and leading payload bits). 6 bytes per element.
    """
    return _cast(native.of(x).to_bfloat16, x, "uint16", out)


def from_bfloat16(bits: Array, out: Array | None = None) -> Array:
    """Return the float32 values of bfloat16 bits, exactly.

    bits: (n,) uint16. out: at least (n,) float32, allocated when None. 6 bytes per element.
    """
    return _cast(native.of(bits).from_bfloat16, bits, "float32", out)


def to_float16(x: Array, out: Array | None = None) -> Array:
    """Return x rounded to float16, to nearest, ties to even.

    x: (n,) float32. out: at least (n,) float16, allocated when None. From 65520 on it becomes
    infinity; NaN stays NaN (quiet, with its sign and leading payload bits). 6 bytes per element.
    """
    return _cast(native.of(x).to_float16, x, "float16", out)


def from_float16(x: Array, out: Array | None = None) -> Array:
    """Return the float32 values of float16, exactly; NaN becomes quiet.

    x: (n,) float16. out: at least (n,) float32, allocated when None. 6 bytes per element.
    """
    return _cast(native.of(x).from_float16, x, "float32", out)


def _cast(
    operation: Callable[[Array, Array], None], x: Array, dtype: str, out: Array | None
) -> Array:
    """Return what an operation writes for x into out, which is allocated when None."""
    size = length(x)
    if out is None:
        out = allocate(size, dtype, x)
    operation(x, out)
    return trimmed(out, size)
