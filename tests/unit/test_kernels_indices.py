"""bfloat16 and the wire forms of indices, hostile bytes included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, quick, subset, vectors

from gradwire import kernels
from gradwire.errors import ConfigError, WireError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

FIXED = ("u32", "tile16", "bitmap")
STREAMS = ("rice", "elias_gamma", "elias_delta")
CODECS = (*FIXED, *STREAMS)
TILE = 65_536


@quick
@given(vectors())
def test_bfloat16_equals_specification(x):
    bits = kernels.to_bfloat16(x)
    assert_same_bits(bits, reference.to_bfloat16(x))
    assert_same_bits(kernels.from_bfloat16(bits), reference.from_bfloat16(bits))


def test_bfloat16_rounds_to_nearest_even():
    cases = {
        0x3F808000: 0x3F80,  # half way, even below
        0x3F818000: 0x3F82,  # half way, even above
        0x3F808001: 0x3F81,
        0x7F7FFFFF: 0x7F80,  # the largest number becomes infinity
        0x7F800001: 0x7FC0,  # a NaN whose payload would be cut off stays NaN
        0x80000001: 0x8000,
    }
    x = np.array(list(cases), np.uint32).view(np.float32)
    assert kernels.to_bfloat16(x).tolist() == list(cases.values())


def test_every_bfloat16_survives_the_round_trip():
    bits = np.arange(2**16, dtype=np.uint16)
    quiet = np.isnan(reference.from_bfloat16(bits))
    again = kernels.to_bfloat16(kernels.from_bfloat16(bits))
    assert_same_bits(again[~quiet], bits[~quiet])
    assert np.isnan(kernels.from_bfloat16(again[quiet])).all()


def test_bfloat16_agrees_with_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).integers(0, 2**32, 10_000, np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    theirs = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert_same_bits(kernels.to_bfloat16(x), theirs)


@quick
@given(
    st.sampled_from(CODECS),
    st.sampled_from([0, 1, 300, TILE - 1, TILE, TILE + 1, 3 * TILE + 5]),
    st.sampled_from([0, 1, 12_345, 2**32 - 4 * TILE]),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_indices_round_trip_and_equal_specification(codec, length, begin, density, seed):
    indices = (subset(length, int(density * length), seed) + begin).astype(np.uint32)
    data = kernels.encode_indices(indices, begin, length, codec)
    assert_same_bits(data, reference.encode_indices(indices, begin, length, codec))
    assert data.size <= kernels.max_encoded_size(indices.size, length, codec)
    if codec in FIXED:
        assert data.size == kernels.encoded_size(indices.size, length, codec)
        assert data.size == reference.encoded_size(indices.size, length, codec)
    decoded = kernels.decode_indices(data, indices.size, begin, length, codec)
    assert_same_bits(decoded, indices)
    assert_same_bits(decoded, reference.decode_indices(data, indices.size, begin, length, codec))
    from_bytes = kernels.decode_indices(data.tobytes(), indices.size, begin, length, codec)
    assert_same_bits(from_bytes, indices)


def test_wire_bytes_are_these():
    indices = np.array([5, 65_540, 65_541], np.uint32)
    u32 = kernels.encode_indices(indices, 4, 100_000, "u32")
    assert u32.tobytes().hex() == "010000000000010001000100"
    tile16 = kernels.encode_indices(indices, 4, 100_000, "tile16")
    assert tile16.tobytes().hex() == "0100000002000000010000000100"


def words(*values: int, size: int = 4) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value in values)


HOSTILE = {
    "u32 truncated": ("u32", 2, words(1, 2)[:-1], "take 8 bytes, got 7"),
    "u32 oversized": ("u32", 2, words(1, 2, 3), "take 8 bytes, got 12"),
    "u32 falling": ("u32", 2, words(2, 1), "increasing"),
    "u32 repeated": ("u32", 2, words(2, 2), "increasing"),
    "u32 beyond": ("u32", 2, words(2, 70_000), "inside"),
    "u32 far beyond": ("u32", 2, words(2, 2**32 - 1), "inside"),
    "tile16 truncated": ("tile16", 2, words(1, 1) + words(0, size=2), "take 12 bytes, got 10"),
    "tile16 no counts": ("tile16", 0, b"", "take 8 bytes, got 0"),
    "tile16 few": ("tile16", 2, words(1, 0) + words(0, 1, size=2), "add up"),
    "tile16 many": ("tile16", 2, words(2, 1) + words(0, 1, size=2), "add up"),
    "tile16 wrapping": ("tile16", 2, words(2**32 - 1, 3) + words(0, 1, size=2), "add up"),
    "tile16 falling": ("tile16", 2, words(2, 0) + words(1, 0, size=2), "increasing"),
    "tile16 repeated": ("tile16", 2, words(2, 0) + words(1, 1, size=2), "increasing"),
    "tile16 beyond": ("tile16", 2, words(1, 1) + words(1, 70_000 - TILE, size=2), "inside"),
}


@pytest.mark.parametrize(("codec", "count", "data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_messages_are_refused(codec, count, data, message):
    out = np.full(count + 2, 7, np.uint32)
    with pytest.raises(WireError, match=message):
        kernels.decode_indices(data, count, 100, 70_000, codec, out[1:-1])
    assert out[[0, -1]].tolist() == [7, 7]


@quick
@given(st.sampled_from(CODECS), st.binary(max_size=64), st.integers(0, 40), st.data())
def test_random_bytes_decode_to_valid_indices_or_are_refused(codec, data, count, more):
    length = more.draw(st.sampled_from([0, 1, 200, TILE, 2 * TILE + 3, 2**32]))
    out = np.full(count + 2, 7, np.uint32)
    try:
        indices = kernels.decode_indices(data, count, 0, length, codec, out[1:-1])
    except WireError:
        pass
    else:
        # What was accepted is the one encoding of valid indices.
        assert kernels.encode_indices(indices, 0, length, codec).tobytes() == data
    assert out[[0, -1]].tolist() == [7, 7]


@quick
@given(st.sampled_from(CODECS), st.integers(0, 2**32 - 1), st.data())
def test_any_changed_byte_is_refused_or_decodes_validly(codec, seed, more):
    indices = subset(2 * TILE, 20, seed)
    data = kernels.encode_indices(indices, 0, 2 * TILE, codec)
    place = more.draw(st.integers(0, data.size - 1))
    data[place] ^= more.draw(st.integers(1, 255))
    try:
        decoded = kernels.decode_indices(data, 20, 0, 2 * TILE, codec)
    except WireError:
        return
    assert decoded.tolist() == sorted(set(decoded.tolist()))
    assert decoded[-1] < 2 * TILE
    assert not np.array_equal(decoded, indices)


def test_a_hostile_count_allocates_nothing():
    with pytest.raises(WireError, match="take 17179869180 bytes, got 4"):
        kernels.decode_indices(b"\0\0\0\0", 2**32 - 1, 0, 2**32, "u32")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("indices", [[3, 3], [9, 20], [10, 30]])
def test_encoding_refuses_indices_that_could_not_be_decoded(codec, indices):
    out = np.full(64, 7, np.uint8)
    with pytest.raises(ConfigError, match="encode_indices: indices must"):
        kernels.encode_indices(np.array(indices, np.uint32), 10, 20, codec, out)
    assert (out == 7).all()


def test_ranges_and_codecs_are_checked():
    nothing = np.empty(0, np.uint32)
    with pytest.raises(ConfigError, match="length must be in"):
        kernels.encode_indices(nothing, 2**32 - 1, 2, "u32")
    with pytest.raises(
        ConfigError, match=r"codec must be one of u32, tile16, .*, elias_delta, got 'u16'"
    ):
        kernels.encoded_size(1, 1, "u16")
