"""Uniform quantisation: parity with the specification, bounds, and what is refused."""

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
    streams,
    typed,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream, reference

pytestmark = pytest.mark.usefixtures("each_isa")
pytest.importorskip("torch")

SCALES = ("absmax", "l2", "minmax")
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grids(draw):
    scale = draw(st.sampled_from(SCALES))
    bits = draw(st.integers(1 if scale == "minmax" else 2, 8))
    most = 2 ** (bits - 1) - 1
    levels = None if scale == "minmax" else draw(st.none() | st.integers(1, most))
    return bits, {"scale": scale, "levels": levels}


@quick
@given(st.integers(0, 2000), streams)
def test_random_bits_equal_specification(n, random):
    assert_same_bits(kernels.random_bits(n, random), reference.random_bits(n, random))


@pytest.mark.parametrize("first", [0, 3, 2**35 - 1000])
def test_many_random_bits_equal_specification(first):
    random = RandomStream(1, 2, 3, first=first)
    out, untouched = guarded(5001, "uint16", first)
    kernels.random_bits(5001, random, out)
    assert_same_bits(out, reference.random_bits(5001, random))
    assert untouched()


def test_random_bits_are_halves_of_philox_words():
    random = RandomStream(1, 2, 3, rank=4, phase=1, first=2**35 + 8)
    block = kernels.philox4x32([1, 1, 3, 4 | 1 << 31], [1, 2])
    halves = [half for word in block for half in (word & 0xFFFF, word >> 16)]
    assert kernels.random_bits(8, random).tolist() == halves


@quick
@given(sizes, st.sampled_from(FLAVOURS), seeds, st.sampled_from(INPUT_DTYPES), blocks, grids(),
       st.none() | streams)  # fmt: skip
def test_quantize_equals_specification(n, flavour, seed, dtype, block, grid, random):
    x, wide = inputs(n, flavour, seed, dtype)
    bits, how = grid
    codes, scales = kernels.quantize(x, bits, block, random=random, **how)
    expected = reference.quantize(wide, bits, block, random=random, **how)
    assert_same_bits(np.asarray(scales), expected[1])
    assert_same_bits(np.asarray(codes), expected[0])
    values = kernels.dequantize(codes, scales, n, bits, block, **how)
    assert_same_values(np.asarray(values), reference.dequantize(*expected, n, bits, block, **how))


@quick
@given(sizes, st.sampled_from(FLAVOURS), seeds, st.sampled_from(INPUT_DTYPES), blocks, grids(),
       st.none() | streams, st.booleans(), st.booleans())  # fmt: skip
def test_compensate_quantize_equals_specification(
    n, flavour, seed, dtype, block, grid, random, in_place, with_given
):
    gradient, wide = inputs(n, flavour, seed, dtype)
    residual = vector(n, flavour, seed + 1, 1)
    bits, how = grid
    if with_given:
        count = kernels.scale_count(n, block, how["scale"])
        how = {**how, "given": np.abs(vector(count, flavour, seed + 2))}
    expected_error = np.empty(n, np.float32)
    expected = reference.compensate_quantize(
        wide, residual, bits, block, expected_error, random=random, **how
    )
    error = gradient if in_place and dtype == "float32" else np.empty(n, np.float32)
    before = residual.copy()
    result = kernels.compensate_quantize(
        gradient, residual, bits, block, error, random=random, **how
    )
    assert_same_bits(np.asarray(result.codes), expected[0])
    assert_same_bits(np.asarray(result.scales), expected[1])
    assert_same_values(error, expected_error)
    assert_same_bits(residual, before)


@quick
@given(sizes, seeds, st.sampled_from(DTYPES), blocks, grids(), st.sampled_from(FLAVOURS))
def test_any_bytes_decode_inside_the_buffers(n, seed, dtype, block, grid, flavour):
    bits, how = grid
    rng = np.random.default_rng(seed)
    codes, codes_untouched = guarded(kernels.code_bytes(n, bits), "uint8", seed)
    codes[:] = rng.integers(0, 256, codes.size)
    scales = vector(kernels.scale_count(n, block, how["scale"]), flavour, seed)
    expected = reference.dequantize(codes, scales, n, bits, block, **how)
    out, untouched = typed(np.zeros(n, np.float32), dtype)[0], lambda: True
    if dtype == "float32":
        out, untouched = guarded(n, "float32", seed)
    kernels.dequantize(codes, scales, n, bits, block, out=out, **how)
    rounded = typed(expected, dtype)[1]
    assert_same_values(
        np.asarray(out if dtype != "bfloat16" else out.float()).astype("f4"), rounded
    )
    total = vector(n, "gaussian", seed + 1)
    sums = total.copy()
    kernels.dequantize_add(codes, scales, bits, block, sums, **how)
    reference.dequantize_add(codes, scales, bits, block, total, **how)
    assert_same_values(sums, total)
    assert untouched()
    assert codes_untouched()


