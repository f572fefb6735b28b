"""Packing that is only queued; see `gradwire.kernels.bits`.

out_status: (1,) uint32, which becomes 0; anything else if codes are too large for their bits, or
unused bits are not 0: what is written to out means nothing then. A message of a wrong length raises
WireError at once.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array
from gradwire.kernels.bits import MOST_BITS


def pack_bits(codes: Array, bits: int, out: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.pack_bits`; out: at least (packed_size(n, bits),) uint8."""
    bits = integer("queued.pack_bits: bits", bits, 1, MOST_BITS)
    native.cuda().queued_pack_bits(codes, bits, out, out_status)


def unpack_bits(data: Array, n: int, bits: int, out: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.unpack_bits`; out: at least (n,) uint8."""
    n = integer("queued.unpack_bits: n", n, 0, MAX_LENGTH)
    bits = integer("queued.unpack_bits: bits", bits, 1, MOST_BITS)
    native.cuda().queued_unpack_bits(data, n, bits, out, out_status)


def pack_base3(codes: Array, out: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.pack_base3`; out: at least (base3_size(n),) uint8."""
    native.cuda().queued_pack_base3(codes, out, out_status)


def unpack_base3(data: Array, n: int, out: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.unpack_base3`; out: at least (n,) uint8."""
    n = integer("queued.unpack_base3: n", n, 0, MAX_LENGTH)
    native.cuda().queued_unpack_base3(data, n, out, out_status)
