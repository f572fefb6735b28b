"""Minifloats by their definition: the nearest of all their values."""

from __future__ import annotations

import numpy as np

from gradwire.kernels.reference.quantization import Bytes, pack_planes, unpack_planes
from gradwire.kernels.reference.selection import Floats

# Exponent bits, mantissa bits, how many codes are finite, code of infinity, code of NaN (-1: none).
FORMATS = {
    "e4m3": (4, 3, 127, -1, 127),
    "e5m2": (5, 2, 124, 124, 126),
    "e3m2": (3, 2, 32, -1, -1),
    "e2m3": (2, 3, 32, -1, -1),
    "e2m1": (2, 1, 8, -1, -1),
}
LARGEST_EXPONENT = {"e4m3": 8, "e5m2": 15, "e3m2": 4, "e2m3": 2, "e2m1": 2, "int8": 0}


def magnitudes(format: str) -> Floats:
    """Return the values of all codes without a sign, finite or not."""
    exponent_bits, mantissa_bits, finite, infinity, _ = FORMATS[format]
    code = np.arange(2 ** (exponent_bits + mantissa_bits))
    exponent, mantissa = code >> mantissa_bits, code & (2**mantissa_bits - 1)
    lead = np.where(exponent == 0, 0, 2**mantissa_bits)
    bias = 2 ** (exponent_bits - 1) - 1
    value = np.ldexp((mantissa + lead).astype(np.float64),
                     np.maximum(exponent, 1) - bias - mantissa_bits)  # fmt: skip
    value[code >= finite] = np.nan
    if infinity >= 0:
        value[infinity] = np.inf
    values: Floats = value.astype(np.float32)
    return values


def nearest_code(x: Floats, format: str) -> Bytes:
    """Return the codes of finite x, with its sign as the highest bit; ties go to even codes."""
    exponent_bits, mantissa_bits, finite, _, _ = FORMATS[format]
    values = magnitudes(format)[:finite].astype(np.float64)
    size = np.abs(x).astype(np.float64)
    above = np.clip(np.searchsorted(values, size), 1, finite - 1)
    below = above - 1
    down, up = size - values[below], values[above] - size
    code = np.where((down < up) | ((down == up) & (below % 2 == 0)), below, above)
    sign = np.signbit(x).astype(np.int64) << (exponent_bits + mantissa_bits)
    return (sign | code).astype(np.uint8)


def value_of(codes: Bytes, format: str) -> Floats:
    """Return the values of codes."""
    if format == "int8":
        integers: Floats = codes.view(np.int8).astype(np.float32) / np.float32(64)
        return integers
    exponent_bits, mantissa_bits, *_ = FORMATS[format]
    sign = 1 << (exponent_bits + mantissa_bits)
    value = magnitudes(format)[codes & (sign - 1)]
    signed: Floats = np.where(codes & sign, -value, value)
    return signed


def to_fp8(x: Floats, format: str = "e4m3") -> Bytes:
    """Return x in 8 bits."""
    _, _, _, infinity, nan = FORMATS[format]
    beyond = np.where(np.isinf(x), nan if infinity < 0 else infinity, nan)
    sign = np.signbit(x).astype(np.int64) << 7
    finite = nearest_code(np.where(np.isfinite(x), x, np.float32(0)), format)
    return np.where(np.isfinite(x), finite, sign | beyond).astype(np.uint8)


def from_fp8(codes: Bytes, format: str = "e4m3") -> Floats:
    """Return the values of 8-bit numbers."""
    return value_of(codes, format)


def quantize_mx(x: Floats, format: str) -> tuple[Bytes, Bytes]:
    """Return (codes, scales) of blocks of 32."""
    blocks = -(-x.size // 32)
    padded = np.zeros((blocks, 32), np.float32)
    padded.ravel()[: x.size] = x
    finite = np.all(np.isfinite(padded), axis=1)
    usable = np.where(finite[:, None], padded, np.float32(0))
    # frexp: magnitude = m * 2**e with m in [1/2, 1).
    most = np.abs(usable).max(axis=1, initial=0)
    exponent = np.where(most == 0, -200, np.frexp(most)[1] - 1) - LARGEST_EXPONENT[format]
    scale = np.clip(exponent, -127, 127)
    down = usable.astype(np.float64) * np.exp2(-scale.astype(np.float64))[:, None]
    if format == "int8":
        codes = np.clip(np.rint(down * 64), -127, 127).astype(np.int8).view(np.uint8)
    else:
        # Division by a power of two: exact in float64, and beyond float32 only where it saturates.
        codes = nearest_code(down.ravel(), format).reshape(down.shape)
        codes[~finite] = 0
    bits = 8 if format == "int8" else sum(FORMATS[format][:2]) + 1
    scales = np.where(finite, scale + 127, 255).astype(np.uint8)
    return pack_planes(codes.ravel()[: x.size], bits), scales


def dequantize_mx(codes: Bytes, scales: Bytes, n: int, format: str) -> Floats:
    """Return the values of n elements."""
    bits = 8 if format == "int8" else sum(FORMATS[format][:2]) + 1
    with np.errstate(all="ignore"):
        power = np.exp2(scales.astype(np.float64) - 127).astype(np.float32)
        power[scales == 255] = np.nan
        return value_of(unpack_planes(codes, n, bits), format) * power[np.arange(n) // 32]
