"""Casts, index codecs, random positions and random bits by NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.bench.checks import different_in_blocks, equals
from gradwire.bench.inputs import Bytes, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer
from gradwire.kernels import reference

_TILE_BITS = 16


def _torch_to_bfloat16(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)
    out = torch.empty(inputs.numel, dtype=torch.bfloat16)

    def wrong(result: Any) -> int:
        bits = result.view(torch.int16).numpy().view(np.uint16)
        return different_in_blocks(reference.to_bfloat16, inputs.gradient, bits)

    return Case(lambda: out.copy_(x), wrong)


def _torch_from_bfloat16(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient).to(torch.bfloat16)
    bits = x.view(torch.int16).cpu().numpy().view(np.uint16)
    out = torch.empty(inputs.numel)

    def wrong(result: Any) -> int:
        return different_in_blocks(reference.from_bfloat16, bits, result.numpy())

    return Case(lambda: out.copy_(x), wrong)


def _numpy_encode(inputs: Inputs) -> Case:
    indices = inputs.top.indices
    tiles = -(-inputs.numel >> _TILE_BITS)
    out = np.empty(4 * tiles + 2 * indices.size, np.uint8)

    def call() -> Any:
        out[: 4 * tiles].view(np.uint32)[:] = np.bincount(indices >> _TILE_BITS, minlength=tiles)
        np.copyto(out[4 * tiles :].view(np.uint16), indices, casting="unsafe")
        return out

    return Case(call, equals(reference.encode_indices(indices, 0, inputs.numel, "tile16")))


def _numpy_decode(inputs: Inputs) -> Case:
    indices = inputs.top.indices
    data = reference.encode_indices(indices, 0, inputs.numel, "tile16").copy()
    tiles = -(-inputs.numel >> _TILE_BITS)
    begins = np.arange(tiles, dtype=np.uint32) << np.uint32(_TILE_BITS)
    counts, offsets = data[: 4 * tiles].view(np.uint32), data[4 * tiles :].view(np.uint16)
    return Case(lambda: np.repeat(begins, counts) + offsets, equals(indices))


def _numpy_bitmap(inputs: Inputs) -> Case:
    indices = inputs.top.indices.astype(np.intp)
    chosen = np.empty(inputs.numel, bool)

    def call() -> Any:
        chosen.fill(False)
        chosen[indices] = True
        return np.packbits(chosen, bitorder="little")

    return Case(call, equals(_bitmap(inputs)))


def _numpy_from_bitmap(inputs: Inputs) -> Case:
    data = _bitmap(inputs)

    def call() -> Any:
        bits = np.unpackbits(data, count=inputs.numel, bitorder="little")
        return np.flatnonzero(bits.view(bool))

    return Case(call, equals(inputs.top.indices.astype(np.intp)))


def _bitmap(inputs: Inputs) -> Bytes:
    return reference.encode_indices(inputs.top.indices, 0, inputs.numel, "bitmap")


def _torch_randperm(inputs: Inputs) -> Case:
    torch = import_torch()
    generator = inputs.place.generator()
    out = torch.empty(inputs.numel, dtype=torch.int64)

    def call() -> Any:
        torch.randperm(inputs.numel, generator=generator, out=out)
        return out[: inputs.k]

    return Case(call, lambda result: not_distinct(result.numpy(), inputs))


def _numpy_choice(inputs: Inputs) -> Case:
    generator = np.random.default_rng(1)

    def call() -> Any:
        return generator.choice(inputs.numel, inputs.k, replace=False, shuffle=False)

    return Case(call, lambda result: not_distinct(result, inputs))


def _numpy_random_bits(inputs: Inputs) -> Case:
    generator = np.random.default_rng(1)
    return Case(lambda: generator.integers(0, 1 << 16, inputs.numel, np.uint16), None)


def _torch_random_bits(inputs: Inputs) -> Case:
    torch = import_torch()
    out = torch.empty(inputs.numel, dtype=torch.int16)
    return Case(lambda: out.random_(-(1 << 15), 1 << 15), None)


def not_distinct(positions: Any, inputs: Inputs) -> int:
    """Return how many of k positions are out of range, repeated or missing."""
    inside = positions[(positions >= 0) & (positions < inputs.numel)]
    return int(max(inputs.k, positions.size) - np.unique(inside).size)


TO_BFLOAT16 = (Peer("torch copy_ to bfloat16", "torch", _torch_to_bfloat16),)
FROM_BFLOAT16 = (Peer("torch copy_ from bfloat16", "torch", _torch_from_bfloat16),)
ENCODE_TILE16 = (Peer("np.bincount, cast", "numpy", _numpy_encode),)
DECODE_TILE16 = (Peer("np.repeat, add", "numpy", _numpy_decode),)
ENCODE_BITMAP = (Peer("np: x[indices] = True, packbits", "numpy", _numpy_bitmap),)
DECODE_BITMAP = (Peer("np.unpackbits, flatnonzero", "numpy", _numpy_from_bitmap),)
RANDOM_BITS = (
    Peer("np integers(0, 65536), PCG64", "numpy", _numpy_random_bits),
    Peer("torch int16 random_(), Mersenne", "torch", _torch_random_bits),
)
RANDOM_INDICES = (
    Peer("torch.randperm(n)[:k]", "torch", _torch_randperm),
    Peer("np choice(n, k, replace=False)", "numpy", _numpy_choice),
)