# More than a few chunks, whole and cut ones; blocks that are in chunks, around them and neither.
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("n", "block"), [(8192, 512), (9001, 16), (9001, 256), (9001, 528),
                                          (9001, 2048), (70_001, 65536), (70_001, 0)])  # fmt: skip
def test_long_vectors_equal_specification(n, block, scale):
    gradient, residual = vector(n, "gaussian", 7, block % 3), vector(n, "gaussian", 8)
    random = RandomStream(1, 2, 3, first=2**35 - 1005)
    codes, untouched = guarded(kernels.code_bytes(n, 5), "uint8", block + 1)
    error, expected_error = np.empty((2, n), np.float32)
    result = kernels.compensate_quantize(
        gradient, residual, 5, block, error, scale=scale, random=random, out_codes=codes
    )
    expected = reference.compensate_quantize(
        gradient, residual, 5, block, expected_error, scale=scale, random=random
    )
    assert_same_bits(result.scales, expected[1])
    assert_same_bits(codes, expected[0])
    assert_same_bits(error, expected_error)
    values = reference.dequantize(*expected, n, 5, block, scale=scale)
    assert_same_bits(kernels.dequantize(codes, result.scales, n, 5, block, scale=scale), values)
    kernels.dequantize_add(codes, result.scales, 5, block, gradient[:n], scale=scale)
    assert_same_bits(gradient, vector(n, "gaussian", 7) + values)
    assert untouched()


@quick
@given(sizes, st.sampled_from(WITHOUT_NAN), seeds, blocks, grids(), st.none() | streams)
def test_finite_elements_decode_within_a_step(n, flavour, seed, block, grid, random):
    x = vector(n, flavour, seed)
    bits, how = grid
    codes, scales = kernels.quantize(x, bits, block, random=random, **how)
    values = kernels.dequantize(codes, scales, n, bits, block, **how)
    assert np.isfinite(values).all()
    number = np.arange(n) // (block or max(n, 1))
    wide = scales.astype(np.float64)
    if how["scale"] == "minmax":
        low, high = wide[::2][number], wide[1::2][number]
        step, largest = (high - low) / (2**bits - 1), np.maximum(np.abs(low), np.abs(high))
        assert ((values >= low) & (values <= high)).all()
    else:
        step, largest = wide[number] / (how["levels"] or 2 ** (bits - 1) - 1), wide[number]
    slack = largest * 2.0**-20 + 2.0**-148
    error = np.abs(values - x.astype(np.float64))
    assert (error <= step * (0.5 if random is None else 1) + slack).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("place", [0, 17, 63])
def test_non_finite_elements_show_in_the_scale_and_nowhere_else(bad, scale, place):
    x = vector(192, "gaussian", 1)
    x[64 + place] = bad
    codes, scales = kernels.quantize(x, 4, 64, scale=scale)
    values = kernels.dequantize(codes, scales, 192, 4, 64, scale=scale)
    assert np.isnan(values).tolist() == [False] * 64 + [True] * 64 + [False] * 64


@pytest.mark.parametrize("flavour", ["gaussian", "denormal", "equal", "ties"])
@pytest.mark.parametrize("scale", SCALES)
def test_stochastic_rounding_is_unbiased(scale, flavour):
    x, draws = vector(512, flavour, 3), 400
    total, square = np.zeros(512), np.zeros(512)
    for step in range(draws):
        random = RandomStream(7, 1, step)
        codes, scales = kernels.quantize(x, 3, 128, scale=scale, random=random)
        values = kernels.dequantize(codes, scales, 512, 3, 128, scale=scale).astype(np.float64)
        total += values
        square += (values - x) ** 2
    error, variance = total / draws - x, square / draws
    # Denormals are rounded to their own last place on top.
    assert (error**2).sum() <= 1.5 * variance.sum() / draws + 512 * 2.0**-300 + 1e-14


def test_rounding_to_nearest_sends_ties_to_even():
    x = np.array([-7, -6.5, -5.5, -0.5, 0.5, 1.5, 2.5, 7] * 2, np.float32)
    codes, scales = kernels.quantize(x, 4, 16)
    assert scales.tolist() == [7]
    values = kernels.dequantize(codes, scales, 16, 4, 16)
    assert values.tolist() == [-7, -6, -6, 0, 0, 2, 2, 7] * 2


