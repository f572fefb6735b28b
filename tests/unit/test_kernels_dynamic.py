"""Codes of the dynamic table: parity with the specification, bounds, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, WITHOUT_NAN, assert_same_bits, quick, vector
from quantizer_inputs import (
    DTYPES,
    INPUT_DTYPES,
    assert_same_values,
    blocks,
    guarded,
    inputs,
    sizes,
    typed,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")
pytest.importorskip("torch")

seeds = st.integers(0, 2**32 - 1)
flavours = st.sampled_from(FLAVOURS)
TABLE = reference.dynamic_table()


def test_the_table_is_the_one_of_the_papers():
    assert TABLE.size == np.unique(TABLE).size == 256
    assert (np.diff(TABLE) > 0).all()
    assert (TABLE[127], TABLE[255], TABLE[0]) == (0, 1, -np.float32(0.99296875))
    assert_same_bits(TABLE[:127], -TABLE[128:255][::-1])
    assert TABLE[128] == np.float32(0.55e-6)
    # In each decade, evenly spaced.
    for decade in range(7):
        most = 0.1**decade
        inside = np.float64([number for number in TABLE if most / 10 < number < most])
        assert inside.size == 2 ** (6 - decade)
        spaced = np.diff(inside) / most
        assert spaced == pytest.approx(0.9 / inside.size, rel=1e-5)


@quick
@given(sizes, flavours, seeds, st.sampled_from(INPUT_DTYPES), blocks)
def test_quantize_equals_specification(n, flavour, seed, dtype, block):
    x, wide = inputs(n, flavour, seed, dtype)
    codes, scales = kernels.quantize_dynamic(x, block)
    expected = reference.quantize_dynamic(wide, block)
    assert_same_bits(np.asarray(scales), expected[1])
    assert_same_bits(np.asarray(codes), expected[0])
    values = kernels.dequantize_dynamic(codes, scales, n, block)
    assert_same_values(np.asarray(values), reference.dequantize_dynamic(*expected, n, block))


@quick
@given(sizes, flavours, seeds, st.sampled_from(INPUT_DTYPES), blocks, st.booleans())
def test_compensate_quantize_equals_specification(n, flavour, seed, dtype, block, in_place):
    gradient, wide = inputs(n, flavour, seed, dtype)
    residual = vector(n, flavour, seed + 1, 1)
    before, expected_error = residual.copy(), np.empty(n, np.float32)
    expected = reference.compensate_quantize_dynamic(wide, residual, block, expected_error)
    error = gradient if in_place and dtype == "float32" else np.empty(n, np.float32)
    result = kernels.compensate_quantize_dynamic(gradient, residual, block, error)
    assert_same_bits(np.asarray(result.codes), expected[0])
    assert_same_bits(np.asarray(result.scales), expected[1])
    assert_same_values(error, expected_error)
    assert_same_bits(residual, before)


# Both sides of what a warp and a block of threads hold, and lengths that fill neither.
LONG_BLOCKS = (16, 32, 48, 128, 144, 256, 272, 512, 528, 1008, 4096, 4112, 8176, 65536, 0)


@pytest.mark.parametrize("block", LONG_BLOCKS)
@pytest.mark.parametrize("size", [4096, 8191, 70_003])
def test_long_vectors_equal_specification(size, block):
    x, residual = vector(size, "gaussian", size, block // 16 % 4), vector(size, "gaussian", 2, 1)
    x[size // 2 :] *= np.float32(100)  # so that blocks that share a tile differ
    x[-1] = np.inf
    expected_error, error = np.empty(size, np.float32), x.copy()
    expected = reference.compensate_quantize_dynamic(x, residual, block, expected_error)
    result = kernels.compensate_quantize_dynamic(error, residual, block, error)
    assert_same_bits(result.codes, expected[0])
    assert_same_bits(result.scales, expected[1])
    assert_same_values(error, expected_error)
    x[-1] = 0
    codes, scales = kernels.quantize_dynamic(x, block)
    expected = reference.quantize_dynamic(x, block)
    assert_same_bits(codes, expected[0])
    assert_same_bits(scales, expected[1])
    values = reference.dequantize_dynamic(codes, scales, size, block)
    assert_same_bits(kernels.dequantize_dynamic(codes, scales, size, block), values)
    kernels.dequantize_dynamic_add(codes, scales, block, residual)
    assert_same_bits(residual, vector(size, "gaussian", 2, 1) + values)


def around_bounds() -> np.ndarray:
    """Return the numbers of the table, what is halfway between them, and all their neighbours."""
    middle = ((TABLE[1:].astype(np.float64) + TABLE[:-1]) / 2).astype(np.float32)
    points = np.concatenate([TABLE, middle])
    for _ in range(3):
        up, down = np.nextafter(points, np.float32(2)), np.nextafter(points, np.float32(-2))
        points = np.unique(np.concatenate([points, up, down]))
    return points[np.abs(points) <= 1]


@pytest.mark.parametrize("scale", [1, 2.0**-140, 2.0**-149, 2.0**127, 3e38, 1e-40, 0.7, 3])
def test_codes_around_every_decision_bound(scale):
    with np.errstate(under="ignore"):
        x = np.append(around_bounds() * np.float32(scale), np.float32(scale))
    codes, scales = kernels.quantize_dynamic(x, 0)
    assert scales.tolist() == [np.float32(scale)]
    assert_same_bits(codes, reference.quantize_dynamic(x, 0)[0])


def test_every_cell_of_the_inverse():
    # A cell is 2**17 neighbours: its first, its last and some inside, for each sign.
    first = np.arange(104 << 23, 127 << 23, 1 << 17, dtype=np.uint32)
    some = np.random.default_rng(1).integers(0, 1 << 17, (8, first.size), np.uint32)
    places = np.concatenate([first, first + np.uint32((1 << 17) - 1), *(first + some)])
    sizes = places.view(np.float32)
    x = np.concatenate([sizes, -sizes, np.float32([1])])
    assert_same_bits(kernels.quantize_dynamic(x, 0)[0], reference.quantize_dynamic(x, 0)[0])


@pytest.mark.parametrize("scale", [1, 0.25, 2.0**100, 2.0**-100])
def test_every_code_survives_the_round_trip(scale):
    codes = np.arange(256, dtype=np.uint8)
    scales = np.float32([scale])
    values = kernels.dequantize_dynamic(codes, scales, 256, 0)
    assert_same_bits(values, TABLE * np.float32(scale))
    again = kernels.quantize_dynamic(values, 0)
    assert_same_bits(again.codes, codes)
    assert_same_bits(again.scales, scales)


@quick
@given(sizes, seeds, st.sampled_from(DTYPES), blocks, flavours)
def test_any_bytes_decode_inside_the_buffers(n, seed, dtype, block, flavour):
    codes, codes_untouched = guarded(n, "uint8", seed)
    codes[:] = np.random.default_rng(seed).integers(0, 256, n)
    scales = vector(kernels.scale_count(n, block), flavour, seed)
    expected = reference.dequantize_dynamic(codes, scales, n, block)
    out, untouched = typed(np.zeros(n, np.float32), dtype)[0], lambda: True
    if dtype == "float32":
        out, untouched = guarded(n, "float32", seed)
    kernels.dequantize_dynamic(codes, scales, n, block, out)
    values = np.asarray(out if dtype != "bfloat16" else out.float()).astype("f4")
    assert_same_values(values, typed(expected, dtype)[1])
    total = vector(n, "gaussian", seed + 1)
    sums = total.copy()
    kernels.dequantize_dynamic_add(codes, scales, block, sums)
    reference.dequantize_dynamic_add(codes, scales, block, total)
    assert_same_values(sums, total)
    assert untouched()
    assert codes_untouched()


@quick
@given(sizes, seeds, blocks)
def test_encoders_write_inside_their_buffers(n, seed, block):
    x = vector(n, "gaussian", seed)
    codes, codes_untouched = guarded(n, "uint8", seed)
    scales, scales_untouched = guarded(kernels.scale_count(n, block), "float32", seed)
    error, error_untouched = guarded(n, "float32", seed)
    kernels.compensate_quantize_dynamic(
        x, np.zeros(n, np.float32), block, error, out_codes=codes, out_scales=scales
    )
    assert codes_untouched()
    assert scales_untouched()
    assert error_untouched()


@quick
@given(sizes, st.sampled_from(WITHOUT_NAN), seeds, blocks)
def test_finite_elements_decode_closer_the_smaller_they_are(n, flavour, seed, block):
    x = vector(n, flavour, seed)
    codes, scales = kernels.quantize_dynamic(x, block)
    values = kernels.dequantize_dynamic(codes, scales, n, block)
    scale = scales.astype(np.float64)[np.arange(n) // (block or max(n, 1))]
    size = np.abs(x.astype(np.float64))
    decade = sum((size <= scale * 10.0**-d).astype(int) for d in range(1, 7))
    slack = scale * 2.0**-22 * 10.0**-decade + 2.0**-148
    assert (np.abs(values - x.astype(np.float64)) <= scale * 0.45 / 64 * 5.0**-decade + slack).all()
    assert (values * np.sign(x) >= 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, 63])
def test_non_finite_elements_show_in_the_scale_and_nowhere_else(bad, place):
    x = vector(192, "gaussian", 1)
    x[64 + place] = bad
    codes, scales = kernels.quantize_dynamic(x, 64)
    assert (codes[64:128] == 127).all()
    assert scales[1:2].view(np.uint32) == 0x7FC00000
    expected = [False] * 64 + [True] * 64 + [False] * 64
    assert np.isnan(kernels.dequantize_dynamic(codes, scales, 192, 64)).tolist() == expected
    error = np.empty(192, np.float32)
    kernels.compensate_quantize_dynamic(x, np.zeros(192, np.float32), 64, error)
    assert np.isnan(error).tolist() == expected


def test_zeros_and_ties():
    zeros = np.array([0.0, -0.0] * 16, np.float32)
    codes, scales = kernels.quantize_dynamic(zeros, 16)
    assert (codes.tolist(), scales.tolist()) == ([127] * 32, [0, 0])
    assert_same_bits(kernels.dequantize_dynamic(codes, scales, 32, 16), np.zeros(32, np.float32))
    smallest = TABLE[128] / np.float32(2)  # halfway from 0 to its neighbours
    x = np.array([1, smallest, -smallest], np.float32)
    assert kernels.quantize_dynamic(x, 0).codes.tolist() == [255, 127, 126]


def test_results_keep_denormals_when_the_thread_flushes_them():
    import torch

    x = vector(512, "denormal", 2)
    expected, exact = reference.quantize_dynamic(x, 64), x.astype(np.float64)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        result = kernels.quantize_dynamic(x, 64)
        wide = kernels.quantize_dynamic(exact, 64)
        values = kernels.dequantize_dynamic(*result, 512, 64)
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(result.codes, expected[0])
    assert_same_bits(result.scales, expected[1])
    assert_same_bits(values, reference.dequantize_dynamic(*expected, 512, 64))
    assert_same_bits(wide.codes, expected[0])


def test_what_does_not_fit_is_refused_by_name():
    x, residual = np.ones(32, np.float32), np.zeros(32, np.float32)
    codes, scales = np.ones(32, np.uint8), np.ones(2, np.float32)
    with pytest.raises(ConfigError, match="quantize_dynamic: block must be a multiple of 16, got"):
        kernels.quantize_dynamic(x, 8)
    with pytest.raises(ConfigError, match=r"quantize_dynamic: block must be an integer, got 2\.5"):
        kernels.quantize_dynamic(x, 2.5)
    with pytest.raises(ConfigError, match="out_codes must have at least 32 elements, got 31"):
        kernels.quantize_dynamic(x, 16, out_codes=codes[:31])
    with pytest.raises(ConfigError, match="x and out_codes must not overlap"):
        kernels.quantize_dynamic(x, 16, out_codes=x.view(np.uint8)[:32])
    with pytest.raises(ConfigError, match="residual and out_error must not overlap"):
        kernels.compensate_quantize_dynamic(x, residual, 16, residual)
    with pytest.raises(ConfigError, match="codes must have 32 elements, got 31"):
        kernels.dequantize_dynamic(codes[:31], scales, 32, 16)
    with pytest.raises(ConfigError, match="scales must have 2 elements, got 1"):
        kernels.dequantize_dynamic_add(codes, scales[:1], 16, x)
    with pytest.raises(ConfigError, match="out must have dtype float32, got float16"):
        kernels.dequantize_dynamic_add(codes, scales, 16, np.ones(32, np.float16))
    assert (x == 1).all()
