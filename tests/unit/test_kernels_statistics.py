"""finite_check, histogram and kth_magnitude."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, quick, vector, vectors

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

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


def test_norm_of_a_long_vector_is_close_to_the_exact_one():
    x = vector(300_000, "gaussian", 3)
    exact = np.sqrt(np.sum(x.astype(np.longdouble) ** 2))
    assert abs(kernels.norm(x) - float(exact)) < 1e-12 * float(exact)
    with pytest.raises(ConfigError, match=r"norm: order must be in .1, 2., got 3"):
        kernels.norm(x, 3)


@pytest.mark.parametrize("flavour", ["gaussian", "narrow", "narrower", "sparse", "equal", "zeros"])
def test_kth_magnitude_of_a_long_vector(flavour):
    x = vector(2**20 + 5, flavour, 4)
    for k in (1, 1000, 200_000, x.size):
        assert kernels.kth_magnitude(x, k) == reference.kth_magnitude(x, k)
