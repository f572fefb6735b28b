"""clear, scatter, scatter_add, merge and intersect."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from element_types import WITH_FLOAT64, as_type, assert_same_numbers, for_kernel
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import (
    FLAVOURS,
    WITHOUT_NAN,
    assert_same_bits,
    quick,
    subset,
    vector,
    vectors,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

BAD_INDICES = {
    "repeated": [1, 3, 3],
    "falling": [3, 2, 5],
    "out of range": [1, 3, 10],
}


@quick
@given(
    vectors(),
    st.sampled_from(WITH_FLOAT64),
    st.floats(0, 1),
    st.sampled_from(FLAVOURS),
    st.integers(0, 1000),
)
def test_dense_updates_equal_specification(x, dtype, density, flavour, seed):
    indices = subset(x.size, int(density * x.size), seed)
    x, values = (as_type(each, dtype) for each in (x, vector(indices.size, flavour, seed, 1)))
    for name, same in (("scatter", assert_same_bits), ("scatter_add", assert_same_numbers)):
        result, expected = x.copy(), x.copy()
        getattr(kernels, name)(for_kernel(result), indices, for_kernel(values))
        getattr(reference, name)(expected, indices, values)
        same(result, expected)
    result, expected = x.copy(), x.copy()
    kernels.clear(for_kernel(result), indices)
    reference.clear(expected, indices)
    assert_same_bits(result, expected)


def test_dense_updates_need_one_type():
    indices = np.array([1], np.uint32)
    for update in (kernels.scatter, kernels.scatter_add):
        with pytest.raises(ConfigError, match="values must have the dtype of out, float64"):
            update(np.ones(2), indices, np.ones(1, np.float32))
        with pytest.raises(ConfigError, match="out must have dtype"):
            update(np.ones(2, np.int32), indices, np.ones(1, np.float32))
        with pytest.raises(ConfigError, match="must not overlap"):
            update(x := np.ones(2), indices, x[:1])


@pytest.mark.parametrize("indices", BAD_INDICES.values(), ids=BAD_INDICES.keys())
def test_bad_indices_are_refused_before_anything_is_written(indices):
    x, bad = np.ones(10, np.float32), np.array(indices, np.uint32)
    values = np.full(3, 5, np.float32)
    for operation in (
        functools.partial(kernels.clear, x, bad),
        functools.partial(kernels.scatter, x, bad, values),
        functools.partial(kernels.scatter_add, x, bad, values),
    ):
        with pytest.raises(ConfigError, match="indices must"):
            operation()
    assert (x == 1).all()


@pytest.mark.parametrize("at", [1, 31, 1023, 1024, 4095, 4999])
def test_one_bad_index_among_many_is_found(at):
    indices = np.arange(1, 5001, dtype=np.uint32)
    repeated, outside = indices.copy(), indices.copy()
    repeated[at] = indices[at - 1]
    outside[-1] = 5001 + at
    for bad, what in ((repeated, "strictly increasing"), (outside, "inside the range")):
        x = np.ones(5001, np.float16)
        with pytest.raises(ConfigError, match=what):
            kernels.scatter(x, bad, np.zeros(bad.size, np.float16))
        assert (x == 1).all()
    with pytest.raises(ConfigError, match="merge: indices must be strictly increasing"):
        kernels.merge([indices, repeated], [np.ones(5000, np.float32)] * 2)
    for a, b in ((indices, repeated), (repeated, indices)):
        with pytest.raises(ConfigError, match="intersect: indices must be strictly increasing"):
            kernels.intersect(a, b)


def assert_merged(indices, seed, flavour="gaussian"):
    values = [vector(chunk.size, flavour, seed + p, 1) for p, chunk in enumerate(indices)]
    result, expected = kernels.merge(indices, values), reference.merge(indices, values)
    assert_same_bits(result[0], expected[0])
    assert_same_bits(result[1], expected[1])


@quick
@given(
    st.integers(0, 5),
    st.sampled_from([1, 64, 4096, 5000, 100_000]),
    st.sampled_from(WITHOUT_NAN),
    st.integers(0, 2**32 - 1),
)
def test_merge_equals_specification(count, span, flavour, seed):
    rng = np.random.default_rng(seed)
    indices = [subset(span, int(rng.integers(0, min(span, 3000) + 1)), seed + p)
               for p in range(count)]  # fmt: skip
    assert_merged(indices, seed, flavour)


# The CUDA kernels have tiles of 3584 to 4608 entries, and merge 16 chunks at a time.
@pytest.mark.parametrize("size", [3583, 3584, 3585, 4608, 7168, 7169])
def test_merge_of_one_and_of_equal_chunks(size):
    indices = subset(4 * size, size, size)
    for count in (1, 2, 9):
        assert_merged([indices] * count, size)


@pytest.mark.parametrize("count", [15, 16, 17, 33, 40])
def test_merge_of_many_chunks(count):
    rng = np.random.default_rng(count)
    sizes = rng.integers(0, 900, count)
    assert_merged([subset(1000, int(size), count + p) for p, size in enumerate(sizes)], count)
    assert_merged([np.arange(1000, dtype=np.uint32)] * count, count)


@pytest.mark.parametrize("count", [256, 257, 600])
def test_merge_of_hundreds_of_chunks(count):
    assert_merged([subset(900, 1 + p % 150, count + p) for p in range(count)], count)
    assert_merged([np.array([5], np.uint32)] * count, count)


def test_merge_of_an_index_that_more_chunks_have_than_a_tile_has_room():
    assert_merged([np.array([5, 8 + p], np.uint32) for p in range(5000)], 1)


@pytest.mark.parametrize("count", [3, 8, 20])
def test_merge_of_chunks_that_take_turns(count):
    behind = [np.arange(2000, dtype=np.uint32) + 2000 * p for p in range(count)]
    assert_merged(behind, count)
    assert_merged(behind[::-1], count)
    assert_merged([np.arange(p, 2000 * count, count, dtype=np.uint32) for p in range(count)], count)


@pytest.mark.parametrize("count", [2, 8, 20])
def test_merge_of_clusters_with_huge_gaps(count):
    rng = np.random.default_rng(count)
    clusters = rng.integers(0, 2**32 - 4000, 7)
    clusters[0] = 2**32 - 1 - 3000
    chunks = [
        np.unique(np.concatenate([begin + subset(3001, 300, p + c) for c, begin in
                                  enumerate(clusters)])).astype(np.uint32)
        for p in range(count)
    ]  # fmt: skip
    scattered = [np.unique(rng.integers(0, 2**32, 3000, np.uint32)) for _ in range(count)]
    assert_merged(chunks, count)
    assert_merged(scattered, count)
    assert_merged([chunks[0], *scattered], count)


def test_merge_of_long_and_short_chunks():
    long = np.arange(0, 60_000, 2, dtype=np.uint32)
    short = [np.array([p, 30_000, 59_998 + p], np.uint32) for p in range(12)]
    assert_merged([long, *short], 1)
    assert_merged([*short, long], 2)


@quick
@given(
    st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(1, 30_000), st.floats(0, 1)), max_size=6
    ),
    st.integers(0, 2**32 - 1),
    st.integers(-1, 70),
)
def test_merge_of_chunks_of_any_extent_needs_no_more_room_than_the_union(spans, seed, spare):
    indices = [begin + subset(span, int(density * span), seed + p)
               for p, (begin, span, density) in enumerate(spans)]  # fmt: skip
    values = [vector(chunk.size, "special", seed + p) for p, chunk in enumerate(indices)]
    expected = reference.merge(indices, values)
    size = expected[0].size
    out = np.full(size + 100, 0xDEADBEEF, np.uint32), np.full(size + 100, 7, np.float32)
    room = max(0, size + spare)
    given = [each[:room] for each in out]
    if room < size:
        with pytest.raises(ConfigError, match="must hold the whole result"):
            kernels.merge(indices, values, *given)
    else:
        merged = kernels.merge(indices, values, *given)
        assert_same_bits(merged[0], expected[0])
        assert_same_numbers(merged[1], expected[1])
    assert (out[0][room:] == 0xDEADBEEF).all()
    assert (out[1][room:] == 7).all()


@pytest.mark.parametrize("missing", [1, 100, 3000, 9000, 9999, 10_000])
def test_merge_stays_within_its_room(missing):
    indices, values = np.arange(10_000, dtype=np.uint32), np.ones(10_000, np.float32)
    some = 2 * indices[:5000], values[:5000]
    room = 10_000 - missing
    out = np.full(10_100, 0xDEADBEEF, np.uint32), np.full(10_100, 7, np.float32)
    with pytest.raises(ConfigError, match="must hold the whole result"):
        kernels.merge([indices, some[0]], [values, some[1]], out[0][:room], out[1][:room])
    assert (out[0][room:] == 0xDEADBEEF).all()
    assert (out[1][room:] == 7).all()


def test_merge_keeps_the_bits_of_values_that_are_alone():
    signalling = np.array([0x7F800001, 0xFFBFFFFF, 0x80000000], np.uint32).view(np.float32)
    indices = np.array([1, 5000, 9000], np.uint32)
    other = np.array([2, 5001], np.uint32), np.ones(2, np.float32)
    alone = kernels.merge([indices], [signalling])[1]
    assert_same_bits(alone, signalling)
    merged = kernels.merge([indices, other[0]], [signalling, other[1]])
    assert_same_bits(merged[1][[0, 2, 4]], signalling)


def test_merge_adds_in_chunk_order_from_the_first_present():
    one = np.array([7], np.uint32)
    large, small = np.float32([2.0**24]), np.float32([1.0])
    in_order = kernels.merge([one] * 3, [large, small, small])[1]
    assert in_order.tolist() == [2.0**24]  # each 1 is rounded away
    other = kernels.merge([one] * 3, [small, small, large])[1]
    assert other.tolist() == [2.0**24 + 2]
    minus_zero = kernels.merge([one], [np.float32([-0.0])])[1]
    assert np.signbit(minus_zero).all()


def test_merge_keeps_exact_zeros_and_reaches_the_largest_index():
    indices = np.array([0, 4095, 4096, 2**32 - 1], np.uint32)
    values = np.array([1, 2, 3, 4], np.float32)
    merged = kernels.merge([indices, indices], [values, -values])
    assert_same_bits(merged[0], indices)
    assert_same_bits(merged[1], np.zeros(4, np.float32))


def test_merge_into_given_buffers_needs_room_for_the_union_only():
    indices, values = np.arange(5, dtype=np.uint32), np.ones(5, np.float32)
    out = np.empty(5, np.uint32), np.empty(5, np.float32)
    merged = kernels.merge([indices, indices], [values, values], *out)
    assert np.shares_memory(merged[0], out[0])
    assert merged[1].tolist() == [2.0] * 5
    with pytest.raises(ConfigError, match="merge: the output buffers must hold"):
        kernels.merge([indices], [values], out[0][:4], out[1][:4])


def test_merge_refuses_unsorted_and_unequal_chunks():
    values = np.ones(2, np.float32)
    with pytest.raises(ConfigError, match="strictly increasing"):
        kernels.merge([np.array([2, 1], np.uint32)], [values])
    with pytest.raises(ConfigError, match=r"value_chunks\[0\] must have as many"):
        kernels.merge([np.array([1], np.uint32)], [values])
    with pytest.raises(ConfigError, match="of one length, got 0 and 1"):
        kernels.merge([], [values])


@pytest.mark.parametrize("count", [0, 1, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_clear_without_indices_clears_everything(count, dtype):
    x = np.ones(count + 2, dtype)
    kernels.clear(x[1:-1])
    expected = np.ones(count + 2, dtype)
    reference.clear(expected[1:-1])
    assert_same_bits(x, expected)
    assert x[0] == x[-1] == 1 and not x[1:-1].any()


def test_merge_of_nothing_is_empty():
    indices, values = kernels.merge([], [])
    assert (indices.dtype, values.dtype) == (np.uint32, np.float32)
    assert indices.size == values.size == 0


@quick
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_intersect_equals_specification(a_count, b_count, seed):
    a, b = subset(500, a_count, seed), subset(500, b_count, seed + 1)
    for got, expected in zip(kernels.intersect(a, b), reference.intersect(a, b), strict=True):
        assert_same_bits(got, expected)


@pytest.mark.parametrize("a_count", [0, 1, 255, 257, 2047, 2048, 2049, 9000])
@pytest.mark.parametrize("b_count", [0, 3, 2048, 20_000])
@pytest.mark.parametrize("span", [20_000, 2**32])
def test_intersect_of_many_elements(a_count, b_count, span):
    rng = np.random.default_rng(a_count + b_count)
    b = np.unique(rng.integers(0, span, b_count))
    own = rng.integers(0, span, a_count)
    common = rng.permutation(b)[: a_count // 2]
    a = np.unique(np.concatenate([own[: a_count - common.size], common, [span - 1]]))
    b = np.append(b[b < span - 1], span - 1)  # both ends of the range
    for first, second in ((a, b), (a, a), (a, a + 1), (a[:1], b), (a, b[-1:])):
        pair = [each[each < 2**32].astype(np.uint32) for each in (first, second)]
        for got, expected in zip(kernels.intersect(*pair), reference.intersect(*pair), strict=True):
            assert_same_bits(got, expected)


def test_intersect_refuses_unsorted_indices():
    with pytest.raises(ConfigError, match="intersect: indices must be strictly increasing"):
        kernels.intersect(np.array([1, 1], np.uint32), np.array([1], np.uint32))


def test_sums_keep_denormals_when_the_thread_flushes_them():
    torch = pytest.importorskip("torch")
    tiny, one = np.float32([1e-45]), np.zeros(1, np.uint32)
    out, acc = tiny.copy(), np.empty(1, np.float32)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        kernels.scatter_add(out, one, tiny)
        merged = kernels.merge([one, one], [tiny, tiny])[1]
        kernels.compensate_topk(tiny, tiny, 1, 0.0, acc)
    finally:
        torch.set_flush_denormal(False)
    for result in (out, merged, acc):
        assert result.view(np.uint32).tolist() == [2]