def test_codes_are_planes_of_chunks():
    x = np.zeros(520, np.float32)
    x[[0, 9, 519]] = [1, -1, 1]  # codes 2, 0, 2; all others 1
    codes, _ = kernels.quantize(x, 2, 0, levels=1)
    low, high = np.packbits(x == 0, bitorder="little"), np.packbits(x > 0, bitorder="little")
    assert codes.tolist() == [*low[:64], *high[:64], low[64], high[64]]


def test_terngrad_with_shared_scales():
    x = vector(1000, "gaussian", 5)
    shared = np.float32([np.abs(x).max() * 2])
    random = RandomStream(1, kernels.fnv1a32("layer"), 9)
    codes, scales = kernels.quantize(x, 2, 0, levels=1, random=random, given=shared)
    assert scales is shared
    values = kernels.dequantize(codes, shared, 1000, 2, 0, levels=1)
    assert set(values.tolist()) == {0.0, float(shared[0]), -float(shared[0])}
    assert (values * x >= 0).all()


def test_a_part_of_a_tensor_uses_the_bits_of_the_whole():
    x = vector(3000, "gaussian", 6)
    whole = kernels.quantize(x, 4, 512, random=RandomStream(1, 2, 3, first=5))
    part = kernels.quantize(x[1024:], 4, 512, random=RandomStream(1, 2, 3, first=5 + 1024))
    assert_same_bits(part.codes, whole.codes[4 * 128 :])


def test_results_keep_denormals_when_the_thread_flushes_them():
    import torch

    x = vector(512, "denormal", 2)
    expected = reference.quantize(x, 4, 64)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        result = kernels.quantize(x, 4, 64)
        values = kernels.dequantize(*result, 512, 4, 64)
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(result.codes, expected[0])
    assert_same_bits(values, reference.dequantize(*expected, 512, 4, 64))


REFUSED = {
    "bits must be in [2, 8], got 9": {"bits": 9},
    "bits must be in [2, 8], got 1": {"bits": 1},
    "bits must be an integer, got 2.5": {"bits": 2.5},
    "block must be a multiple of 16, got 8": {"block": 8},
    "block must be in [0, 65536], got -16": {"block": -16},
    "levels must be in [1, 7], got 8": {"levels": 8},
    "levels must be None with minmax": {"levels": 3, "scale": "minmax"},
    "scale must be absmax, l2 or minmax, got 'max'": {"scale": "max"},
    "random must be a RandomStream": {"random": 3},
    "random.phase must be in [0, 1], got 2": {"random": RandomStream(1, 2, 3, phase=2)},
    "given must have 1 elements, got 2": {"given": np.ones(2, np.float32)},
    "out_codes must have at least 8 elements, got 7": {"out_codes": np.empty(7, np.uint8)},
    "out_scales must have dtype float32, got": {"out_scales": np.empty(9)},
}


@pytest.mark.parametrize(("message", "arguments"), REFUSED.items(), ids=REFUSED)
def test_bad_arguments_are_refused_by_name(message, arguments):
    import re

    with pytest.raises(ConfigError, match=re.escape(f"quantize: {message}")):
        kernels.quantize(np.ones(16, np.float32), **{"bits": 4, "block": 16, **arguments})


def test_overlap_is_refused():
    x = np.ones(64, np.float32)
    with pytest.raises(ConfigError, match="x and out_codes must not overlap"):
        kernels.quantize(x, 4, 16, out_codes=x.view(np.uint8)[:32])
    with pytest.raises(ConfigError, match="residual and out_error must not overlap"):
        kernels.compensate_quantize(x, x, 4, 16, x)
    with pytest.raises(ConfigError, match="gradient and out_error must not overlap"):
        kernels.compensate_quantize(x[:32], np.ones(32, np.float32), 4, 16, x[16:48])
    scales, codes = np.ones(1, np.float32), np.ones(2, np.uint8)
    with pytest.raises(ConfigError, match="scales and out must not overlap"):
        kernels.dequantize(codes, scales, 1, 2, 16, out=scales)


def test_decoders_refuse_wrong_lengths():
    codes, scales, out = np.ones(32, np.uint8), np.ones(4, np.float32), np.ones(64, np.float32)
    with pytest.raises(ConfigError, match="codes must have 32 elements, got 31"):
        kernels.dequantize(codes[:31], scales, 64, 4, 16)
    with pytest.raises(ConfigError, match="scales must have 4 elements, got 3"):
        kernels.dequantize_add(codes, scales[:3], 4, 16, out)
    assert (out == 1).all()
