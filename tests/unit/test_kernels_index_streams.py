"""The index codecs whose size depends on the indices, and bitmaps: bytes, sizes, hostile input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, quick, subset

from gradwire import kernels
from gradwire.errors import ConfigError, WireError
from gradwire.kernels import native, reference

pytestmark = pytest.mark.usefixtures("each_isa")

STREAMS = ("rice", "elias_gamma", "elias_delta")
WORD = 2**32

# codec, indices, begin, length, bytes
GOLDEN = {
    # Gaps 0, 2, 0, 7. Rice, r = 1: 10000 10 010 10 00011; gamma: 1 011 1 0001000;
    # delta: 1 0101 1 00100000, the first bit being the lowest of the first byte.
    "bitmap": ("bitmap", [10, 13, 14, 22], 10, 20, "191000"),
    "rice": ("rice", [10, 13, 14, 22], 10, 20, "218501"),
    "gamma": ("elias_gamma", [10, 13, 14, 22], 10, 20, "1d01"),
    "delta": ("elias_delta", [10, 13, 14, 22], 10, 20, "3501"),
    # The largest gap there is.
    "rice, last": ("rice", [WORD - 1], 0, WORD, "dfffffff3f"),
    "gamma, last": ("elias_gamma", [WORD - 1], 0, WORD, "000000000100000000"),
    "delta, last": ("elias_delta", [WORD - 1], 0, WORD, "600000000000"),
    # Nothing between the indices: a bit each, and a byte for those that are not there.
    "bitmap, all": ("bitmap", list(range(9)), 0, 9, "ff01"),
    "rice, all": ("rice", list(range(9)), 0, 9, "e03f"),
    "gamma, all": ("elias_gamma", list(range(9)), 0, 9, "ff01"),
    "delta, all": ("elias_delta", list(range(9)), 0, 9, "ff01"),
    # Nothing at all.
    "bitmap, none": ("bitmap", [], 3, 17, "000000"),
    "rice, none": ("rice", [], 3, 17, ""),
    "gamma, none": ("elias_gamma", [], 3, 17, ""),
    "delta, none": ("elias_delta", [], 3, 17, ""),
}


@pytest.mark.parametrize(
    ("codec", "indices", "begin", "length", "data"), GOLDEN.values(), ids=GOLDEN
)
def test_wire_bytes_are_these(codec, indices, begin, length, data):
    places = np.array(indices, np.uint32)
    assert kernels.encode_indices(places, begin, length, codec).tobytes().hex() == data
    if codec != "bitmap" or length < WORD:
        assert reference.encode_indices(places, begin, length, codec).tobytes().hex() == data
    decoded = kernels.decode_indices(bytes.fromhex(data), len(indices), begin, length, codec)
    assert decoded.tolist() == indices


def skewed(length: int, count: int, seed: int) -> np.ndarray:
    """Return clusters of indices far from each other: gaps that no one parameter fits."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, length, max(count // 8, 1))
    indices = (starts[:, None] + np.arange(8) * rng.integers(1, 4)).reshape(-1)
    return np.unique(indices[indices < length])[:count].astype(np.uint32)


@quick
@given(
    st.sampled_from((*STREAMS, "bitmap")),
    st.sampled_from([1, 63, 64, 65, 1000, 65_537, 300_000]) | st.integers(1, 3000),
    st.integers(0, 2000),
    st.sampled_from([0, 7]),
    st.integers(0, 2**32 - 1),
)
def test_skewed_indices_round_trip_and_equal_specification(codec, length, count, begin, seed):
    indices = (skewed(length, count, seed) + begin).astype(np.uint32)
    data = kernels.encode_indices(indices, begin, length, codec)
    assert_same_bits(data, reference.encode_indices(indices, begin, length, codec))
    assert data.size <= kernels.max_encoded_size(indices.size, length, codec)
    memory = np.full(indices.size + 64, 7, np.uint32)
    out = memory[32 : 32 + indices.size]
    assert_same_bits(kernels.decode_indices(data, indices.size, begin, length, codec, out), indices)
    assert (memory[:32] == 7).all() and (memory[32 + indices.size :] == 7).all()
    assert_same_bits(reference.decode_indices(data, indices.size, begin, length, codec), indices)


