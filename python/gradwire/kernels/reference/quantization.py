"""Uniform quantisation in blocks; the arithmetic of `csrc/include/gradwire/quantize.h`.

x is float32 here; the 16-bit types are widened first, which is exact, and float64 is rounded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.random_bits import RandomStream
from gradwire.kernels.reference.randomness import philox4x32
from gradwire.kernels.reference.selection import Floats, add

Bytes = NDArray[np.uint8]

CHUNK = 512
LARGEST_SCALE = np.uint32(0x7F7FFFFE).view(np.float32)
TINY, LIFT_OF_TINY = np.float32(2.0**-100), np.float32(2.0**64)
ONE, HALF = np.float32(1), np.float32(0.5)


def random_bits(n: int, random: RandomStream) -> NDArray[np.uint16]:
    """Return the 16 random bits of each of n elements."""
    seed, key, step, rank, phase, first = random
    element = np.arange(n, dtype=np.uint64) + np.uint64(first)
    block, low = element >> np.uint64(3), np.uint64(0xFFFFFFFF)
    place = np.full(n, rank | phase << 31, np.uint64)
    counter = np.array([block & low, block >> np.uint64(32), np.full(n, step, np.uint64), place])
    words = philox4x32(counter, (seed, key))
    word = words[(element >> np.uint64(1)) & np.uint64(3), np.arange(n)]
    half: NDArray[np.uint16] = (word >> (element % np.uint64(2) * np.uint64(16))).astype(np.uint16)
    return half


def pack_planes(codes: Bytes, bits: int) -> Bytes:
    """Return the bit planes of codes, chunk by chunk."""
    chunks = [codes[i : i + CHUNK] for i in range(0, codes.size, CHUNK)]
    planes = [np.packbits(chunk >> j & 1, bitorder="little") for chunk in chunks
              for j in range(bits)]  # fmt: skip
    return np.concatenate([np.empty(0, np.uint8), *planes])


def unpack_planes(planes: Bytes, n: int, bits: int) -> Bytes:
    """Return n codes."""
    codes = np.zeros(n, np.uint8)
    for i in range(0, n, CHUNK):
        chunk = codes[i : i + CHUNK]
        size = -(-chunk.size // 8)
        for j in range(bits):
            begin = bits * (i // 8) + j * size
            plane = np.unpackbits(planes[begin : begin + size], bitorder="little")
            chunk |= plane[: chunk.size] << j
    return codes


def sum_in_lanes(terms: NDArray[np.float64]) -> float:
    """Add float64 terms: term i to sum i % 16 in index order, then the sums in pairs."""
    padded = np.zeros(-(-terms.size // 16) * 16)
    padded[: terms.size] = terms
    sums = np.add.accumulate(padded.reshape(-1, 16), axis=0)[-1]
    while sums.size > 1:
        half = sums.size // 2
        sums = sums[:half] + sums[half:]
    return float(sums[0])


def blocks_of(n: int, block: int) -> list[slice]:
    """Return the blocks of n elements; block 0 is one block of all."""
    return [slice(i, min(n, i + (block or n))) for i in range(0, n, block or max(n, 1))]


def scales_of(x: Floats, block: int, scale: str) -> Floats:
    """Return the scales of each block of x; NaN where x is not finite."""
    count = 2 if scale == "minmax" else 1
    blocks = blocks_of(x.size, block)
    scales = np.full((len(blocks), count), np.nan, np.float32)
    for row, place in zip(scales, blocks, strict=True):
        part = x[place]
        if not np.isfinite(part).all():
            continue
        if scale == "absmax":
            row[0] = min(np.abs(part).max(), LARGEST_SCALE)
        elif scale == "l2":
            norm = np.sqrt(sum_in_lanes(part.astype(np.float64) ** 2))
            row[0] = min(norm, float(LARGEST_SCALE))
        else:
            row[:] = part.min() + np.float32(0), part.max() + np.float32(0)
    return scales.ravel()


class Lattice(NamedTuple):
    """What the codes of a block stand for, for every element of the block."""

    lift: Floats
    base: Floats
    inverse: Floats
    step: Floats
    highest: Floats
    levels: int
    offset: int


def lattice_of(n: int, bits: int, block: int, levels: int | None, scale: str,
               scales: Floats) -> Lattice:  # fmt: skip
    """Return the lattice of each of n elements."""
    number = np.arange(n) // (block or max(n, 1))
    minmax = scale == "minmax"
    low = scales[::2][number] if minmax else np.zeros(n, np.float32)
    high = scales[1::2][number] if minmax else scales[number]
    count = 2**bits - 1 if minmax else levels or 2 ** (bits - 1) - 1
    reach = high - low if minmax else high
    lift = np.where((reach > 0) & (reach < TINY), LIFT_OF_TINY, ONE)
    if minmax:
        too_wide = np.isinf(reach) & np.isfinite(low) & np.isfinite(high)
        lift = np.where(too_wide, HALF, lift)
    base = low * lift
    width = high * lift - base if minmax else high * lift
    inverse = np.where(width == 0, np.float32(0), np.float32(count) / width)
    step = width / np.float32(count)
    return Lattice(lift, base, inverse, step, high, count, 0 if minmax else count)


def encode(x: Floats, lattice: Lattice, random: RandomStream | None) -> Bytes:
    """Return the codes of x, one per byte."""
    place = (x * lattice.lift - lattice.base) * lattice.inverse
    least, most = np.float32(-lattice.offset), np.float32(lattice.levels)
    place = np.where(place > least, place, least)  # NaN becomes the least
    place = np.where(place < most, place, most)
    if random is None:
        rounded = np.rint(place)
    else:
        fixed = np.rint(place * np.float32(65536)).astype(np.int32)
        rounded = (fixed + 65535 - random_bits(x.size, random)) >> 16
    codes: Bytes = (rounded.astype(np.int32) + lattice.offset).astype(np.uint8)
    return codes


def decode(codes: Bytes, lattice: Lattice) -> Floats:
    """Return the values of codes, one per byte."""
    q = codes.astype(np.float32) - np.float32(lattice.offset)
    if lattice.offset:
        symmetric: Floats = (q * lattice.step) * (ONE / lattice.lift)
        return symmetric
    value = (q * lattice.step + lattice.base) * (ONE / lattice.lift)
    return np.where(lattice.highest < value, lattice.highest, value)


def quantize(x: Floats, bits: int, block: int, *, levels: int | None = None, scale: str = "absmax",
             random: RandomStream | None = None, given: Floats | None = None
             ) -> tuple[Bytes, Floats]:  # fmt: skip
    """Return (codes, scales)."""
    with np.errstate(all="ignore"):
        scales = scales_of(x, block, scale) if given is None else given
        lattice = lattice_of(x.size, bits, block, levels, scale, scales)
        return pack_planes(encode(x, lattice, random), bits), scales


def dequantize(codes: Bytes, scales: Floats, n: int, bits: int, block: int, *,
               levels: int | None = None, scale: str = "absmax") -> Floats:  # fmt: skip
    """Return the float32 values of n codes."""
    with np.errstate(all="ignore"):
        lattice = lattice_of(n, bits, block, levels, scale, scales)
        return decode(unpack_planes(codes, n, bits), lattice)


def dequantize_add(codes: Bytes, scales: Floats, bits: int, block: int, out: Floats,
                   **grid: Any) -> None:  # fmt: skip
    """Set out = out + value."""
    out[:] = add(out, dequantize(codes, scales, out.size, bits, block, **grid))


def compensate_quantize(gradient: Floats, residual: Floats, bits: int, block: int,
                        out_error: Floats, *, random: RandomStream | None = None,
                        given: Floats | None = None, **grid: Any
                        ) -> tuple[Bytes, Floats]:  # fmt: skip
    """Quantise acc = residual + gradient; out_error = acc - value."""
    acc = add(residual, gradient)
    codes, scales = quantize(acc, bits, block, random=random, given=given, **grid)
    with np.errstate(all="ignore"):
        out_error[:] = acc - dequantize(codes, scales, acc.size, bits, block, **grid)
    return codes, scales
