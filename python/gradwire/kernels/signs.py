"""Signs with a scale per block: one bit per element.

Codes: (ceil(n / 8),) uint8, element i at byte ``i // 8``, bit ``i % 8`` (least significant first):
1 where x >= 0 (zeros of both signs), else 0; unused bits are 0. Scales: float32, one per `block`
elements (a multiple of 16 up to 65536, the last one may be short; 0: one block of everything): the
mean of |x|, or what is given. An element decodes to scale or -scale. NaN or infinity makes the
scale of its block NaN, and all of the block decodes to NaN; given scales cannot show that.

Deterministic: the same bits in every instruction set; sums are in float64 and in one order, see
`csrc/include/gradwire/sign.h`.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, decoded
from gradwire.kernels.quantization import Quantized, outputs


def quantize_sign(
    x: Array,
    block: int,
    *,
    given: Array | None = None,
    out_codes: Array | None = None,
    out_scales: Array | None = None,
) -> Quantized:
    """Return the signs of x and their scales.

    x: (n,) float32, float16, bfloat16 or float64. given: (blocks,) float32, scales to use instead
    of computing them. out_codes: at least (ceil(n / 8),) uint8; out_scales: at least (blocks,)
    float32; allocated when None. sizeof(x) + 1/8 bytes per element, sizeof(x) more if a block does
    not fit in the cache and scales are not given.
    """
    codes, scales = outputs(x, 1, block, "mean", given, out_codes, out_scales)
    return Quantized._make(native.of(x).quantize_sign(x, block, given is not None, scales, codes))


def compensate_sign(
    gradient: Array,
    residual: Array,
    block: int,
    out_error: Array,
    *,
    given: Array | None = None,
    out_codes: Array | None = None,
    out_scales: Array | None = None,
) -> Quantized:
    """Code ``acc = residual + gradient`` and keep ``out_error = acc - decoded value``.

    gradient: (n,) float32, float16, bfloat16 or float64; residual, out_error: (n,) float32.
    out_error may be gradient itself if that is float32; no other arrays may share memory. The
    residual is only read. The rest as for quantize_sign. One pass: 12 + 1/8 bytes per element in
    float32 and in place.
    """
    codes, scales = outputs(gradient, 1, block, "mean", given, out_codes, out_scales)
    result = native.of(gradient).compensate_sign(
        gradient, residual, block, given is not None, out_error, scales, codes
    )
    return Quantized._make(result)


def dequantize_sign(
    codes: Array, scales: Array, n: int, block: int, out: Array | None = None
) -> Array:
    """Return the values of n signs.

    codes: (ceil(n / 8),) uint8, scales: (blocks,) float32, any bytes. out: at least (n,) float32,
    float16 or bfloat16; float32 is allocated when None.
    """
    out = decoded("dequantize_sign", out, n, codes)
    native.of(codes).dequantize_sign(codes, scales, block, out)
    return out


def dequantize_sign_add(codes: Array, scales: Array, block: int, out: Array) -> None:
    """Set ``out = out + dequantize_sign(codes, scales)``; out: (n,) float32."""
    native.of(codes).dequantize_sign_add(codes, scales, block, out)
