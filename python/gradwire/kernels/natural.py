"""Natural compression (Horvath et al., 2019) to 8 bits: a sign and a power of two.

With e the exponent of |x| as float32 stores it, m its 23 further bits and u the element's 16 random
bits, e becomes e + 1 if ``(m >> 7) > u``. The code is the sign bit and
``min(max(e, 18), 145) - 18``: 1 to 127 stand for 2**-108 to 2**18, and 0 for a zero of that sign.
In that range the expectation of the value is x (but for m's last 7 bits) and its variance at most
x * x / 8; what is below becomes zero unless it is rounded up to 2**-108, and what is above
saturates, as infinities and NaN do.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, allocate, length, trimmed
from gradwire.kernels.random_bits import RandomStream


def quantize_natural(
    x: Array, random: RandomStream, out_codes: Array | None = None
) -> tuple[Array, bool]:
    """Return the codes of x, and whether all of x is finite: codes cannot show it.

    x: (n,) float32, float16, bfloat16 or float64. out_codes: at least (n,) uint8, allocated when
    None. sizeof(x) + 1 bytes per element.
    """
    n = length(x)
    out_codes = allocate(n, "uint8", x) if out_codes is None else trimmed(out_codes, n)
    return out_codes, native.of(x).quantize_natural(x, random, out_codes)


def dequantize_natural(codes: Array, out: Array | None = None) -> Array:
    """Return the values of codes: (n,) uint8, any bytes.

    out: at least (n,) float32, float16 (in which most codes are zero or infinite) or bfloat16;
    float32 is allocated when None. 1 + sizeof(out) bytes per element.
    """
    n = length(codes)
    out = allocate(n, "float32", codes) if out is None else trimmed(out, n)
    native.of(codes).dequantize_natural(codes, out)
    return out


def dequantize_natural_add(codes: Array, out: Array) -> None:
    """Set ``out = out + dequantize_natural(codes)``; out: (n,) float32. 9 bytes per element."""
    native.of(codes).dequantize_natural_add(codes, out)
