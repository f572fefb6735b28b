"""select, topk and their fused forms: parity with the specification, and what they promise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import (
    FLAVOURS,
    WITHOUT_NAN,
    assert_same_bits,
    assert_same_selection,
    long_workspace,
    quick,
    vector,
    vectors,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import native, reference

pytestmark = pytest.mark.usefixtures("each_isa")

THRESHOLDS = (0.0, 1e-45, 1e-38, 0.5, 1.0, 2.5, 3.4e38, float("inf"))
COUNTS = st.sampled_from([0, 1, 2, 10, 33, 1000, 5000]) | st.integers(0, 70_000)


def buffers(capacity: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty(capacity, np.uint32), np.empty(capacity, np.float32)


@quick
@given(vectors(), st.sampled_from(THRESHOLDS), st.integers(0, 40) | st.just(70_000))
def test_select_equals_specification(x, threshold, capacity):
    before = x.copy()
    result = kernels.select(x, threshold, *buffers(capacity))
    assert_same_selection(result, reference.select(x, threshold, capacity))
    assert_same_bits(x, before)


@quick
@given(vectors(), COUNTS)
def test_topk_equals_specification(x, k):
    assert_same_selection(kernels.topk(x, k), reference.topk(x, k))


@quick
@given(
    st.sampled_from((33, 1025, 4097, 65537)),
    st.sampled_from(FLAVOURS),
    # Of two NaN operands, which payload survives is not specified.
    st.sampled_from(WITHOUT_NAN),
    st.integers(0, 2**32 - 1),
    COUNTS,
    st.sampled_from(THRESHOLDS),
    st.booleans(),
)
def test_compensated_forms_equal_specification(size, flavour, other, seed, k, floor, in_place):
    gradient, residual = vector(size, flavour, seed, 1), vector(size, other, seed + 1, 2)
    saved, expected_acc = residual.copy(), np.empty_like(gradient)
    expected = reference.compensate_topk(gradient, residual, k, floor, expected_acc)
    by_threshold = reference.compensate_select(gradient, residual, floor, expected_acc, 5000)

    acc = gradient.copy() if in_place else np.empty_like(gradient)
    source = acc if in_place else gradient
    result = kernels.compensate_topk(source, residual, k, floor, acc)
    assert_same_selection(result, expected)
    assert_same_bits(acc, expected_acc)

    acc = gradient.copy() if in_place else np.empty_like(gradient)
    source = acc if in_place else gradient
    result = kernels.compensate_select(source, residual, floor, acc, *buffers(5000))
    assert_same_selection(result, by_threshold)
    assert_same_bits(acc, expected_acc)
    assert_same_bits(residual, saved)


def test_ties_go_to_the_lowest_index():
    x = np.array([1, -2, 2, 0, 2, -1, -2], np.float32)
    assert kernels.topk(x, 3).indices.tolist() == [1, 2, 4]
    assert kernels.topk(x, 5).indices.tolist() == [0, 1, 2, 4, 6]


def test_zeros_are_never_selected_and_k_counts_non_zeros():
    x = np.array([0.0, -0.0, 3.0, 0.0, -1e-45], np.float32)
    result = kernels.topk(x, 4)
    assert result.indices.tolist() == [2, 4]
    assert (result.found, result.threshold) == (2, 0.0)
    assert kernels.topk(x, 2).threshold == np.float32(1e-45)
    assert kernels.topk(x, 6).threshold == 0.0
    full = kernels.topk(x[2:3], 2)
    assert (full.found, full.threshold) == (1, 0.0)
    assert kernels.select(x, 0.0, *buffers(5)).indices.tolist() == [2, 4]


def test_not_a_number_ranks_above_infinity():
    x = np.array([1e38, np.inf, np.nan, -np.inf], np.float32)
    assert kernels.topk(x, 1).indices.tolist() == [2]
    assert kernels.topk(x, 2).indices.tolist() == [1, 2]
    assert kernels.topk(x, 2).threshold == np.inf


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_floor_never_changes_the_result(flavour):
    k, size = 50, 40_000  # the candidate buffer overflows well before the end
    gradient, residual = vector(size, flavour, 1), vector(size, "gaussian", 2)
    exact = reference.compensate_topk(gradient, residual, k, 0.0, np.empty_like(gradient))
    threshold = 1.0 if np.isnan(exact.threshold) else exact.threshold
    for floor in (0.0, 1e-45, threshold * 0.5, threshold * 0.999, threshold, np.inf):
        acc = np.empty_like(gradient)
        result = kernels.compensate_topk(gradient, residual, k, floor, acc)
        assert_same_selection(result, exact)
    with np.errstate(over="ignore"):
        above = float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
    result = kernels.compensate_topk(gradient, residual, k, above, np.empty_like(gradient))
    assert_same_selection(result, exact)


@pytest.mark.parametrize("overflow_at", [0, 4096 * 3 + 17, 39_000])
def test_overflow_of_the_candidates_anywhere(overflow_at):
    x = np.zeros(50_000, np.float32)
    x[overflow_at:] = vector(50_000 - overflow_at, "gaussian", 3)
    zero = np.zeros_like(x)
    for k in (1, 100, 4000):
        result = kernels.compensate_topk(x, zero, k, 0.0, np.empty_like(x))
        assert_same_selection(result, reference.topk(x, k))


@pytest.mark.parametrize("flavour", ["narrow", "narrower", "equal"])
def test_a_crowded_bin_is_refined(flavour):
    x = vector(65_537, flavour, 4)
    for k in (1, 7, 30_000, 65_537):
        assert_same_selection(kernels.topk(x, k), reference.topk(x, k))


def test_outputs_are_views_of_the_given_buffers():
    x = vector(1000, "gaussian", 5)
    indices, values = buffers(20)
    workspace = np.empty(kernels.topk_workspace(1000, 10) + 1, np.uint8)[1:]
    result = kernels.topk(x, 10, indices, values, workspace)
    assert np.shares_memory(result.indices, indices)
    assert np.shares_memory(result.values, values)
    assert_same_selection(result, reference.topk(x, 10))


def test_a_workspace_may_be_longer_than_other_arrays(each_isa):
    """A quarter of 2**31 elements needs such a one."""
    if each_isa == "cuda":
        pytest.skip("on a GPU its 4 GiB would be copied")
    x, workspace = vector(1000, "gaussian", 5), long_workspace()
    result = kernels.topk(x, 10, workspace=workspace)
    assert_same_selection(result, reference.topk(x, 10))


def test_a_workspace_has_the_size_for_where_its_vector_is(monkeypatch):
    monkeypatch.setattr(native, "of", lambda like: SimpleNamespace(topk_workspace=lambda n, k: 7))
    assert kernels.topk_workspace(1000, 10, like=vector(1, "gaussian", 1)) == 7
    assert kernels.topk_workspace(1000, 10) == native.cpu.topk_workspace(1000, 10)


def test_nothing_is_written_outside_the_buffers():
    x = vector(5000, "gaussian", 6)
    indices, values = np.full(102, 7, np.uint32), np.full(102, 7, np.float32)
    for threshold in (0.0, 1.0):
        result = kernels.select(x, threshold, indices[1:101], values[1:101])
        assert result.found > 100
        assert result.indices.size == 100
    kernels.topk(x, 100, indices[1:101], values[1:101])
    assert indices[[0, -1]].tolist() == [7, 7]
    assert values[[0, -1]].tolist() == [7, 7]


def test_workspace_does_not_grow_with_the_vector():
    small, large = kernels.topk_workspace(10**6, 1000), kernels.topk_workspace(10**9, 1000)
    assert small == large < 300_000
    assert kernels.topk_workspace(10**9, 10_000) < 10 * small
    # Nor does it with k, where nearly everything is selected.
    assert kernels.topk_workspace(10**6, 10**6) < 3 * 10**6


def test_k_of_zero_still_writes_acc():
    gradient, residual = vector(100, "gaussian", 7), vector(100, "gaussian", 8)
    acc = np.empty_like(gradient)
    result = kernels.compensate_topk(gradient, residual, 0, 0.0, acc)
    assert (result.indices.size, result.found, result.threshold) == (0, 0, 0.0)
    assert_same_bits(acc, residual + gradient)


@pytest.mark.parametrize("shift", [0, 1, 8])
def test_acc_must_not_overlap_the_residual(shift):
    memory = np.zeros(108, np.float32)
    residual, acc = memory[:100], memory[shift : 100 + shift]
    gradient = np.ones(100, np.float32)
    with pytest.raises(ConfigError, match="residual and out_acc must not overlap"):
        kernels.compensate_topk(gradient, residual, 3, 0.0, acc)
    with pytest.raises(ConfigError, match="residual and out_acc must not overlap"):
        kernels.compensate_select(gradient, residual, 0.0, acc, *buffers(3))
    assert not memory.any()


def test_acc_must_be_the_gradient_or_apart_from_it():
    memory, residual = np.zeros(101, np.float32), np.zeros(100, np.float32)
    with pytest.raises(ConfigError, match="gradient and out_acc must not overlap"):
        kernels.compensate_topk(memory[:100], residual, 3, 0.0, memory[1:])


def test_outputs_must_not_overlap_inputs():
    x = np.ones(100, np.float32)
    with pytest.raises(ConfigError, match="x and out_values must not overlap"):
        kernels.topk(x, 3, np.empty(3, np.uint32), x[:3])


def test_buffers_too_small_are_refused():
    x = np.ones(100, np.float32)
    with pytest.raises(ConfigError, match="out_indices must have at least 3 elements, got 2"):
        kernels.topk(x, 3, *buffers(2))
    with pytest.raises(ConfigError, match="workspace must have at least"):
        kernels.topk(x, 3, workspace=np.empty(10, np.uint8))


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), "high"])
def test_bad_thresholds_are_refused(threshold):
    x = np.ones(4, np.float32)
    with pytest.raises(ConfigError, match="select: threshold must be"):
        kernels.select(x, threshold, *buffers(4))
    with pytest.raises(ConfigError, match="compensate_topk: floor must be"):
        kernels.compensate_topk(x, x.copy(), 1, threshold, np.empty_like(x))


@pytest.mark.deep
def test_large_vectors_are_selected_exactly():
    size = 50_000_000
    gradient, residual = vector(size, "gaussian", 9), np.zeros(size, np.float32)
    acc = np.empty_like(gradient)
    result = kernels.compensate_topk(gradient, residual, size // 100, 0.0, acc)
    kth = np.partition(np.abs(acc), size - size // 100)[size - size // 100]
    assert result.threshold == kth
    again = kernels.compensate_topk(gradient, residual, size // 100, float(kth) * 0.97, acc)
    assert_same_selection(again, result)


# Long enough for a floor from a sample.
LONG = 70_001


def sampled(size: int) -> np.ndarray:
    """Return which elements a sample looks at: of every 4096 the first 64; on GPUs, 16 of 1024."""
    place = np.arange(size)
    stride = (place // 1024).astype(np.uint32) * np.uint32(0x9E3779B1)
    return (place % 4096 < 64) | (place % 1024 // 16 == stride >> np.uint32(26))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_long_vectors_equal_specification(flavour):
    x = vector(LONG, flavour, 9, 1)
    for k in (1, 30, 700, 20_000, LONG, LONG + 5):
        assert_same_selection(kernels.topk(x, k), reference.topk(x, k))


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e3])
def test_a_sample_that_misleads_costs_time_only(scale):
    x = vector(LONG, "gaussian", 10)
    x[sampled(LONG)] *= np.float32(scale)
    zero, acc = np.zeros_like(x), np.empty_like(x)
    for k in (10, 700):
        assert_same_selection(kernels.topk(x, k), reference.topk(x, k))
        result = kernels.compensate_topk(x, zero, k, 0.0, acc)
        assert_same_selection(result, reference.topk(x + zero, k))
        assert_same_bits(acc, x + zero)


def test_streamed_results_are_complete():
    """From 2^22 elements on, what is written goes past the caches; any alignment will do."""
    n = 2**22 + 37
    gradient, residual = vector(n, "gaussian", 11, 1), vector(n, "gaussian", 12)
    expected = residual + gradient
    for offset in (0, 1, 5):
        acc = np.zeros(n + offset, np.float32)[offset:]
        result = kernels.compensate_topk(gradient, residual, 1000, 0.0, acc)
        assert_same_bits(acc, expected)
        assert_same_selection(result, reference.topk(expected, 1000))
        acc[:] = 0
        chosen = kernels.compensate_select(
            gradient, residual, result.threshold, acc, *buffers(2000)
        )
        assert_same_bits(acc, expected)
        assert_same_bits(chosen.indices, result.indices)
        acc[:] = 0
        assert kernels.compensate_topk(gradient, residual, 0, 0.0, acc).found == 0
        assert_same_bits(acc, expected)


# A block's elements on a GPU, and more blocks than look back, or run, at once.
TILE = 4096
EDGES = (TILE - 1, TILE, TILE + 1, 3 * TILE + 1, 40 * TILE + 5)


def placed(size: int, places: slice | list[int], value: float, offset: int = 0) -> np.ndarray:
    x = np.zeros(size + offset, np.float32)[offset:]
    x[places] = value
    return x


def at_the_edges(size: int) -> list[np.ndarray]:
    """Return vectors that tell on tiles that forget, repeat or mix up their ranks."""
    counting = np.arange(size, 0, -1, np.float32)
    return [
        placed(size, slice(None), -3.0, 1),
        placed(size, slice(0), 0.0),
        placed(size, [-1], 1e-45),
        placed(size, [0, size // 2, -1], 2.0, 2),
        placed(size, slice(TILE - 1, None, TILE), np.inf, 3),
        counting,
        -counting[::-1].copy(),
    ]


@pytest.mark.parametrize("size", EDGES)
def test_edges_of_tiles(size):
    for x in at_the_edges(size):
        for threshold in (0.0, size / 2):
            found = reference.select(x, threshold).found
            for capacity in {found, max(found - 1, 0)}:
                result = kernels.select(x, threshold, *buffers(capacity))
                assert_same_selection(result, reference.select(x, threshold, capacity))
        for k in (1, size // 2, size + 1):
            assert_same_selection(kernels.topk(x, k), reference.topk(x, k))


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("offset", [0, 1])
def test_what_comes_into_being_at_edges_of_tiles(size, offset):
    gradient, residual = vector(size, "gaussian", 13, offset), vector(size, "gaussian", 14)
    memory = np.full(size + 2, 7, np.float32)
    acc, expected = memory[1:-1], residual + gradient
    result = kernels.compensate_topk(gradient, residual, 100, 0.0, acc)
    assert_same_bits(acc, expected)
    assert_same_selection(result, reference.topk(expected, 100))
    acc[:] = 0
    result = kernels.compensate_select(gradient, residual, 1.0, acc, *buffers(size // 3))
    assert_same_bits(acc, expected)
    assert_same_selection(result, reference.select(expected, 1.0, size // 3))
    assert memory[[0, -1]].tolist() == [7, 7]


@pytest.mark.parametrize("equal", [1, 2, 50])
def test_ties_across_tiles(equal):
    """Every `equal`-th element is one; larger ones are spread among them."""
    size = EDGES[-1]
    x = placed(size, slice(None, None, equal), -1.0)
    x[5::1001] = 2.0
    above, ones = int((x == 2).sum()), int((x == -1).sum())
    for surplus in (0, 1, 100, TILE, ones // 2, ones - 1, ones, ones + 1):
        k = above + surplus
        assert_same_selection(kernels.topk(x, k), reference.topk(x, k))


@pytest.mark.parametrize("flavour", ["gaussian", "equal", "sparse", "narrow"])
def test_candidates_that_do_not_fit_or_do_not_suffice(flavour):
    x = vector(EDGES[-1], flavour, 15)
    zero, acc = np.zeros_like(x), np.empty_like(x)
    for k in (10, 1000):
        expected = reference.topk(x, k)
        for floor in (1e-45, expected.threshold, 1e30):
            result = kernels.compensate_topk(x, zero, k, floor, acc)
            assert_same_selection(result, expected)
