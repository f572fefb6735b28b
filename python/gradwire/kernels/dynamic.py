"""Eight-bit codes of a table that is finer towards zero, times a scale per block.

Dynamic tree quantisation (Dettmers 2015 and 2022). The table: for each decade d = 0 to 6, the
interval from 0.1 to 1 times 10**-d is cut into 2**(6 - d) equal parts; the middle of each part, as
float32, and its negative; and 0 and 1, but not -1. These 256 numbers are numbered by value: code
127 is 0, 255 is 1, and 254 - c is the negative of any other code c.

Codes: (n,) uint8. Scales: float32, the largest magnitude of each `block` elements (a multiple of 16
up to 65536, the last one may be short; 0: one block of everything). The code of x is the number
nearest to ``x / scale`` (in float32; 0 where the scale is 0), compared exactly; halfway between two
numbers the lower one. It decodes to ``number * scale``, within 0.45 / 64 of the scale, and within
5**-d of that where |x| is at most 10**-d of the scale.

NaN or infinity makes the scale of its block NaN, its codes 127, and all of it decodes to NaN.

Deterministic: the same bits in every instruction set; see `csrc/include/gradwire/dynamic.h`.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, decoded
from gradwire.kernels.quantization import Quantized, outputs


def quantize_dynamic(
    x: Array, block: int, *, out_codes: Array | None = None, out_scales: Array | None = None
) -> Quantized:
    """Return the codes of x and their scales.

    x: (n,) float32, float16, bfloat16 or float64. out_codes: at least (n,) uint8; out_scales: at
    least (blocks,) float32; allocated when None. sizeof(x) + 1 bytes per element, sizeof(x) more if
    a block does not fit in the cache.
    """
    codes, scales = outputs(x, 8, block, "absmax", None, out_codes, out_scales)
    return Quantized._make(native.of(x).quantize_dynamic(x, block, scales, codes))


def compensate_quantize_dynamic(
    gradient: Array,
    residual: Array,
    block: int,
    out_error: Array,
    *,
    out_codes: Array | None = None,
    out_scales: Array | None = None,
) -> Quantized:
    """Code ``acc = residual + gradient`` and keep ``out_error = acc - decoded value``.

    gradient: (n,) float32, float16, bfloat16 or float64; residual, out_error: (n,) float32.
    out_error may be gradient itself if that is float32; no other arrays may share memory. The
    residual is only read. The error of a block with NaN or infinity is NaN. The rest as for
    quantize_dynamic. One pass: 13 bytes per element in float32 and in place.
    """
    codes, scales = outputs(gradient, 8, block, "absmax", None, out_codes, out_scales)
    result = native.of(gradient).compensate_quantize_dynamic(
        gradient, residual, block, out_error, scales, codes
    )
    return Quantized._make(result)


def dequantize_dynamic(
    codes: Array, scales: Array, n: int, block: int, out: Array | None = None
) -> Array:
    """Return the values of n codes.

    codes: (n,) uint8, scales: (blocks,) float32, any bytes. out: at least (n,) float32, float16 or
    bfloat16 (the float32 value rounded to nearest even); float32 is allocated when None. Raises
    ConfigError, as for lengths that do not fit. 1 + sizeof(out) bytes per element.
    """
    out = decoded("dequantize_dynamic", out, n, codes)
    native.of(codes).dequantize_dynamic(codes, scales, block, out)
    return out


def dequantize_dynamic_add(codes: Array, scales: Array, block: int, out: Array) -> None:
    """Set ``out = out + dequantize_dynamic(codes, scales)``; out: (n,) float32. 9 bytes each."""
    native.of(codes).dequantize_dynamic_add(codes, scales, block, out)
