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
from gradwire.index_codecs import CODECS, U32, choose_codec
from gradwire.payload import Payload
from gradwire.values import (
    BFLOAT16,
    FLOAT16,
    NAMED_FORMATS,
    Sign,
    Uniform,
    ValueFormat,
    format_on_wire,
    plain,
)
from gradwire.wire import (
    HEADER_BYTES,
    Expected,
    Kind,
    Message,
    decode,
    decode_payload,
    encode,
    encode_payload,
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
    assert_same_bits(got.indices, sent.indices)
    assert_same_bits(got.tail, sent.tail)
    for name in ("values", "dense"):
        encoded = getattr(got, name)
        assert encoded.format == getattr(sent, name).format
        assert_same_bits(encoded.data, getattr(sent, name).data)


CODEC_OF = {codec.name: codec for codec in CODECS}


def encoded(name: str) -> np.ndarray:
    sent, begin, length, codec = CASES[name]
    return encode(sent, begin, length, CODEC_OF[codec])


def expects_of(name: str, max_entries: int | None = None) -> Expected:
    sent, begin, length, _ = CASES[name]
    return expected(sent, begin, length, max_entries)


def assert_consistent(got: Message, expects: Expected) -> None:
    """Whatever was decoded may be used without looking at it."""
    assert got.indices.dtype == np.uint32 and got.tail.dtype == np.float32
    assert len(got.indices) == len(got.values) <= expects.max_entries
    assert len(got.dense) == expects.dense_count == len(got.dense.decode())
    assert len(got.tail) == expects.tail_count
    assert len(got.values.decode()) == len(got.indices)
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
    pinned = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert encoded(name).tobytes() == pinned
    data = np.frombuffer(pinned, np.uint8)
    assert_same_message(decode(data, expects_of(name), 0), CASES[name][0])


@pytest.mark.parametrize("name", CASES)
def test_every_truncation_and_extension(name: str) -> None:
    data, expects = encoded(name), expects_of(name)
    for size in range(len(data)):
        assert not survives(data[:size], expects)
    for more in (1, 2, 4, 8, 1000):
        assert not survives(np.concatenate([data, np.zeros(more, np.uint8)]), expects)


@pytest.mark.parametrize("name", CASES)
def test_every_bit_flip(name: str) -> None:
    data, expects = encoded(name), expects_of(name)
    before = data.copy()
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        taken = survives(data, expects)
        # All of the header is checked but the load of sums; the codec is the sender's choice.
        load = bit // 8 in (32, 33, 34, 35) and expects.kind is Kind.GATHER
        if bit < 8 * HEADER_BYTES and bit // 8 != 4 and not load:
            assert not taken, f"bit {bit} of the header"
        data[bit // 8] ^= 1 << bit % 8
    assert_same_bits(data, before)


@fuzzed
@given(st.sampled_from(sorted(CASES)), st.data())
def test_random_damage(name: str, draw: st.DataObject) -> None:
    data, expects = encoded(name), expects_of(name)
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    survives(data, dataclasses.replace(expects, max_entries=min(expects.length, 2**20)))


@fuzzed
@given(st.sampled_from(sorted(CASES)), st.booleans(), st.binary(max_size=300), st.data())
def test_hostile_counts(name: str, dense: bool, rest: bytes, draw: st.DataObject) -> None:
    """Counts decide about sizes: huge ones must not be believed, or allocated for."""
    header = bytearray(encoded(name)[:HEADER_BYTES].tobytes())
    huge = draw.draw(st.sampled_from([2**32 - 1, 2**31, 2**30, 2**24, 100, 1, 0]))
    struct.pack_into("<I", header, 20, huge)
    if dense:
        struct.pack_into("<I", header, 24, huge)
    data = np.frombuffer(bytes(header) + rest, np.uint8)
    expects = expects_of(name, max_entries=2**32 - 1)
    if dense:
        expects = dataclasses.replace(expects, dense_count=huge)
    survives(data, expects)


def test_payload_bytes_must_be_contiguous() -> None:
    data = encode_payload(Payload(dense=plain(np.ones(3, np.float32))))
    strided = np.repeat(data, 2)[::2]
    for given_bytes in (strided, memoryview(strided), "text"):
        with pytest.raises(ConfigError, match="expected contiguous bytes"):
            decode_payload(given_bytes)
    for given_bytes in (bytes(data), bytearray(data), memoryview(data), data.reshape(2, -1)):
        assert decode_payload(given_bytes).dense.decode().tolist() == [1.0, 1.0, 1.0]


@fuzzed
@given(st.binary(max_size=400))
def test_noise_is_no_payload(noise: bytes) -> None:
    with pytest.raises(WireError):
        decode_payload(np.frombuffer(noise, np.uint8))


FORMATS = [*NAMED_FORMATS.values(), Uniform(5, 48, "l2"), Uniform(1, 0, "minmax"), Sign(0)]


@fuzzed
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(FORMATS),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(0, 300_000),
    st.integers(0, 60),
    st.integers(0, 2**32 - 1),
)
def test_payload_round_trip(
    value_format: ValueFormat,
    dense_format: ValueFormat,
    dense: int,
    tail: int,
    numel: int,
    count: int,
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    count = min(count, numel)
    indices = np.sort(generator.choice(numel, count, replace=False)).astype(np.uint32)
    values = generator.integers(0, 2**32, count, np.uint32).view(np.float32)
    parts = dense_format.encode(generator.standard_normal(dense).astype(np.float32))
    ends = generator.standard_normal(tail).astype(np.float32)
    payload = Payload(numel, indices, values, parts, count, value_format, ends)
    data = encode_payload(payload)
    most = value_format.nbytes(count) + 4 * count + parts.nbytes + 4 * tail
    assert len(data) <= HEADER_BYTES + most
    for form in (data, data.tobytes(), memoryview(data)):
        got = decode_payload(form)
        assert got.numel == numel and got.dense.format == dense_format
        assert_same_bits(got.indices, indices)
        assert_same_bits(got.values, payload.received().values)
        assert_same_bits(got.dense.data, parts.data)
        assert_same_bits(got.tail, ends)


@pytest.mark.parametrize("value_format", FORMATS)
def test_formats_are_told_by_the_message(value_format: ValueFormat) -> None:
    assert format_on_wire(*value_format.on_wire) == value_format


@fuzzed
@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_unknown_formats(code: int, parameters: int) -> None:
    try:
        found = format_on_wire(code, parameters)
    except WireError as error:
        assert f"value format {code}" in str(error)
        return
    assert found.on_wire == (code, parameters)


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
    assert len(got.indices) <= got.numel
    assert np.all(np.diff(got.indices.astype(np.int64)) > 0)
    assert not len(got.indices) or got.indices[-1] < got.numel


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": Kind.PAYLOAD}, "kind should be 0, got 1"),
        ({"agreement": 1}, "agreement should be 1"),
        ({"step": 8}, "step should be 8, got 7"),
        ({"length": 8}, "region length should be 8, got 7"),
        ({"dense_format": BFLOAT16}, r"dense value format should be \(2, 0\), got \(1, 0\)"),
        ({"dense_format": Uniform(4, 16)}, "dense value format should be .3, 260., got .1, 0."),
        ({"value_format": FLOAT16}, "value format should be .1, 0., got .0, 0."),
        ({"tail_count": 3}, "length of the tail should be 3, got 2"),
        ({"dense_count": 4}, "number of dense values should be 4, got 3"),
        ({"max_entries": 1}, "at most 1 entries expected, got 2"),
    ],
)
def test_unexpected_messages_are_named(change: dict, complaint: str) -> None:
    with pytest.raises(WireError, match=f"message from rank 5: {complaint}"):
        decode(encoded("both"), dataclasses.replace(expects_of("both"), **change), sender=5)


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
        data = encode(sent, begin, length, U32)[: HEADER_BYTES + 12].tobytes() + indices
        hostile = np.frombuffer(data, np.uint8).copy()
        hostile[4] = codec
        assert survives(hostile, expects) == good


