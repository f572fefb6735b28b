"""Small codes packed for the wire."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_CHUNK = 512
_WEIGHTS = np.array([81, 27, 9, 3, 1], np.uint8)


def packed_size(n: int, bits: int) -> int:
    """Return the bytes of n packed codes."""
    return bits * -(-n // 8)


def pack_bits(codes: Bytes, bits: int) -> Bytes:
    """Return codes below ``2**bits``, packed in bit planes, chunk by chunk."""
    planes = [
        np.packbits((codes[begin : begin + _CHUNK] >> plane) & 1, bitorder="little")
        for begin in range(0, codes.size, _CHUNK)
        for plane in range(bits)
    ]
    return np.concatenate([np.empty(0, np.uint8), *planes])


def unpack_bits(data: Bytes, n: int, bits: int) -> Bytes:
    """Return the n codes that pack_bits packed."""
    codes = np.zeros(n, np.uint8)
    for begin in range(0, n, _CHUNK):
        chunk = codes[begin : begin + _CHUNK]
        size = -(-chunk.size // 8)
        planes = data[bits * begin // 8 :][: bits * size].reshape(bits, size)
        for plane in range(bits):
            chunk |= np.unpackbits(planes[plane], count=chunk.size, bitorder="little") << plane
    return codes


def base3_size(n: int) -> int:
    """Return the bytes of n trits."""
    return -(-n // 5)


def pack_base3(codes: Bytes) -> Bytes:
    """Return trits, packed five to a byte."""
    filled = np.zeros((base3_size(codes.size), 5), np.uint8)
    filled.reshape(-1)[: codes.size] = codes
    packed: Bytes = (filled * _WEIGHTS).sum(1, dtype=np.uint8)
    return packed


def unpack_base3(data: Bytes, n: int) -> Bytes:
    """Return the n trits that pack_base3 packed."""
    trits: Bytes = data[:, None] // _WEIGHTS % 3
    return trits.reshape(-1)[:n]
