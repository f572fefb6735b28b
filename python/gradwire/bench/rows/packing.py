"""Small codes packed for the wire: bit planes, and five trits to a byte."""

from __future__ import annotations

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import by_blocks, equals
from gradwire.bench.inputs import Bytes, Inputs
from gradwire.bench.peers import packing as peers
from gradwire.bench.row import Case, Peer, Row
from gradwire.kernels import reference


def _packed(codes: Bytes, bits: int) -> Bytes:
    """Return reference.pack_bits(codes, bits)."""
    (packed,) = by_blocks(lambda part: (reference.pack_bits(codes[part], bits),), codes.size)
    return np.asarray(packed, np.uint8)


def _pack_bits(bits: int, inputs: Inputs) -> Case:
    codes = inputs.codes(bits)
    expected = _packed(codes, bits)
    x, out = inputs.put(codes), inputs.room(expected.size, "uint8")
    return Case(lambda: kernels.pack_bits(x, bits, out), equals(expected))


def _unpack_bits(bits: int, inputs: Inputs) -> Case:
    codes = inputs.codes(bits)
    data, out = inputs.put(_packed(codes, bits)), inputs.room(codes.size, "uint8")
    return Case(lambda: kernels.unpack_bits(data, codes.size, bits, out), equals(codes))


def _pack_base3(inputs: Inputs) -> Case:
    trits = peers.trits(inputs)
    expected = reference.pack_base3(trits)
    x, out = inputs.put(trits), inputs.room(expected.size, "uint8")
    return Case(lambda: kernels.pack_base3(x, out), equals(expected))


def _unpack_base3(inputs: Inputs) -> Case:
    trits = peers.trits(inputs)
    data, out = inputs.put(reference.pack_base3(trits)), inputs.room(trits.size, "uint8")
    return Case(lambda: kernels.unpack_base3(data, trits.size, out), equals(trits))


def _bits_rows(
    bits: int, pack_peers: tuple[Peer, ...], unpack_peers: tuple[Peer, ...]
) -> tuple[Row, Row]:
    def nbytes(inputs: Inputs) -> int:
        return inputs.numel + reference.packed_size(inputs.numel, bits)

    codes = "codes of 1 bit" if bits == 1 else f"codes of {bits} bits"
    return (
        Row(
            f"pack_bits/{bits}",
            f"{codes}, each in a byte, packed",
            nbytes,
            lambda inputs: _pack_bits(bits, inputs),
            pack_peers,
        ),
        Row(
            f"unpack_bits/{bits}",
            f"packed {codes} to bytes, checked",
            nbytes,
            lambda inputs: _unpack_bits(bits, inputs),
            unpack_peers,
        ),
    )


def _base3_bytes(inputs: Inputs) -> int:
    return inputs.numel + reference.base3_size(inputs.numel)


PACKING = (
    *_bits_rows(1, peers.PACK_1, peers.UNPACK_1),
    *_bits_rows(4, peers.PACK_4, peers.UNPACK_4),
    Row("pack_base3", "trits, five to a byte", _base3_bytes, _pack_base3, peers.PACK_BASE3),
    Row(
        "unpack_base3",
        "trits from five in a byte, checked",
        _base3_bytes,
        _unpack_base3,
        peers.UNPACK_BASE3,
    ),
)
