"""The wire form: pinned bytes, round trips, and a decoder that trusts nothing."""

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits
from wire_cases import CASES, expected, message

from gradwire.errors import ConfigError, WireError
from gradwire.payload import Payload, ValueFormat, dtype_of, to_format
from gradwire.wire import (
    HEADER_BYTES,
    Expected,
    Kind,
    Message,
    decode,
    decode_payload,
    encode,
    encode_payload,
    largest_message,
)

GOLDEN = Path(__file__).parents[1] / "golden"
fuzzed = settings(max_examples=300, deadline=None)


def assert_same_message(got: Message, sent: Message) -> None:
    assert (got.kind, got.agreement, got.step, got.load) == (
        sent.kind,
        sent.agreement,
        sent.step,
        sent.load,
    )
    for name in ("indices", "values", "dense"):
        assert_same_bits(getattr(got, name), getattr(sent, name))


def assert_consistent(got: Message, expects: Expected) -> None:
    """Whatever was decoded may be used without looking at it."""
    assert got.indices.dtype == np.uint32 and got.values.dtype == np.float32
    assert len(got.indices) == len(got.values) <= expects.max_entries
    assert len(got.dense) == expects.dense_count
    assert got.dense.dtype == dtype_of(expects.dense_format)
    relative = got.indices.astype(np.int64) - expects.begin
    assert np.all(np.diff(relative) > 0)
    assert not len(relative) or (relative[0] >= 0 and relative[-1] < expects.length)
    assert (got.kind, got.agreement) == (expects.kind, expects.agreement)


def survives(data: np.ndarray, expects: Expected) -> bool:
    """Decode hostile bytes; return whether they were taken for a message."""
    try:
        got = decode(data, expects, sender=3)
    except WireError as error:
        assert "message from rank 3" in str(error) or "decode_indices" in str(error)
        return False
    assert_consistent(got, expects)
    return True


@pytest.mark.parametrize("name", CASES)
def test_pinned_bytes(name: str) -> None:
    """The layout is a promise; the files were written from docs/wire-format.md alone."""
    sent, begin, length = CASES[name]
    pinned = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert encode(sent, begin, length).tobytes() == pinned
    data = np.frombuffer(pinned, np.uint8)
    assert_same_message(decode(data, expected(sent, begin, length), 0), sent)


@pytest.mark.parametrize("name", CASES)
def test_every_truncation_and_extension(name: str) -> None:
    sent, begin, length = CASES[name]
    data, expects = encode(sent, begin, length), expected(sent, begin, length)
    for size in range(len(data)):
        assert not survives(data[:size], expects)
    for more in (1, 2, 4, 8, 1000):
        assert not survives(np.concatenate([data, np.zeros(more, np.uint8)]), expects)


