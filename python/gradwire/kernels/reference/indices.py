"""Wire forms of strictly increasing indices; `reference.gaps` has those that encode gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference import gaps

Indices = NDArray[np.uint32]

_TILE = 1 << 16


def encoded_size(count: int, length: int, codec: str) -> int:
    """Return the exact bytes of `count` indices of a range of `length` positions."""
    if codec == "bitmap":
        return -(-length // 8)
    return 4 * count if codec == "u32" else 4 * -(-length // _TILE) + 2 * count


def encode_indices(indices: Indices, begin: int, length: int, codec: str) -> NDArray[np.uint8]:
    """Return the wire form of strictly increasing indices in [begin, begin + length)."""
    relative = indices.astype(np.int64) - begin
    if codec in gaps.CODES:
        return gaps.encode(relative, codec)
    if codec == "u32":
        return np.frombuffer(relative.astype("<u4").tobytes(), np.uint8)
    if codec == "bitmap":
        bitmap = np.zeros(length, np.uint8)
        bitmap[relative] = 1
        return np.packbits(bitmap, bitorder="little")
    counts = np.bincount(relative // _TILE, minlength=-(-length // _TILE))
    offsets = relative % _TILE
    return np.frombuffer(counts.astype("<u4").tobytes() + offsets.astype("<u2").tobytes(), np.uint8)


def decode_indices(
    data: NDArray[np.uint8], count: int, begin: int, length: int, codec: str
) -> Indices:
    """Return the indices of a message that encode_indices wrote."""
    message = data.tobytes()
    if codec in gaps.CODES:
        relative = gaps.decode(data, count, codec)
    elif codec == "u32":
        relative = np.frombuffer(message, "<u4").astype(np.int64)
    elif codec == "bitmap":
        relative = np.flatnonzero(np.unpackbits(data, bitorder="little"))
    else:
        tiles = -(-length // _TILE)
        counts = np.frombuffer(message, "<u4", tiles)
        offsets = np.frombuffer(message, "<u2", count, 4 * tiles)
        relative = np.repeat(np.arange(tiles, dtype=np.int64) * _TILE, counts) + offsets
    return (relative + begin).astype(np.uint32)
