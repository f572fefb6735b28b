"""What values and indices become on the wire, random positions and random bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import by_blocks, different_in_blocks, equals
from gradwire.bench.inputs import Bytes, Indices, Inputs
from gradwire.bench.peers import encoding as peers
from gradwire.bench.row import Case, Peer, Row
from gradwire.kernels import reference

_SEED, _KEY, _STEP = 1, 2, 3


def _to_bfloat16(inputs: Inputs) -> Case:
    x, out = inputs.put(inputs.gradient), inputs.room(inputs.numel, "uint16")

    def wrong(result: Any) -> int:
        return different_in_blocks(reference.to_bfloat16, inputs.gradient, result)

    return Case(lambda: kernels.to_bfloat16(x, out), wrong)


def _from_bfloat16(inputs: Inputs) -> Case:
    # The upper halves of float32 are bfloat16 bits, if not rounded ones.
    bits = (inputs.gradient.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    x, out = inputs.put(bits), inputs.room(inputs.numel)

    def wrong(result: Any) -> int:
        return different_in_blocks(reference.from_bfloat16, bits, result)

    return Case(lambda: kernels.from_bfloat16(x, out), wrong)


def _message(codec: str, inputs: Inputs) -> Bytes:
    return reference.encode_indices(inputs.top.indices, 0, inputs.numel, codec)


def _encode(codec: str, inputs: Inputs) -> Case:
    count, numel = inputs.top.indices.size, inputs.numel
    indices = inputs.put(inputs.top.indices)
    out = inputs.room(kernels.max_encoded_size(count, numel, codec), "uint8")
    return Case(
        lambda: kernels.encode_indices(indices, 0, numel, codec, out),
        equals(_message(codec, inputs)),
    )


def _decode(codec: str, inputs: Inputs) -> Case:
    indices, numel = inputs.top.indices, inputs.numel
    data = inputs.put(_message(codec, inputs))
    out = inputs.room(indices.size, "uint32")
    return Case(
        lambda: kernels.decode_indices(data, indices.size, 0, numel, codec, out), equals(indices)
    )


def _codec_rows(
    codec: str, encode_peers: tuple[Peer, ...] = (), decode_peers: tuple[Peer, ...] = ()
) -> tuple[Row, Row]:
    def nbytes(inputs: Inputs) -> int:
        return int(4 * inputs.k + _message(codec, inputs).size)

    return (
        Row(
            f"encode/{codec}",
            f"k indices as {codec}",
            nbytes,
            lambda inputs: _encode(codec, inputs),
            encode_peers,
        ),
        Row(
            f"decode/{codec}",
            f"k indices from {codec}, checked",
            nbytes,
            lambda inputs: _decode(codec, inputs),
            decode_peers,
        ),
    )


def _random_indices(inputs: Inputs) -> Case:
    out = inputs.room(inputs.k, "uint32")
    return Case(
        lambda: kernels.random_indices(inputs.numel, inputs.k, _SEED, _KEY, _STEP, out),
        equals(_drawn(inputs)),
    )


def _random_bits(inputs: Inputs) -> Case:
    stream = kernels.RandomStream(_SEED, _KEY, _STEP)
    out = inputs.room(inputs.numel, "uint16")

    def specify(part: slice) -> Any:
        size = part.stop - part.start
        return (reference.random_bits(size, stream._replace(first=part.start)),)

    (expected,) = by_blocks(specify, inputs.numel)
    return Case(lambda: kernels.random_bits(inputs.numel, stream, out), equals(expected))


def _drawn(inputs: Inputs) -> Indices:
    """Return reference.random_indices, with all its draws at once."""
    n = np.uint64(inputs.numel)
    wanted = min(inputs.k, inputs.numel - inputs.k)
    blocks = wanted  # two draws each: ample as long as at most half of the positions are wanted
    counter = np.zeros((4, blocks), np.uint64)
    counter[0] = np.arange(blocks)
    counter[2] = _STEP
    words = reference.philox4x32(counter, (_SEED, _KEY))
    draws = [
        (high * n + (low * n >> np.uint64(32))) >> np.uint64(32)
        for low, high in ((words[0], words[1]), (words[2], words[3]))
    ]
    positions = np.stack(draws, axis=1).ravel()
    first = np.sort(np.unique(positions, return_index=True)[1])[:wanted]
    chosen = np.sort(positions[first]).astype(np.uint32)
    if inputs.k > inputs.numel - inputs.k:
        return np.setdiff1d(np.arange(inputs.numel, dtype=np.uint32), chosen, assume_unique=True)
    return chosen


ENCODING = (
    Row(
        "to_bfloat16",
        "float32 rounded to bfloat16",
        lambda inputs: 6 * inputs.numel,
        _to_bfloat16,
        peers.TO_BFLOAT16,
    ),
    Row(
        "from_bfloat16",
        "bfloat16 as float32",
        lambda inputs: 6 * inputs.numel,
        _from_bfloat16,
        peers.FROM_BFLOAT16,
    ),
    *_codec_rows("u32"),
    *_codec_rows("tile16", peers.ENCODE_TILE16, peers.DECODE_TILE16),
    *_codec_rows("bitmap", peers.ENCODE_BITMAP, peers.DECODE_BITMAP),
    *_codec_rows("rice"),
    *_codec_rows("elias_gamma"),
    *_codec_rows("elias_delta"),
    Row(
        "random_indices",
        "k distinct positions below n, sorted",
        # A bit per position, written and read, and the result.
        lambda inputs: 2 * inputs.numel / 8 + 4 * inputs.k,
        _random_indices,
        peers.RANDOM_INDICES,
    ),
    Row(
        "random_bits",
        "16 random bits for each element",
        lambda inputs: 2 * inputs.numel,
        _random_bits,
        peers.RANDOM_BITS,
    ),
)