@pytest.mark.parametrize("codec", STREAMS)
def test_the_written_part_is_all_that_counts(codec):
    indices = subset(5000, 50, 3)
    size = kernels.max_encoded_size(50, 5000, codec)
    memory = np.full(size + 64, 7, np.uint8)
    data = kernels.encode_indices(indices, 0, 5000, codec, memory[32 : 32 + size])
    assert_same_bits(data, kernels.encode_indices(indices, 0, 5000, codec))
    assert (memory[:32] == 7).all() and (memory[32 + size :] == 7).all()
    with pytest.raises(ConfigError, match=f"out must have at least {size}"):
        kernels.encode_indices(indices, 0, 5000, codec, memory[: size - 1])


# ---- sizes ----


def entropy(density: float) -> float:
    """Return the bits per chosen position of independent choices."""
    bits = [-share * np.log2(share) for share in (density, 1 - density)]
    return float(sum(bits) / density)


@pytest.mark.parametrize(("density", "excess"), [(0.001, 1.03), (0.01, 1.02), (0.1, 1.03)])
def test_rice_is_close_to_the_entropy(density, excess):
    length = 1_000_000
    indices = np.flatnonzero(np.random.default_rng(5).random(length) < density).astype(np.uint32)
    data = kernels.encode_indices(indices, 0, length, "rice")
    assert 8 * data.size <= excess * entropy(density) * indices.size
    assert 8 * data.size >= 0.97 * entropy(density) * indices.size