def test_steps_wrap_around() -> None:
    sent = dataclasses.replace(message([1]), step=2**32 + 3)
    data = encode(sent, 0, 5, U32)
    assert decode(data, expected(sent, 0, 5), 0).step == 3


@pytest.mark.parametrize("begin", [1, 3, 5])
def test_own_indices_outside_the_region_are_refused(begin: int) -> None:
    with pytest.raises(ConfigError):
        encode(message([0, 4]), begin, 4, U32)


def test_unaligned_bytes() -> None:
    """Parts of odd length put what follows at odd addresses."""
    for name, (sent, *_) in CASES.items():
        data = encoded(name)
        for shift in range(1, 5):
            moved = np.empty(len(data) + shift, np.uint8)[shift:]
            moved[:] = data
            assert_same_message(decode(moved, expects_of(name), 0), sent)


@pytest.mark.parametrize(
    ("count", "length", "byte_seconds", "name"),
    [
        (0, 0, 8e-9, "u32"),
        (1000, 1000, 8e-9, "all"),
        (900, 1000, 8e-9, "bitmap"),
        (250_000, 25_000_000, 8e-9, "rice"),
        (250_000, 25_000_000, 8e-8, "rice"),
        (250_000, 25_000_000, 1e-10, "u32"),
        (250_000, 25_000_000, 1e-9, "tile16"),
    ],
)
def test_codec_that_is_through_first(
    count: int, length: int, byte_seconds: float, name: str
) -> None:
    assert choose_codec(count, length, byte_seconds).name == name


@fuzzed
@given(st.integers(0, 2**20), st.integers(0, 2**32 - 1), st.floats(0, 1e-6))
def test_no_codec_is_longer_than_u32(count: int, length: int, byte_seconds: float) -> None:
    count = min(count, length)
    assert choose_codec(count, length, byte_seconds).largest(count, length) <= 4 * count
