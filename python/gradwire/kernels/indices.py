"""Wire forms of strictly increasing indices of a range.

Exact, hence deterministic and the same on every machine. All wire integers are little-endian.

=============  ====================================================================================
codec          message: integers and positions are relative to begin
=============  ====================================================================================
"u32"          one u32 per index
"tile16"       ceil(length / 65536) u32 counts, one per tile of 65,536 positions, then one u16 per
               index, its offset in its tile
"bitmap"       ceil(length / 8) bytes; bit i % 8 (least significant first) of byte i // 8 is set for
               each index i
"rice"         before each block of 1024 gaps 5 bits, r; per gap: gap >> r zeros, a one, the r low
               bits of the gap
"elias_gamma"  per gap, with v = gap + 1 and N = floor(log2(v)): N zeros, a one, the N low bits of v
"elias_delta"  per gap, with M = floor(log2(N + 1)): M zeros, a one, the M low bits of N + 1, the N
               low bits of v
=============  ====================================================================================

The last three are streams of bits, least significant bit of each byte (and of each field) first,
filled up with zeros to a whole byte. The first gap is the first index, the others are index -
previous index - 1. r is floor(log2(mean)), mean being the sum of the block's gaps // their number,
and 0 if that is 0; decoders refuse any other. So Rice code follows a density that changes
along the range, and as gaps add up to at most length - count, no set of indices takes more than
count * (4 + floor(log2(1 + (length - count) // count))) bits and 5 per block. At a density of 1 %
(0.1 %) of random positions, u32 takes 32 bits per index, tile16 16.0 (16.5), rice 8.1 (11.5),
elias_delta 10.8 (15.4), elias_gamma 11.8 (18.3), bitmap 100 (1000).
"""

from __future__ import annotations

from gradwire.errors import ConfigError, WireError
from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, choice, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate, message, trimmed
from gradwire.kernels.arrays import length as length_of

_CODECS: dict[str, int] = {
    "u32": 0,
    "tile16": 1,
    "bitmap": 2,
    "rice": 3,
    "elias_gamma": 4,
    "elias_delta": 5,
}
_FIXED_SIZE = ("u32", "tile16", "bitmap")


def encoded_size(count: int, length: int, codec: str) -> int:
    """Return the exact bytes of `count` indices of a range of `length` positions.

    codec: one whose size depends on nothing else, "u32", "tile16" or "bitmap"; ConfigError for the
    others, whose largest size `max_encoded_size` returns.
    """
    number = codec_number("encoded_size", codec)
    if codec not in _FIXED_SIZE:
        raise ConfigError(
            f"encoded_size: the size of {codec} depends on the indices: call max_encoded_size"
        )
    return _largest_size("encoded_size", count, length, number)


def max_encoded_size(count: int, length: int, codec: str) -> int:
    """Return the most bytes that any `count` indices of a range of `length` positions take.

    For "u32", "tile16" and "bitmap" that is the exact size. Some set of indices takes so many bytes
    in each codec but "elias_delta", where this is an upper bound.
    """
    number = codec_number("max_encoded_size", codec)
    return _largest_size("max_encoded_size", count, length, number)


def encode_indices(
    indices: Array, begin: int, length: int, codec: str, out: Array | None = None
) -> Array:
    """Return the wire form of strictly increasing indices in [begin, begin + length).

    indices: (count,) uint32; begin + length <= 2**32. codec: see above. out: at least
    (max_encoded_size(...),) uint8, allocated when None; must not overlap indices; what lies behind
    the written part is scratch. Returns the written part. Indices that are not strictly increasing
    or outside the range: ConfigError, nothing written. Reads 8 bytes per index.
    """
    begin, length = index_range("encode_indices", begin, length)
    number = codec_number("encode_indices", codec)
    if out is None:
        size = native.cpu.encoded_size(length_of(indices), length, number)[1]
        out = allocate(size, "uint8", indices)
    return trimmed(out, native.of(indices).encode_indices(indices, begin, length, number, out))


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
    length, counts that do not add up, indices that are not strictly increasing or out of range and
    unused bits that are not zero raise WireError, nothing outside the buffers is touched, and the
    time is O(count + bytes). Each set of indices has one form, and only that is accepted. out: at
    least (count,) uint32, allocated when None; after an error its contents are unspecified.
    """
    data = message("decode_indices: data", data)
    count = integer("decode_indices: count", count, 0, MAX_LENGTH)
    begin, length = index_range("decode_indices", begin, length)
    number = codec_number("decode_indices", codec)
    require_size("decode_indices", length_of(data), count, length, number)
    if out is None:
        out = allocate(count, "uint32", data)
    native.of(data).decode_indices(data, count, begin, length, number, out)
    return trimmed(out, count)


def require_size(who: str, size: int, count: int, length: int, codec: int) -> None:
    """Refuse a wrong length before `count`, which may be hostile too, decides an allocation.

    What passes has at most 32 times the size of the message to allocate, each index taking a bit.
    """
    least, most = native.cpu.encoded_size(count, length, codec)
    if not least <= size <= most:
        expected = f"{most}" if least == most else f"{least} to {most}"
        raise WireError(
            f"{who}: {count} indices of a range of {length} take {expected} bytes, got {size}"
        )
    if count > length:
        raise WireError(f"{who}: a range of {length} does not have {count} indices")


def _largest_size(who: str, count: int, length: int, codec: int) -> int:
    count = integer(f"{who}: count", count, 0, MAX_LENGTH)
    length = integer(f"{who}: length", length, 0, WORD)
    most: int = native.cpu.encoded_size(count, length, codec)[1]
    return most


def codec_number(who: str, codec: str) -> int:
    """Return the number by which native code knows a codec; ConfigError if there is none."""
    return _CODECS[choice(f"{who}: codec", codec, _CODECS)]


def index_range(who: str, begin: int, length: int) -> tuple[int, int]:
    """Return the range as integers; ConfigError if it is none of indices of 32 bits."""
    begin = integer(f"{who}: begin", begin, 0, MAX_LENGTH)
    return begin, integer(f"{who}: length", length, 0, WORD - begin)