@quick
@given(st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 2**32 - 1))
def test_elias_sizes_are_the_formula(length, count, seed):
    indices = skewed(length, count, seed)
    values = np.diff(indices.astype(np.int64), prepend=-1)
    logs = np.array([int(value).bit_length() - 1 for value in values], np.int64)
    gamma = int((2 * logs + 1).sum())
    assert kernels.encode_indices(indices, 0, length, "elias_gamma").size == -(-gamma // 8)
    logs_of_logs = np.array([int(log + 1).bit_length() - 1 for log in logs], np.int64)
    delta = int((logs + 2 * logs_of_logs + 1).sum())
    assert kernels.encode_indices(indices, 0, length, "elias_delta").size == -(-delta // 8)


@pytest.mark.parametrize("codec", STREAMS)
def test_max_encoded_size_of_small_ranges_is_the_largest_there_is(codec):
    for length in range(1, 13):
        sizes: dict[int, int] = {}
        for chosen in range(2**length):
            indices = np.flatnonzero(np.array([chosen >> i & 1 for i in range(length)]))
            data = kernels.encode_indices(indices.astype(np.uint32), 0, length, codec)
            sizes[indices.size] = max(sizes.get(indices.size, 0), data.size)
        bounds = {count: kernels.max_encoded_size(count, length, codec) for count in sizes}
        slack = [bounds[count] - size for count, size in sizes.items()]
        assert min(slack) >= 0
        assert max(slack) <= {"elias_gamma": 0, "elias_delta": 1, "rice": 5}[codec]


@quick
@given(st.integers(1, WORD), st.floats(0, 1))
def test_rice_never_explodes(length, density):
    count = min(int(density * length), WORD - 1)
    size = kernels.max_encoded_size(count, length, "rice")
    log = int(1 + (length - count) // max(count, 1)).bit_length() - 1
    assert 8 * size <= count * (log + 4) + 5 * -(-count // 1024) + 7
    assert size <= 4.375 * count + 1


def clusters(count: int, length: int, seed: int) -> np.ndarray:
    """Return positions of which most lie in a few dense stretches."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet([0.3] * 9)
    edges = np.linspace(0, length, 10).astype(np.int64)
    parts = [
        rng.choice(edges[i + 1] - edges[i], min(int(part * count), edges[i + 1] - edges[i]), False)
        + edges[i]
        for i, part in enumerate(share)
    ]
    return np.sort(np.concatenate(parts)).astype(np.uint32)


@pytest.mark.parametrize("seed", range(5))
def test_rice_follows_a_density_that_changes(seed):
    """Each stretch takes little more than it would alone, with the code of its own density."""
    length = 900_000
    indices = clusters(30_000, length, seed)
    data = kernels.encode_indices(indices, 0, length, "rice")
    assert_same_bits(data, reference.encode_indices(indices, 0, length, "rice"))
    assert_same_bits(kernels.decode_indices(data, indices.size, 0, length, "rice"), indices)
    assert_same_bits(reference.decode_indices(data, indices.size, 0, length, "rice"), indices)
    assert data.size <= kernels.max_encoded_size(indices.size, length, "rice")
    alone = 0
    for begin in range(0, length, length // 9):
        inside = indices[(indices >= begin) & (indices < begin + length // 9)]
        if inside.size:
            density = inside.size / (length // 9)
            alone += entropy(min(density, 0.999)) * inside.size
    assert 8 * data.size <= 1.09 * alone + 9 * 64


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2048, 2049, 5000])
def test_rice_blocks(count):
    """Every block has a density of its own, whatever is left for the last one."""
    gaps = np.repeat([0, 1000, 3, 50_000, 1], 1024)[:count]
    indices = (np.cumsum(gaps + 1) - 1).astype(np.uint32)
    length = int(indices[-1]) + 1
    for begin in (0, WORD - length):
        places = (indices + begin).astype(np.uint32)
        data = kernels.encode_indices(places, begin, length, "rice")
        assert_same_bits(data, reference.encode_indices(places, begin, length, "rice"))
        assert_same_bits(kernels.decode_indices(data, count, begin, length, "rice"), places)


@pytest.mark.parametrize("codec", STREAMS)
@pytest.mark.parametrize("far", [(0,), (1023,), (1024,), (700, 701, 1023, 1024, 2047, 2999)])
def test_a_few_gaps_are_very_long(codec, far):
    """Among neighbours: Rice code has thousands of zeros in a row then."""
    gaps = np.zeros(3000, np.int64)
    gaps[list(far)] = 3_000_000
    indices = (np.cumsum(gaps + 1) - 1).astype(np.uint32)
    length = int(indices[-1]) + 1
    data = kernels.encode_indices(indices, 0, length, codec)
    assert_same_bits(data, reference.encode_indices(indices, 0, length, codec))
    assert_same_bits(kernels.decode_indices(data, 3000, 0, length, codec), indices)


@pytest.mark.parametrize("codec", ("u32", "tile16", "bitmap", *STREAMS))
@pytest.mark.parametrize("offset", [1, 2, 3, 4, 9])
def test_messages_begin_at_any_byte(codec, offset):
    length = 140_000
    indices = (subset(length, 5000, offset) + 77).astype(np.uint32)
    expected = reference.encode_indices(indices, 77, length, codec)
    size = kernels.max_encoded_size(5000, length, codec)
    memory = np.full(size + 32, 7, np.uint8)
    shifted = np.empty(5000 + offset, np.uint32)[offset:]
    shifted[:] = indices
    data = kernels.encode_indices(shifted, 77, length, codec, memory[offset : offset + size])
    assert_same_bits(data, expected)
    assert (memory[:offset] == 7).all() and (memory[offset + size :] == 7).all()
    room = np.full(5000 + 16, 7, np.uint32)
    out = room[offset : offset + 5000]
    assert_same_bits(kernels.decode_indices(data, 5000, 77, length, codec, out), indices)
    assert (room[:offset] == 7).all() and (room[offset + 5000 :] == 7).all()


@pytest.mark.parametrize("r", [0, 2, 31])
def test_rice_parameters_are_those_of_the_gaps(r):
    """Gaps 0, 2, 0, 7 with another r than theirs: one set of indices has one message."""
    bits = [r >> j & 1 for j in range(5)]
    for gap in (0, 2, 0, 7):
        bits += [0] * (gap >> r) + [1] + [gap >> j & 1 for j in range(r)]
    data = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
    with pytest.raises(WireError, match="parameter of a block must be that of its gaps"):
        kernels.decode_indices(data, 4, 10, 2**32 - 10, "rice")


def test_a_wrong_parameter_is_named_before_what_follows_it():
    """1024 gaps of 0 with r = 1, then nothing but zeros where another block should be."""
    bits = np.array([1, 0, 0, 0, 0] + [1, 0] * 1024 + [0] * 35, np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    with pytest.raises(WireError, match="parameter of a block must be that of its gaps"):
        kernels.decode_indices(data, 1025, 0, 10**6, "rice")


def test_two_faults_of_a_later_block_are_refused():
    """1024 gaps of 0 with r = 0; then 0 and 9 with r = 5, of which 9 may leave the range."""
    bits = [0] * 5 + [1] * 1024 + [1, 0, 1, 0, 0] + [1, 0, 0, 0, 0, 0] + [1, 1, 0, 0, 1, 0]
    data = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
    for length, words in ((1030, "lie inside the range"), (10**6, "parameter of a block")):
        with pytest.raises(WireError, match=words):
            kernels.decode_indices(data, 1026, 0, length, "rice")


def test_encoded_size_is_for_fixed_sizes():
    assert kernels.encoded_size(5, 17, "bitmap") == kernels.max_encoded_size(5, 17, "bitmap") == 3
    for codec in STREAMS:
        with pytest.raises(ConfigError, match=f"size of {codec} depends on the indices"):
            kernels.encoded_size(5, 17, codec)


# ---- hostile messages ----

# codec, count, length, hex, what the error says. See GOLDEN for the forms.
HOSTILE = {
    "bitmap truncated": ("bitmap", 4, 20, "1910", "take 3 bytes, got 2"),
    "bitmap oversized": ("bitmap", 4, 20, "19100000", "take 3 bytes, got 4"),
    "bitmap padding": ("bitmap", 4, 20, "091010", "must be zero"),
    "bitmap few": ("bitmap", 4, 20, "181000", "add up"),
    "bitmap many": ("bitmap", 4, 20, "1d1000", "add up"),
    "bitmap all ones": ("bitmap", 1, 4096, "ff" * 512, "add up"),
    "rice truncated": ("rice", 4, 20, "2185", "message length"),
    "rice oversized": ("rice", 4, 20, "21850100", "message length"),
    "rice too short": ("rice", 4, 20, "21", "take 2 to 4 bytes, got 1"),
    "rice too long": ("rice", 4, 20, "2185010000", "take 2 to 4 bytes, got 5"),
    "rice padding": ("rice", 4, 20, "218511", "must be zero"),
    "rice no one": ("rice", 2, 1000, "000000", "message length"),
    "rice field beyond the end": ("rice", 1, 400, "27", "message length|parameter of a block"),
    "rice beyond": ("rice", 4, 20, "0000c003", "range"),
    "rice more than the range": ("rice", 21, 20, "ffff1fff", "does not have 21 indices"),
    "rice long zeros": ("rice", 1000, 10**6, "1f" + "00" * 1200, "range"),
    "gamma truncated": ("elias_gamma", 4, 20, "1d", "length"),
    "gamma oversized": ("elias_gamma", 4, 20, "1d0100", "bytes, got 3|length"),
    "gamma padding": ("elias_gamma", 4, 20, "1d11", "must be zero"),
    "gamma beyond": ("elias_gamma", 4, 19, "1d0f", "range"),
    "gamma 33 zeros": ("elias_gamma", 1, WORD, "000000000200000000", "range"),
    "gamma only zeros": ("elias_gamma", 1, WORD, "00" * 9, "range"),
    "gamma 2**32 and more": ("elias_gamma", 1, WORD, "000000000300000000", "range"),
    "delta truncated": ("elias_delta", 4, 20, "35", "length"),
    "delta padding": ("elias_delta", 4, 20, "3541", "must be zero"),
    "delta beyond": ("elias_delta", 4, 19, "3539", "range"),
    "delta six zeros": ("elias_delta", 1, WORD, "400000000000", "range"),
    "delta log 62": ("elias_delta", 1, WORD, "e00700000000", "range"),
}


@pytest.mark.parametrize(
    ("codec", "count", "length", "data", "message"), HOSTILE.values(), ids=HOSTILE
)
def test_hostile_messages_are_refused(codec, count, length, data, message):
    out = np.full(count + 2, 7, np.uint32)
    with pytest.raises(WireError, match=message):
        kernels.decode_indices(bytes.fromhex(data), count, 0, length, codec, out[1:-1])
    assert out[[0, -1]].tolist() == [7, 7]


@pytest.mark.parametrize("codec", STREAMS)
def test_every_truncation_is_refused(codec):
    data = kernels.encode_indices(subset(10**6, 300, 1), 0, 10**6, codec)
    for size in range(data.size):
        with pytest.raises(WireError):
            kernels.decode_indices(data[:size].copy(), 300, 0, 10**6, codec)


@pytest.mark.parametrize("codec", STREAMS)
def test_a_hostile_count_allocates_no_more_than_a_bit_per_index(codec):
    with pytest.raises(WireError, match=r"take .* bytes, got 4"):
        kernels.decode_indices(b"\0\0\0\0", WORD - 1, 0, WORD, codec)
    with pytest.raises(WireError, match=r"take .* bytes, got 4|have 33 indices"):
        kernels.decode_indices(b"\xff" * 4, 33, 0, 32, codec)


@quick
@given(st.sampled_from(STREAMS), st.integers(0, 2**32 - 1), st.data())
def test_changed_bits_are_refused_or_decode_to_other_indices(codec, seed, more):
    length = more.draw(st.sampled_from([300, 5000, 10**6, WORD]))
    indices = np.unique(np.random.default_rng(seed).integers(0, length, 40)).astype(np.uint32)
    data = kernels.encode_indices(indices, 0, length, codec)
    for _ in range(more.draw(st.integers(1, 3))):
        data[more.draw(st.integers(0, data.size - 1))] ^= 1 << more.draw(st.integers(0, 7))
    try:
        decoded = kernels.decode_indices(data, indices.size, 0, length, codec)
    except WireError:
        return
    # What was accepted is the one form of what came out.
    assert_same_bits(kernels.encode_indices(decoded, 0, length, codec), data)


def refusal(data: np.ndarray, count: int, length: int, codec: str) -> str:
    """Return what is said of a message, or nothing if it is accepted."""
    try:
        kernels.decode_indices(data, count, 0, length, codec)
    except WireError as error:
        return str(error)
    return ""


@quick
@given(
    st.sampled_from(("u32", "tile16", "bitmap", *STREAMS)),
    st.sampled_from([5, 200, 3000]),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_the_first_mistake_is_the_one_that_is_named(codec, count, seed, more):
    """As if one index had been read after the other: every instruction set says the same."""
    length = more.draw(st.sampled_from([70_000, 300_000]))
    indices = skewed(length, count, seed)
    data = kernels.encode_indices(indices, 0, length, codec).copy()
    for _ in range(more.draw(st.integers(1, 4))):
        place = more.draw(st.integers(0, data.size - 1))
        end = place + more.draw(st.sampled_from([1, 1, 1, 300, data.size]))
        data[place:end] = more.draw(st.integers(0, 255))
    said = refusal(data, indices.size, length, codec)
    tested = native.cpu
    try:
        native.use_isa("generic")
        expected = refusal(data, indices.size, length, codec)
    finally:
        native.cpu = tested
    assert said == expected
