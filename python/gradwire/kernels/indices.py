"""Wire forms of strictly increasing indices of a range.

Exact, hence deterministic and the same on every machine. All wire integers are little-endian.
"""

from __future__ import annotations

import numpy as np

from gradwire.errors import ConfigError, WireError
from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate
from gradwire.kernels.arrays import length as length_of

_CODECS: dict[str, int] = {"u32": 0, "tile16": 1}


def encoded_size(count: int, length: int, codec: str) -> int:
    """Return the exact bytes of `count` indices of a range of `length` positions."""
    count = integer("encoded_size: count", count, 0, MAX_LENGTH)
    length = integer("encoded_size: length", length, 0, WORD)
    return int(native.cpu.encoded_size(count, length, _codec("encoded_size", codec)))


def encode_indices(
    indices: Array, begin: int, length: int, codec: str, out: Array | None = None
) -> Array:
    """Return the wire form of strictly increasing indices in [begin, begin + length).

    indices: (count,) uint32; begin + length <= 2**32. codec "u32": one u32 per index, relative to
    begin. codec "tile16": ceil(length / 65536) u32 counts, one per tile of 65,536 positions, then
    one u16 per index, its offset in its tile. out: at least (encoded_size(...),) uint8, allocated
    when None; must not overlap indices. Returns its written part. Indices that are not strictly
    increasing or outside the range: ConfigError, nothing written.
    """
    begin, length = _range("encode_indices", begin, length)
    number = _codec("encode_indices", codec)
    size = native.cpu.encoded_size(length_of(indices), length, number)
    if out is None:
        out = allocate(size, "uint8", indices)
    native.cpu.encode_indices(indices, begin, length, number, out)
    return out[:size]


def decode_indices(
    data: Array | bytes | bytearray | memoryview,
    count: int,
    begin: int,
    length: int,
    codec: str,
    out: Array | None = None,
) -> Array:
    """Return the indices that encode_indices wrote: (count,) uint32, strictly increasing.

    data: all bytes of the message, uint8 or bytes-like. They are treated as hostile: a wrong
    length, counts that do not add up, indices that are not strictly increasing or out of range
    raise WireError, and nothing outside the buffers is touched. out: at least (count,) uint32,
    allocated when None; after an error its contents are unspecified.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = np.frombuffer(data, np.uint8)
    count = integer("decode_indices: count", count, 0, MAX_LENGTH)
    begin, length = _range("decode_indices", begin, length)
    number = _codec("decode_indices", codec)
    _require_size(length_of(data), count, length, number)
    if out is None:
        out = allocate(count, "uint32", data)
    native.cpu.decode_indices(data, count, begin, length, number, out)
    return out[:count]


def _require_size(size: int, count: int, length: int, codec: int) -> None:
    """Refuse a wrong length before `count`, which may be hostile too, decides an allocation."""
    expected = native.cpu.encoded_size(count, length, codec)
    if size != expected:
        raise WireError(
            f"decode_indices: {count} indices of a range of {length} take {expected} bytes, "
            f"got {size}"
        )


def _codec(who: str, codec: str) -> int:
    number = _CODECS.get(codec)
    if number is None:
        raise ConfigError(f"{who}: codec must be one of {', '.join(_CODECS)}, got {codec!r}")
    return number


def _range(who: str, begin: int, length: int) -> tuple[int, int]:
    begin = integer(f"{who}: begin", begin, 0, MAX_LENGTH)
    return begin, integer(f"{who}: length", length, 0, WORD - begin)
