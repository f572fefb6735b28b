"""Floating-point numbers of 4 to 8 bits, alone and in blocks with a shared power of two.

Formats: "e4m3" (up to 448; NaN, no infinity), "e5m2" (up to 57344; NaN and infinity), "e3m2" (28),
"e2m3" (7.5), "e2m1" (6), and "int8" (64ths up to 127 / 64). Numbers are rounded to nearest, ties to
even, denormals included; finite ones beyond the largest become the largest.

MX blocks (OCP Microscaling Formats 1.0) are 32 elements, the last one may be short: an element is
worth ``element * 2**(scale - 127)``. Elements are packed in bit planes, see `quantization`. NaN or
infinity makes the scale of its block 255, and the whole block decodes to NaN.

Deterministic: the same bits in every instruction set.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import choice
from gradwire.kernels.arrays import Array, allocate, decoded, length, trimmed
from gradwire.kernels.quantization import Quantized, code_bytes

MX_BLOCK = 32
FORMAT_BITS = {"e4m3": 8, "e5m2": 8, "e3m2": 6, "e2m3": 6, "e2m1": 4, "int8": 8}
FP8 = ("e4m3", "e5m2")


def to_fp8(x: Array, format: str = "e4m3", out: Array | None = None) -> Array:
    """Return x in 8 bits, "e4m3" or "e5m2".

    x: (n,) float32, float16, bfloat16 or float64. out: at least (n,) uint8, allocated when None.
    NaN stays NaN; infinity stays infinity in e5m2 and becomes NaN in e4m3. sizeof(x) + 1 bytes per
    element.
    """
    n, format = length(x), choice("to_fp8: format", format, FP8)
    out = allocate(n, "uint8", x) if out is None else trimmed(out, n)
    native.of(x).to_fp8(x, format, out)
    return out


def from_fp8(codes: Array, format: str = "e4m3", out: Array | None = None) -> Array:
    """Return the values of 8-bit numbers, exactly but for what the dtype of out cannot hold.

    codes: (n,) uint8. out: at least (n,) float32, float16 or bfloat16; float32 is allocated when
    None. 1 + sizeof(out) bytes per element.
    """
    n, format = length(codes), choice("from_fp8: format", format, FP8)
    out = allocate(n, "float32", codes) if out is None else trimmed(out, n)
    native.of(codes).from_fp8(codes, format, out)
    return out


def quantize_mx(
    x: Array, format: str, *, out_codes: Array | None = None, out_scales: Array | None = None
) -> Quantized:
    """Return x in MX blocks: codes and scales, both uint8.

    x: (n,) float32, float16, bfloat16 or float64; format: any of the module's. out_codes: at least
    (bits * ceil(n / 8),), out_scales: at least (ceil(n / 32),) uint8; allocated when None. The
    scale is the exponent of the largest magnitude less that of the format's largest number,
    confined to [-127, 127], plus 127. sizeof(x) + bits / 8 bytes per element.
    """
    n, bits = length(x), FORMAT_BITS[choice("quantize_mx: format", format, FORMAT_BITS)]
    size, blocks = code_bytes(n, bits), -(-n // MX_BLOCK)
    codes = allocate(size, "uint8", x) if out_codes is None else trimmed(out_codes, size)
    scales = allocate(blocks, "uint8", x) if out_scales is None else trimmed(out_scales, blocks)
    native.of(x).quantize_mx(x, format, scales, codes)
    return Quantized(codes, scales)


def dequantize_mx(
    codes: Array, scales: Array, n: int, format: str, out: Array | None = None
) -> Array:
    """Return the values of n elements in MX blocks.

    codes: (bits * ceil(n / 8),) and scales: (ceil(n / 32),) uint8, any bytes. out: at least (n,)
    float32, float16 or bfloat16; float32 is allocated when None.
    """
    format = choice("dequantize_mx: format", format, FORMAT_BITS)
    out = decoded("dequantize_mx", out, n, codes)
    native.of(codes).dequantize_mx(codes, scales, format, out)
    return out
