"""Uniform quantisation in blocks: codes of 1 to 8 bits and one or two float32 scales per block.

Codes, as ``(bits * ceil(n / 8),)`` uint8: cut into chunks of 512; a chunk of m codes has `bits`
planes one after the other, the least significant first; plane j holds bit j of every code in
``ceil(m / 8)`` bytes, code i of the chunk at byte ``i // 8``, bit ``i % 8`` (least significant
first). Unused bits are 0.

Blocks are `block` consecutive elements, a multiple of 16 up to 65536 (the last one may be short),
or with block 0 one block of everything. Scales, by name:

- "absmax" (levels <= 2**(bits - 1) - 1, bits >= 2): the largest magnitude. Values are multiples of
  scale / levels.
- "l2": the Euclidean norm instead. QSGD.
- "minmax" (bits >= 1): two, the smallest and the largest element, interleaved. Values are spaced
  (max - min) / (2**bits - 1) from the smallest on.

Rounding is to nearest, ties to even; or, with a `RandomStream`, stochastic to one of the two
neighbours, so that the expectation is the element (to 2**-17 of a step). TernGrad is bits=2,
levels=1, stochastic, with given scales where workers share them. A finite element decodes to within
one step, or half a step to nearest, as long as it lies inside the scale; outside it saturates. That
holds for denormals and for the largest numbers too.

NaN or infinity makes every scale of its block NaN, and the whole block decodes to NaN. Given scales
cannot show that: whoever computes them must (see `finite_check`).

Deterministic: the same bits in every instruction set. The exact arithmetic is in
`csrc/include/gradwire/quantize.h` and `gradwire.kernels.reference`.
"""

from __future__ import annotations

from operator import index
from typing import NamedTuple

from gradwire.kernels import native
from gradwire.kernels.arguments import choice, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate, decoded, length
from gradwire.kernels.random_bits import RandomStream

MAX_BITS = 8
MAX_BLOCK = 65536
SCALES = ("absmax", "l2", "minmax")


class Quantized(NamedTuple):
    """codes: uint8, scales: float32; see the module for their layout."""

    codes: Array
    scales: Array


def code_bytes(n: int, bits: int) -> int:
    """Return the bytes that n codes take; 1 <= bits <= 8."""
    n = integer("code_bytes: n", n, 0, MAX_LENGTH)
    return integer("code_bytes: bits", bits, 1, MAX_BITS) * -(-n // 8)


def scale_count(n: int, block: int, scale: str = "absmax") -> int:
    """Return how many float32 scales n elements have; 0 <= block <= 65536."""
    n = integer("scale_count: n", n, 0, MAX_LENGTH)
    block = integer("scale_count: block", block, 0, MAX_BLOCK)
    return _scale_count(n, block, choice("scale_count: scale", scale, SCALES))


def quantize(
    x: Array,
    bits: int,
    block: int,
    *,
    levels: int | None = None,
    scale: str = "absmax",
    random: RandomStream | None = None,
    given: Array | None = None,
    out_codes: Array | None = None,
    out_scales: Array | None = None,
) -> Quantized:
    """Quantise x.

    x: (n,) float32, float16, bfloat16 or float64. bits, block, levels (None: as many as the bits
    allow; must be None for "minmax"), scale: see the module. random: stochastic rounding if not
    None. given: (scale_count,) float32, scales to use instead of computing them. out_codes: at
    least (code_bytes,) uint8; out_scales: at least (scale_count,) float32; allocated when None.
    Raises ConfigError. Moves sizeof(x) + bits / 8 bytes per element, sizeof(x) more if a block does
    not fit in the cache and scales are not given.
    """
    codes, scales = outputs(x, bits, block, scale, given, out_codes, out_scales)
    result = native.of(x).quantize(
        x, bits, levels, block, scale, random, given is not None, scales, codes
    )
    return Quantized._make(result)


def compensate_quantize(
    gradient: Array,
    residual: Array,
    bits: int,
    block: int,
    out_error: Array,
    *,
    levels: int | None = None,
    scale: str = "absmax",
    random: RandomStream | None = None,
    given: Array | None = None,
    out_codes: Array | None = None,
    out_scales: Array | None = None,
) -> Quantized:
    """Quantise ``acc = residual + gradient`` and keep ``out_error = acc - decoded value``.

    gradient: (n,) float32, float16, bfloat16 or float64; residual, out_error: (n,) float32.
    out_error may be gradient itself if that is float32; no other arrays may share memory. The
    residual is only read. The error of a block with NaN or infinity is NaN. The rest as for
    quantize. One pass: 12 + bits / 8 bytes per element in float32 and in place.
    """
    codes, scales = outputs(gradient, bits, block, scale, given, out_codes, out_scales)
    result = native.of(gradient).compensate_quantize(
        gradient, residual, bits, levels, block, scale, random, given is not None, out_error,
        scales, codes,
    )  # fmt: skip
    return Quantized._make(result)


def dequantize(
    codes: Array,
    scales: Array,
    n: int,
    bits: int,
    block: int,
    *,
    levels: int | None = None,
    scale: str = "absmax",
    out: Array | None = None,
) -> Array:
    """Return the values of n codes.

    codes: (code_bytes,) uint8 and scales: (scale_count,) float32, any bytes. out: at least (n,)
    float32, float16 or bfloat16 (the float32 value rounded to nearest even); float32 is allocated
    when None. Raises ConfigError, as for lengths that do not fit. bits / 8 + sizeof(out) bytes per
    element.
    """
    out = decoded("dequantize", out, n, codes)
    native.of(codes).dequantize(codes, scales, bits, levels, block, scale, out)
    return out


def dequantize_add(
    codes: Array,
    scales: Array,
    bits: int,
    block: int,
    out: Array,
    *,
    levels: int | None = None,
    scale: str = "absmax",
) -> None:
    """Set ``out = out + dequantize(codes, scales)``; out: (n,) float32. 8 + bits / 8 bytes each."""
    native.of(codes).dequantize_add(codes, scales, bits, levels, block, scale, out)


def outputs(
    x: Array,
    bits: int,
    block: int,
    scale: str,
    given: Array | None,
    out_codes: Array | None,
    out_scales: Array | None,
) -> tuple[Array, Array]:
    """Return arrays for the codes and the scales of x, allocated like x where they are None."""
    if out_codes is None:
        out_codes = allocate(min(_whole(bits), MAX_BITS) * -(-length(x) // 8), "uint8", x)
    if given is not None:
        return out_codes, given
    if out_scales is None:
        out_scales = allocate(_scale_count(length(x), _whole(block), scale), "float32", x)
    return out_codes, out_scales


def _scale_count(n: int, block: int, scale: str) -> int:
    blocks = -(-n // block) if block else int(n != 0)
    return 2 * blocks if isinstance(scale, str) and scale == "minmax" else blocks


def _whole(number: int) -> int:
    """Return a number that sizes can be computed from; the native code refuses wrong ones."""
    try:
        return max(index(number), 0)
    except Exception:  # of a class that is not ours
        return 0
