"""Signs with scales, and natural compression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, assert_same_bits, quick, vector
from quantizer_inputs import (
    DTYPES,
    INPUT_DTYPES,
    assert_same_values,
    blocks,
    guarded,
    inputs,
    sizes,
    streams,
    typed,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream, reference

pytestmark = pytest.mark.usefixtures("each_isa")
pytest.importorskip("torch")

seeds = st.integers(0, 2**32 - 1)
flavours = st.sampled_from(FLAVOURS)


@quick
@given(sizes, flavours, seeds, st.sampled_from(INPUT_DTYPES), blocks, st.booleans())
def test_quantize_sign_equals_specification(n, flavour, seed, dtype, block, with_given):
    x, wide = inputs(n, flavour, seed, dtype)
    count = kernels.scale_count(n, block)
    shared = vector(count, flavour, seed + 2) if with_given else None
    codes, scales = kernels.quantize_sign(x, block, given=shared)
    expected = reference.quantize_sign(wide, block, given=shared)
    assert_same_bits(np.asarray(codes), expected[0])
    assert_same_values(np.asarray(scales), expected[1])


@quick
@given(sizes, flavours, seeds, st.sampled_from(INPUT_DTYPES), blocks, st.booleans(), st.booleans())
def test_compensate_sign_equals_specification(n, flavour, seed, dtype, block, in_place, shared):
    gradient, wide = inputs(n, flavour, seed, dtype)
    residual = vector(n, flavour, seed + 1, 1)
    scales = vector(kernels.scale_count(n, block), flavour, seed + 2) if shared else None
    expected_error = np.empty(n, np.float32)
    expected = reference.compensate_sign(wide, residual, block, expected_error, given=scales)
    error = gradient if in_place and dtype == "float32" else np.empty(n, np.float32)
    result = kernels.compensate_sign(gradient, residual, block, error, given=scales)
    assert_same_bits(np.asarray(result.codes), expected[0])
    assert_same_values(np.asarray(result.scales), expected[1])
    assert_same_values(error, expected_error)


@quick
@given(sizes, flavours, seeds, st.sampled_from(DTYPES), blocks)
def test_any_bytes_are_signs(n, flavour, seed, dtype, block):
    codes, codes_untouched = guarded(-(-n // 8), "uint8", seed)
    codes[:] = np.random.default_rng(seed).integers(0, 256, codes.size)
    scales = vector(kernels.scale_count(n, block), flavour, seed)
    expected = reference.dequantize_sign(codes, scales, n, block)
    out, untouched = typed(np.zeros(n, np.float32), dtype)[0], lambda: True
    if dtype == "float32":
        out, untouched = guarded(n, "float32", seed)
    kernels.dequantize_sign(codes, scales, n, block, out)
    values = np.asarray(out if dtype != "bfloat16" else out.float()).astype("f4")
    assert_same_values(values, typed(expected, dtype)[1])
    total = vector(n, "gaussian", seed + 1)
    sums = total.copy()
    kernels.dequantize_sign_add(codes, scales, block, sums)
    reference.dequantize_sign_add(codes, scales, block, total)
    assert_same_values(sums, total)
    assert untouched()
    assert codes_untouched()


@pytest.mark.parametrize(("n", "block"), [(8192, 512), (9001, 16), (9001, 528), (9001, 4096),
                                          (70_001, 65536)])  # fmt: skip
def test_long_vectors_equal_specification(n, block):
    gradient, residual = vector(n, "gaussian", 7, block % 3), vector(n, "gaussian", 8)
    codes, untouched = guarded(-(-n // 8), "uint8", block + 1)
    error, expected_error = np.empty((2, n), np.float32)
    result = kernels.compensate_sign(gradient, residual, block, error, out_codes=codes)
    expected = reference.compensate_sign(gradient, residual, block, expected_error)
    assert_same_bits(result.scales, expected[1])
    assert_same_bits(codes, expected[0])
    assert_same_bits(error, expected_error)
    values = reference.dequantize_sign(*expected, n, block)
    assert_same_bits(kernels.dequantize_sign(codes, result.scales, n, block), values)
    assert untouched()


def long_vectors(n: int) -> dict[str, np.ndarray]:
    """Return vectors whose sums are hard to round: at many of their elements, and at few."""
    rng = np.random.default_rng(n)
    normal = rng.standard_normal(n).astype(np.float32)
    # The last places of the sums are worth 2**-22 from the first elements on.
    ties = (rng.integers(-8, 9, n) * 2.0**-24).astype(np.float32)
    ties[:16] = 2.0**30
    layers = normal * np.repeat(2.0 ** rng.integers(-30, 30, n // 1000 + 1), 1000)[:n]
    late = np.where(np.arange(n) < n // 2, np.float32(0), normal)
    bad = normal.copy()
    bad[n - 5] = np.nan
    return {"normal": normal, "ties": ties, "layers": layers.astype(np.float32), "late": late,
            "zeros": np.zeros(n, np.float32), "bad": bad,
            "bits": rng.integers(0, 0x7F000000, n, np.uint32).view(np.float32)}  # fmt: skip


@pytest.mark.parametrize("name", long_vectors(16))
def test_long_sums_round_in_index_order(name):
    x = long_vectors(70_003)[name]
    codes, scales = kernels.quantize_sign(x, 0)
    expected = reference.quantize_sign(x, 0)
    assert_same_bits(codes, expected[0])
    assert_same_values(scales, expected[1])
    with np.errstate(all="ignore"):
        norm = reference.quantize(x, 8, 0, scale="l2")[1]
    assert_same_values(kernels.quantize(x, 8, 0, scale="l2").scales, norm)


def test_both_zeros_are_positive_and_the_mean_is_the_scale():
    x = np.array([0.0, -0.0, 3.0, -5.0], np.float32)
    codes, scales = kernels.quantize_sign(x, 16)
    assert (codes.tolist(), scales.tolist()) == ([0b0111], [2.0])
    assert kernels.dequantize_sign(codes, scales, 4, 16).tolist() == [2, 2, 2, -2]


def test_signs_contract_as_they_should():
    x = vector(4096, "gaussian", 1)
    values = kernels.dequantize_sign(*kernels.quantize_sign(x, 0), 4096, 0)
    share = np.abs(x).sum(dtype=np.float64) ** 2 / (4096 * (x.astype(np.float64) ** 2).sum())
    error = ((x - values).astype(np.float64) ** 2).sum() / (x.astype(np.float64) ** 2).sum()
    assert error == pytest.approx(1 - share, abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_elements_show_in_the_scale_of_their_block(bad):
    x = vector(48, "gaussian", 1)
    x[20] = bad
    scales = kernels.quantize_sign(x, 16).scales
    assert np.isnan(scales).tolist() == [False, True, False]


def test_signs_refuse_what_does_not_fit():
    x = np.ones(20, np.float32)
    with pytest.raises(ConfigError, match="quantize_sign: block must be a multiple of 16, got 8"):
        kernels.quantize_sign(x, 8)
    with pytest.raises(ConfigError, match="codes must have a bit for each of 20, got 2 bytes"):
        kernels.dequantize_sign(np.zeros(2, np.uint8), np.ones(2, np.float32), 20, 16)
    with pytest.raises(ConfigError, match="codes must have 3 elements, got 4"):
        kernels.dequantize_sign(np.zeros(4, np.uint8), np.ones(2, np.float32), 20, 16)
    with pytest.raises(ConfigError, match="residual and out_error must not overlap"):
        kernels.compensate_sign(x.copy(), x, 16, x)


@quick
@given(sizes, flavours, seeds, st.sampled_from(INPUT_DTYPES), streams)
def test_quantize_natural_equals_specification(n, flavour, seed, dtype, random):
    x, wide = inputs(n, flavour, seed, dtype)
    codes, finite = kernels.quantize_natural(x, random)
    expected, expected_finite = reference.quantize_natural(wide, random)
    assert_same_bits(np.asarray(codes), expected)
    assert finite is expected_finite


@pytest.mark.parametrize("bad", [None, 3, 4999])
def test_long_vectors_have_natural_codes(bad):
    x, random = vector(5001, "gaussian", 3, 1), RandomStream(1, 2, 3, first=2**35 - 1005)
    if bad is not None:
        x[bad] = np.inf
    codes, untouched = guarded(5001, "uint8", 1)
    assert kernels.quantize_natural(x, random, codes)[1] is (bad is None)
    assert_same_bits(codes, reference.quantize_natural(x, random)[0])
    assert untouched()


def test_every_natural_code_decodes():
    codes = np.tile(np.arange(256, dtype=np.uint8), 3)[5:]
    expected = reference.dequantize_natural(codes)
    assert_same_bits(kernels.dequantize_natural(codes), expected)
    for dtype in ("bfloat16", "float16"):
        out = typed(np.zeros(codes.size, np.float32), dtype)[0]
        kernels.dequantize_natural(codes, out)
        values = np.asarray(out if dtype != "bfloat16" else out.float()).astype("f4")
        assert_same_bits(values, typed(expected, dtype)[1])
    total = vector(codes.size, "gaussian", 1)
    sums = total.copy()
    kernels.dequantize_natural_add(codes, sums)
    assert_same_bits(sums, total + expected)


def test_natural_compression_has_its_mean_and_variance():
    x, draws = vector(512, "gaussian", 4), 400
    values = np.array([
        kernels.dequantize_natural(kernels.quantize_natural(x, RandomStream(1, 2, step))[0])
        for step in range(draws)
    ], np.float64)  # fmt: skip
    square = ((values - x) ** 2).mean(axis=0)
    assert (square <= x.astype(np.float64) ** 2 / 8 * 1.3).all()
    error = values.mean(axis=0) - x
    assert (error**2).sum() <= 1.5 * square.sum() / draws


def test_natural_range():
    x = np.array([2.0**18, 2.0**19, -(2.0**100), 2.0**-108, 2.0**-110, -0.0, np.inf], np.float32)
    codes, finite = kernels.quantize_natural(x, RandomStream(0, 0, 0))
    values = kernels.dequantize_natural(codes).tolist()
    assert values == [2.0**18, 2.0**18, -(2.0**18), 2.0**-108, 0, -0.0, 2.0**18]
    assert np.signbit(values[5])
    assert not finite
