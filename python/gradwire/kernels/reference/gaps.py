"""Gaps between indices as streams of bits: Rice and Elias codes.

Each gap is a number of zeros, a one and a field of bits, least significant first. All positions
are counted in bits from the beginning of the message, whose bytes begin with their lowest bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

CODES = ("rice", "elias_gamma", "elias_delta")
RICE_BLOCK, PARAMETER_BITS = 1024, 5


def rice_parameter(gaps: Integers) -> int:
    """Return r, the low bits of a block's gaps that Rice code does not write in unary."""
    return max((int(gaps.sum()) // gaps.size).bit_length() - 1, 0)


def encode(relative: Integers, codec: str) -> NDArray[np.uint8]:
    """Return the code of strictly increasing positions."""
    gaps = np.diff(relative, prepend=-1) - 1
    if codec != "rice":
        return np.packbits(_bits_of(gaps, 0, codec), bitorder="little")
    parts = [np.empty(0, np.uint8)]
    for begin in range(0, gaps.size, RICE_BLOCK):
        block = gaps[begin : begin + RICE_BLOCK]
        r = rice_parameter(block)
        parts.append(np.array([r >> j & 1 for j in range(PARAMETER_BITS)], np.uint8))
        parts.append(_bits_of(block, r, codec))
    return np.packbits(np.concatenate(parts), bitorder="little")


def _bits_of(gaps: Integers, r: int, codec: str) -> NDArray[np.uint8]:
    """Return the bits of a run of gaps."""
    zeros, fields, widths = _symbols(gaps, r, codec)
    ends = np.cumsum(zeros + 1 + widths)
    ones = ends - widths - 1
    bits = np.zeros(ends[-1] if gaps.size else 0, np.uint8)
    bits[ones] = 1
    for j in range(int(widths.max(initial=0))):
        there = j < widths
        bits[ones[there] + 1 + j] = fields[there] >> j & 1
    return bits


def decode(data: NDArray[np.uint8], count: int, codec: str) -> Integers:
    """Return the `count` positions that `encode` wrote."""
    bits = np.unpackbits(data, bitorder="little")
    if codec != "rice":
        return np.cumsum(_gaps_of(bits, count, 0, codec)[0] + 1) - 1
    gaps, place = [np.empty(0, np.int64)], 0
    for begin in range(0, count, RICE_BLOCK):
        r = sum(int(bits[place + j]) << j for j in range(PARAMETER_BITS))
        place += PARAMETER_BITS
        size, window = min(RICE_BLOCK, count - begin), 64 * RICE_BLOCK
        block, used = _gaps_of(bits[place : place + window], size, r, codec)
        while used > window:  # a block with long gaps
            window *= 8
            block, used = _gaps_of(bits[place : place + window], size, r, codec)
        gaps.append(block)
        place += used
    return np.cumsum(np.concatenate(gaps) + 1) - 1


def _gaps_of(bits: NDArray[np.uint8], count: int, r: int, codec: str) -> tuple[Integers, int]:
    """Return the gaps of a run, and how many bits it takes: more than there are if cut off."""
    if not count:
        return np.empty(0, np.int64), 0
    # As if a symbol began at every bit: where its one is, and where the next symbol begins.
    bits = np.append(bits, np.uint8(0))  # where symbols that are cut off end up
    begins = np.arange(bits.size)
    ones = np.minimum.accumulate(np.where(bits, begins, bits.size)[::-1])[::-1]
    widths = _widths(bits, begins, ones, r, codec)
    real = np.minimum(_follow(ones + 1 + widths, count), bits.size - 1)
    zeros, fields = ones[real] - real, _fields(bits, ones[real] + 1, widths[real])
    if codec == "rice":
        gaps = zeros << r | fields
    else:
        logs = zeros if codec == "elias_gamma" else (1 << zeros | fields & (1 << zeros) - 1) - 1
        low = fields if codec == "elias_gamma" else fields >> zeros
        gaps = (1 << logs | low) - 1
    return gaps, int(ones[real[-1]] + 1 + widths[real[-1]])


def _symbols(gaps: Integers, r: int, codec: str) -> tuple[Integers, Integers, Integers]:
    """Return zeros, field and width of the field for each gap."""
    if codec == "rice":
        return gaps >> r, gaps & (1 << r) - 1, np.full(gaps.size, r)
    values = gaps + 1
    logs = _floor_log2(values)
    low = values - (1 << logs)
    if codec == "elias_gamma":
        return logs, low, logs
    zeros = _floor_log2(logs + 1)
    return zeros, (logs + 1 - (1 << zeros)) | low << zeros, zeros + logs


def _widths(
    bits: NDArray[np.uint8], begins: Integers, ones: Integers, r: int, codec: str
) -> Integers:
    """Return the width of the field behind each one."""
    if codec == "rice":
        return np.full(bits.size, r)
    # More zeros than these are before no symbol.
    zeros: Integers = np.minimum(ones - begins, 32 if codec == "elias_gamma" else 5)
    if codec == "elias_gamma":
        return zeros
    return zeros + (1 << zeros) + _fields(bits, ones + 1, zeros) - 1


def _floor_log2(values: Integers) -> Integers:
    """Return floor(log2(value)) for 1 <= value <= 2**32, which float64 holds exactly."""
    return np.frexp(values)[1].astype(np.int64) - 1


def _fields(bits: NDArray[np.uint8], begins: Integers, widths: Integers) -> Integers:
    """Return the numbers of `widths` bits that begin there; behind the end there are zeros."""
    padded = np.append(bits, np.zeros(64, np.uint8)).astype(np.int64)
    fields = np.zeros(begins.size, np.int64)
    for j in range(int(widths.max(initial=0))):
        fields |= np.where(j < widths, padded[np.minimum(begins + j, bits.size)], 0) << j
    return fields


def _follow(following: Integers, count: int) -> Integers:
    """Return 0, following[0], following[following[0]], ...: `count` of them.

    Each round doubles both the list and how many steps `following` takes.
    """
    path = np.zeros(min(count, 1), np.int64)
    end = following.size
    following = np.append(np.minimum(following, end), end)
    while path.size < count:
        path = np.append(path, following[path])
        following = following[following]
    return path[:count]
