"""finite_check, histogram and kth_magnitude."""

from __future__ import annotations

import numpy as np
import pytest
from element_types import WITH_FLOAT64, as_type, assert_same_numbers, for_kernel
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, quick, vector, vectors

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference
from gradwire.kernels.reference.casts import widen

pytestmark = pytest.mark.usefixtures("each_isa")


@quick
@given(vectors())
def test_finite_check_equals_numpy(x):
    assert kernels.finite_check(x) is bool(np.isfinite(x).all())


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 31, 4095, 4096, 9999])
def test_one_bad_element_is_found_anywhere(value, place):
    x = vector(10_000, "gaussian", 1)
    assert kernels.finite_check(x)
    x[place] = value
    assert not kernels.finite_check(x)


@quick
@given(vectors(), st.sampled_from([(18, 13, 0), (0, 9, 0), (9, 9, 0x1FC0), (23, 8, 0), (0, 1, 3)]))
def test_histogram_equals_specification(x, digit):
    shift, bits, prefix = digit
    result = kernels.histogram(x, shift, bits, prefix)
    assert_same_bits(result, reference.histogram(x, shift, bits, prefix))


@pytest.mark.parametrize("flavour", ["gaussian", "narrow", "equal", "special"])
@pytest.mark.parametrize("shift_and_bits", [(30, 1), (27, 4), (18, 13), (17, 14), (7, 24), (0, 16)])
def test_histogram_of_a_long_vector_in_small_and_large_tables(shift_and_bits, flavour):
    shift, bits = shift_and_bits
    x = vector(200_003, flavour, 5, offset=3)
    of_one = int(x[7:8].view(np.uint32)[0]) & 0x7FFFFFFF
    for prefix in {0, of_one >> (shift + bits)}:
        result = kernels.histogram(x, shift, bits, prefix)
        assert_same_bits(result, reference.histogram(x, shift, bits, prefix))


def test_histogram_counts_every_non_zero_once():
    x = vector(5000, "sparse", 2)
    out = np.full(2**13 + 1, 99, np.uint64)
    counts = kernels.histogram(x, 18, 13, out=out)
    assert counts.sum() == np.count_nonzero(x)
    assert out[-1] == 99


@pytest.mark.parametrize(("shift", "bits", "prefix"), [(19, 13, 0), (-1, 4, 0), (18, 13, 1)])
def test_histogram_refuses_digits_outside_the_magnitude(shift, bits, prefix):
    with pytest.raises(ConfigError, match=r"histogram: (shift|prefix) must be in"):
        kernels.histogram(np.ones(3, np.float32), shift, bits, prefix)


@quick
@given(vectors(), st.integers(1, 70_000))
def test_kth_magnitude_equals_specification(x, k):
    result = np.float32([kernels.kth_magnitude(x, k)])
    assert_same_bits(result, np.float32([reference.kth_magnitude(x, k)]))


@pytest.mark.parametrize("name", WITH_FLOAT64)
@pytest.mark.parametrize("offset", [0, 1, 7])
@pytest.mark.parametrize("flavour", ["gaussian", "special", "denormal"])
def test_every_type_wherever_it_begins(name, offset, flavour):
    own = as_type(vector(70_009, flavour, offset), name)[offset:]
    x, wide = for_kernel(own), reference.to_float32(own) if name == "float64" else widen(own)
    assert kernels.finite_check(x) is reference.finite_check(wide)
    results = [kernels.absmax(x), *(kernels.kth_magnitude(x, k) for k in (1, 300, 60_000))]
    expected = [
        reference.absmax(wide), *(reference.kth_magnitude(wide, k) for k in (1, 300, 60_000))
    ]  # fmt: skip
    assert_same_bits(np.float32(results), np.float32(expected))
    norms = np.float64([kernels.norm(x, order) for order in (1, 2)])
    assert_same_numbers(norms, np.float64([reference.norm(wide, order) for order in (1, 2)]))
    for shift, bits in ((18, 13), (0, 18), (23, 8)):
        counts = np.asarray(kernels.histogram(x, shift, bits))
        assert_same_bits(counts, reference.histogram(wide, shift, bits))


def test_kth_magnitude_needs_k_non_zeros():
    x = np.array([0.0, -3.0, 2.0], np.float32)
    assert [kernels.kth_magnitude(x, k) for k in (1, 2, 3, 4)] == [3.0, 2.0, 0.0, 0.0]
    with pytest.raises(ConfigError, match="kth_magnitude: k must be in"):
        kernels.kth_magnitude(x, 0)


@quick
@given(vectors())
def test_absmax_equals_specification(x):
    result = np.float32([kernels.absmax(x)])
    assert_same_bits(result, np.float32([reference.absmax(x)]))


@quick
@given(vectors(), st.sampled_from([1, 2]))
def test_norm_equals_specification(x, order):
    result = np.float64([kernels.norm(x, order)])
    expected = np.float64([reference.norm(x, order)])
    if np.isnan(expected[0]):
        assert np.isnan(result[0])
    else:
        assert_same_bits(result, expected)


@pytest.mark.parametrize("tiles", [*range(1, 18), 31, 32, 33, 255, 256, 257, 263, 511, 519])
def test_norm_adds_tiles_as_a_binary_counter_carries(tiles):
    x = vector(tiles * 4096 - tiles % 3, "gaussian", tiles, offset=tiles % 4)
    for order in (1, 2):
        assert_same_bits(
            np.float64([kernels.norm(x, order)]), np.float64([reference.norm(x, order)])
        )


@pytest.mark.parametrize("flavour", ["finite", "special"])
def test_absmax_of_a_long_vector_whose_largest_is_anywhere(flavour):
    x = vector(300_001, "gaussian", 6, offset=1)
    for place in (0, 1, 131_071, 131_072, 262_143, 300_000):
        y = x.copy()
        y[place] = vector(1, flavour, place)[0]
        result = np.float32([kernels.absmax(y)])
        assert_same_bits(result, np.float32([reference.absmax(y)]))
        assert kernels.finite_check(y) is bool(np.isfinite(y).all())


def test_norm_of_a_long_vector_is_close_to_the_exact_one():
    x = vector(300_000, "gaussian", 3)
    exact = np.sqrt(np.sum(x.astype(np.longdouble) ** 2))
    assert abs(kernels.norm(x) - float(exact)) < 1e-12 * float(exact)
    with pytest.raises(ConfigError, match=r"norm: order must be in .1, 2., got 3"):
        kernels.norm(x, 3)


@pytest.mark.parametrize(
    "flavour", ["gaussian", "narrow", "narrower", "sparse", "equal", "zeros", "denormal", "special"]
)
def test_kth_magnitude_of_a_long_vector(flavour):
    x = vector(2**20 + 5, flavour, 4, offset=1)
    for k in (1, 1000, 200_000, x.size):
        result = np.float32([kernels.kth_magnitude(x, k)])
        assert_same_bits(result, np.float32([reference.kth_magnitude(x, k)]))
