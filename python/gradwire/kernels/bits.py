"""Small codes packed for the wire: bit planes, and five trits to a byte.

Exact, hence deterministic and the same on every machine.
"""

from __future__ import annotations

from gradwire.errors import WireError
from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate, length, message, trimmed

MOST_BITS = 8


def packed_size(n: int, bits: int) -> int:
    """Return the bytes of n packed codes: ``bits * ceil(n / 8)``; 1 <= bits <= 8."""
    n = integer("packed_size: n", n, 0, MAX_LENGTH)
    return int(native.cpu.packed_size(n, integer("packed_size: bits", bits, 1, MOST_BITS)))


def pack_bits(codes: Array, bits: int, out: Array | None = None) -> Array:
    """Return codes below ``2**bits``, packed in bit planes.

    Codes are cut into chunks of 512, of which the last one may be shorter. A chunk of m codes is
    `bits` planes of ceil(m / 8) bytes, one after the other, least significant plane first; plane j
    holds bit j of every code, code i of the chunk at byte i // 8, bit i % 8 (least significant
    first). Unused bits are 0.

    codes: (n,) uint8; 1 <= bits <= 8. out: at least (packed_size(n, bits),) uint8, allocated when
    None; must not overlap codes. Returns its written part. A code of 2**bits or more: ConfigError,
    and the contents of out are unspecified. Reads 1 byte per code and writes bits / 8.
    """
    bits = integer("pack_bits: bits", bits, 1, MOST_BITS)
    if out is None:
        out = allocate(native.cpu.packed_size(length(codes), bits), "uint8", codes)
    return trimmed(out, native.of(codes).pack_bits(codes, bits, out))


def unpack_bits(
    data: Array | bytes | bytearray | memoryview, n: int, bits: int, out: Array | None = None
) -> Array:
    """Return the n codes that pack_bits packed: (n,) uint8.

    data: all bytes of the message, uint8 or bytes-like. They are treated as hostile: a length that
    is not packed_size(n, bits) and unused bits that are not 0 raise WireError. out: at least (n,)
    uint8, allocated when None; must not overlap data; after an error its contents are unspecified.
    Reads bits / 8 bytes per code and writes 1.
    """
    n = integer("unpack_bits: n", n, 0, MAX_LENGTH)
    bits = integer("unpack_bits: bits", bits, 1, MOST_BITS)
    data, out = _buffers("unpack_bits", data, native.cpu.packed_size(n, bits), n, out)
    native.of(data).unpack_bits(data, n, bits, out)
    return trimmed(out, n)


def base3_size(n: int) -> int:
    """Return the bytes of n trits: ``ceil(n / 5)``."""
    return int(native.cpu.base3_size(integer("base3_size: n", n, 0, MAX_LENGTH)))


def pack_base3(codes: Array, out: Array | None = None) -> Array:
    """Return trits (codes 0, 1 and 2), packed five to a byte.

    Consecutive trits a, b, c, d, e are the byte 81 a + 27 b + 9 c + 3 d + e; a last byte is filled
    up with trits 0. codes: (n,) uint8. out: at least (base3_size(n),) uint8, allocated when None;
    must not overlap codes. Returns its written part. A code of 3 or more: ConfigError, and the
    contents of out are unspecified. Reads 1 byte per trit and writes 0.2.
    """
    if out is None:
        out = allocate(native.cpu.base3_size(length(codes)), "uint8", codes)
    return trimmed(out, native.of(codes).pack_base3(codes, out))


def unpack_base3(
    data: Array | bytes | bytearray | memoryview, n: int, out: Array | None = None
) -> Array:
    """Return the n trits that pack_base3 packed: (n,) uint8.

    data: all bytes of the message, uint8 or bytes-like. They are treated as hostile: a length that
    is not base3_size(n), a byte above 242 and a trit behind the last one that is not 0 raise
    WireError. out: at least (n,) uint8, allocated when None; must not overlap data; after an error
    its contents are unspecified. Reads 0.2 bytes per trit and writes 1.
    """
    n = integer("unpack_base3: n", n, 0, MAX_LENGTH)
    data, out = _buffers("unpack_base3", data, native.cpu.base3_size(n), n, out)
    native.of(data).unpack_base3(data, n, out)
    return trimmed(out, n)


def _buffers(who: str, data: Array, size: int, n: int, out: Array | None) -> tuple[Array, Array]:
    """Return data as an array, and out; a length that is wrong must not decide an allocation."""
    data = message(f"{who}: data", data)
    if out is None:
        if length(data) != size:
            raise WireError(f"{who}: {n} codes take {size} bytes, got {length(data)}")
        out = allocate(n, "uint8", data)
    return data, out
