"""Small codes packed by NumPy and torch, in their own order where they have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.bench.checks import different, equals
from gradwire.bench.inputs import Bytes, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer
from gradwire.kernels import reference

_TRITS = 5  # in a byte
_WEIGHTS = np.array([81, 27, 9, 3, 1], np.uint8)


def trits(inputs: Inputs) -> Bytes:
    """Return random codes 0, 1 and 2: (numel,) uint8."""
    return np.random.default_rng([inputs.seed, 5]).integers(0, 3, inputs.numel, np.uint8)


def _numpy_packbits(inputs: Inputs) -> Case:
    codes = inputs.codes(1)

    def wrong(result: Any) -> int:
        return different(np.unpackbits(result, count=codes.size, bitorder="little"), codes)

    return Case(lambda: np.packbits(codes, bitorder="little"), wrong)


def _numpy_unpackbits(inputs: Inputs) -> Case:
    codes = inputs.codes(1)
    data = np.packbits(codes, bitorder="little")
    return Case(lambda: np.unpackbits(data, count=codes.size, bitorder="little"), equals(codes))


def _pairs(inputs: Inputs) -> Bytes:
    """Return 4-bit codes in rows of two; the last code of an odd number has a zero beside it."""
    codes = np.zeros((-(-inputs.numel // 2), 2), np.uint8)
    codes.reshape(-1)[: inputs.numel] = inputs.codes(4)
    return codes


def _numpy_nibbles(inputs: Inputs) -> Case:
    codes = _pairs(inputs)
    out = np.empty(len(codes), np.uint8)

    def call() -> Any:
        np.left_shift(codes[:, 1], 4, out=out)
        return np.bitwise_or(out, codes[:, 0], out=out)

    return Case(call, lambda result: _wrong_nibbles(result, codes))


def _torch_nibbles(inputs: Inputs) -> Case:
    codes = _pairs(inputs)
    x = inputs.tensor(codes)

    def call() -> Any:
        return (x[:, 1] << 4).bitwise_or_(x[:, 0])

    return Case(call, lambda result: _wrong_nibbles(result.numpy(), codes))


def _wrong_nibbles(packed: Bytes, codes: Bytes) -> int:
    return different(packed & 15, codes[:, 0].copy()) + different(packed >> 4, codes[:, 1].copy())


def _numpy_from_nibbles(inputs: Inputs) -> Case:
    codes = _pairs(inputs)
    data, out = codes[:, 0] | codes[:, 1] << 4, np.empty_like(codes)

    def call() -> Any:
        np.bitwise_and(data, 15, out=out[:, 0])
        np.right_shift(data, 4, out=out[:, 1])
        return out.reshape(-1)

    return Case(call, equals(codes.reshape(-1)))


def _torch_from_nibbles(inputs: Inputs) -> Case:
    torch = import_torch()
    codes = _pairs(inputs)
    data = inputs.tensor(codes[:, 0] | codes[:, 1] << 4)

    def call() -> Any:
        return torch.stack((data & 15, data >> 4), dim=1).view(-1)

    return Case(call, equals(codes.reshape(-1)))


def _numpy_pack_base3(inputs: Inputs) -> Case:
    codes = trits(inputs)
    rows = np.zeros((-(-codes.size // _TRITS), _TRITS), np.uint8)
    rows.reshape(-1)[: codes.size] = codes
    out = np.empty(len(rows), np.uint8)

    def call() -> Any:
        np.multiply(rows[:, 0], _WEIGHTS[0], out=out)
        for place in range(1, _TRITS):
            np.add(out, rows[:, place] * _WEIGHTS[place], out=out)
        return out

    return Case(call, equals(reference.pack_base3(codes)))


def _numpy_unpack_base3(inputs: Inputs) -> Case:
    """A table of the five trits of each byte."""
    codes = trits(inputs)
    data = reference.pack_base3(codes)
    table = (np.arange(256)[:, None] // _WEIGHTS % 3).astype(np.uint8)
    out = np.empty((data.size, _TRITS), np.uint8)

    def call() -> Any:
        return np.take(table, data, axis=0, out=out, mode="clip").reshape(-1)[: codes.size]

    return Case(call, equals(codes))


PACK_1 = (Peer("np.packbits", "numpy", _numpy_packbits),)
UNPACK_1 = (Peer("np.unpackbits", "numpy", _numpy_unpackbits),)
PACK_4 = (
    Peer("np: nibbles, <<, |", "numpy", _numpy_nibbles),
    Peer("torch: nibbles, <<, |", "torch", _torch_nibbles),
)
UNPACK_4 = (
    Peer("np: nibbles, &, >>", "numpy", _numpy_from_nibbles),
    Peer("torch: nibbles, &, >>, stack", "torch", _torch_from_nibbles),
)
PACK_BASE3 = (Peer("np: multiply, add", "numpy", _numpy_pack_base3),)
UNPACK_BASE3 = (Peer("np.take of a table", "numpy", _numpy_unpack_base3),)