@pytest.mark.parametrize("name", CASES)
def test_every_bit_flip(name: str) -> None:
    sent, begin, length = CASES[name]
    data, expects = encode(sent, begin, length), expected(sent, begin, length)
    before = data.copy()
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        taken = survives(data, expects)
        # All of the header is checked but the load; the codec is the sender's choice.
        if bit < 8 * 28 and bit // 8 != 4:
            assert not taken, f"bit {bit} of the header"
        data[bit // 8] ^= 1 << bit % 8
    assert_same_bits(data, before)


@fuzzed
@given(st.sampled_from(sorted(CASES)), st.data())
def test_random_damage(name: str, draw: st.DataObject) -> None:
    sent, begin, length = CASES[name]
    data, expects = encode(sent, begin, length), expected(sent, begin, length)
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    survives(data, dataclasses.replace(expects, max_entries=min(length, 2**20)))


@fuzzed
@given(st.sampled_from(sorted(CASES)), st.integers(24, 31), st.binary(max_size=300), st.data())
def test_hostile_counts(name: str, at: int, rest: bytes, draw: st.DataObject) -> None:
    """Counts decide about sizes: huge ones must not be believed, or allocated for."""
    sent, begin, length = CASES[name]
    header = bytearray(encode(sent, begin, length)[:HEADER_BYTES].tobytes())
    huge = draw.draw(st.sampled_from([2**32 - 1, 2**31, 2**30, 2**24, 100, 1, 0]))
    struct.pack_into("<I", header, 20, huge)
    if at % 2:
        struct.pack_into("<I", header, 24, huge)
    data = np.frombuffer(bytes(header) + rest, np.uint8)
    expects = expected(sent, begin, length, max_entries=2**32 - 1)
    if at % 2:
        expects = dataclasses.replace(expects, dense_count=huge)
    survives(data, expects)


def test_payload_bytes_must_be_contiguous() -> None:
    data = encode_payload(Payload(dense=np.ones(3, np.float32)))
    strided = np.repeat(data, 2)[::2]
    for given_bytes in (strided, memoryview(strided), "text"):
        with pytest.raises(ConfigError, match="expected contiguous bytes"):
            decode_payload(given_bytes)
    for given_bytes in (bytes(data), bytearray(data), memoryview(data), data.reshape(2, -1)):
        assert decode_payload(given_bytes).dense.tolist() == [1.0, 1.0, 1.0]


@fuzzed
@given(st.binary(max_size=400))
def test_noise_is_no_payload(noise: bytes) -> None:
    with pytest.raises(WireError):
        decode_payload(np.frombuffer(noise, np.uint8))


@fuzzed
@given(
    st.sampled_from(ValueFormat),
    st.integers(0, 40),
    st.integers(0, 300_000),
    st.integers(0, 60),
    st.integers(0, 2**32 - 1),
)
def test_payload_round_trip(
    value_format: ValueFormat, dense: int, numel: int, count: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    count = min(count, numel)
    indices = np.sort(generator.choice(numel, count, replace=False)).astype(np.uint32)
    values = generator.integers(0, 2**32, count, np.uint32).view(np.float32)
    parts = to_format(generator.standard_normal(dense).astype(np.float32), value_format)
    payload = Payload(numel, indices, values, parts, budget=count)
    data = encode_payload(payload)
    assert len(data) == HEADER_BYTES + 4 * count + parts.nbytes + min(
        4 * count, 4 * -(-numel // 65536) + 2 * count
    )
    assert len(data) <= largest_message(count, dense, value_format)
    for form in (data, data.tobytes(), memoryview(data)):
        got = decode_payload(form)
        assert got.numel == numel
        for name in ("indices", "values", "dense"):
            assert_same_bits(getattr(got, name), getattr(payload, name))


@fuzzed
@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.data())
def test_damaged_payloads(seed: int, count: int, draw: st.DataObject) -> None:
    generator = np.random.default_rng(seed)
    indices = np.sort(generator.choice(5000, count, replace=False)).astype(np.uint32)
    payload = Payload(5000, indices, np.ones(count, np.float32), budget=count)
    data = encode_payload(payload)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        got = decode_payload(data)
    except WireError:
        return
    assert len(got.indices) <= got.numel and encode_payload(got).nbytes <= len(data)
    assert np.all(np.diff(got.indices.astype(np.int64)) > 0)
    assert not len(got.indices) or got.indices[-1] < got.numel


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": Kind.PAYLOAD}, "kind should be 0, got 1"),
        ({"agreement": 1}, "agreement should be 1"),
        ({"step": 8}, "step should be 8, got 7"),
        ({"length": 8}, "region length should be 8, got 7"),
        ({"dense_format": ValueFormat.BFLOAT16}, "dense value format should be 2, got 1"),
        ({"dense_count": 4}, "number of dense values should be 4, got 3"),
        ({"max_entries": 1}, "at most 1 entries expected, got 2"),
    ],
)
def test_unexpected_messages_are_named(change: dict, complaint: str) -> None:
    sent, begin, length = CASES["both"]
    with pytest.raises(WireError, match=f"message from rank 5: {complaint}"):
        expects = dataclasses.replace(expected(sent, begin, length), **change)
        decode(encode(sent, begin, length), expects, sender=5)


@pytest.mark.parametrize("codec", [0, 1])
def test_indices_must_increase_and_lie_in_the_region(codec: int) -> None:
    """In either codec, which the sender chose."""
    sent, begin, length = message([4, 9, 11]), 4, 50
    expects = expected(sent, begin, length)
    for relative, good in (
        ([0, 5, 7], True),
        ([0, 0, 7], False),
        ([5, 0, 7], False),
        ([0, 5, 50], False),
        ([0, 5, 65_535], False),
    ):
        indices = struct.pack("<3I", *relative)
        if codec:
            indices = struct.pack("<I3H", 3, *relative)
        data = encode(sent, begin, length)[: HEADER_BYTES + 12].tobytes() + indices
        hostile = np.frombuffer(data, np.uint8).copy()
        hostile[4] = codec
        assert survives(hostile, expects) == good


def test_steps_wrap_around() -> None:
    sent = dataclasses.replace(message([1]), step=2**32 + 3)
    data = encode(sent, 0, 5)
    assert decode(data, expected(sent, 0, 5), 0).step == 3


@pytest.mark.parametrize("begin", [1, 3, 5])
def test_own_indices_outside_the_region_are_refused(begin: int) -> None:
    with pytest.raises(ConfigError):
        encode(message([0, 4]), begin, 4)


def test_unaligned_bytes() -> None:
    """Parts of odd length put what follows at odd addresses."""
    for name, (sent, begin, length) in CASES.items():
        data = encode(sent, begin, length)
        for shift in range(1, 5):
            moved = np.empty(len(data) + shift, np.uint8)[shift:]
            moved[:] = data
            assert_same_message(decode(moved, expected(sent, begin, length), 0), sent)
        assert name
