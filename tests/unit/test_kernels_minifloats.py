"""Eight-bit floats and MX blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, assert_same_bits, quick, vector
from quantizer_inputs import DTYPES, INPUT_DTYPES, assert_same_values, guarded, inputs, sizes, typed

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")
torch = pytest.importorskip("torch")

FORMATS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8")
seeds = st.integers(0, 2**32 - 1)
TORCH_TYPES = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


@quick
@given(sizes, st.sampled_from(FLAVOURS), seeds, st.sampled_from(INPUT_DTYPES),
       st.sampled_from(FORMATS[:2]), st.integers(-20, 20))  # fmt: skip
def test_fp8_equals_specification(n, flavour, seed, dtype, format, power):
    with np.errstate(all="ignore"):
        scaled = vector(n, flavour, seed) * np.float32(2.0**power)
    x, wide = typed(scaled, dtype)
    codes = np.asarray(kernels.to_fp8(x, format))
    assert_same_bits(codes, reference.to_fp8(wide, format))
    assert_same_values(kernels.from_fp8(codes, format), reference.from_fp8(codes, format))


@pytest.mark.parametrize("format", FORMATS[:2])
def test_all_codes_are_those_of_torch(format):
    codes = np.arange(256, dtype=np.uint8)
    theirs = torch.from_numpy(codes.copy()).view(TORCH_TYPES[format]).float().numpy()
    assert_same_values(kernels.from_fp8(codes, format), theirs)
    values = theirs[np.isfinite(theirs)]
    between = np.concatenate([values, (values[1:] + values[:-1]) / 2, values * np.float32(1.01)])
    inside = between[np.abs(between) <= np.abs(values).max()]
    expected = torch.from_numpy(inside).to(TORCH_TYPES[format]).view(torch.uint8).numpy()
    assert_same_bits(kernels.to_fp8(inside, format), expected)


def test_what_is_beyond_8_bits():
    x = np.array([1e9, -1e9, np.inf, -np.inf, np.nan, 464, 61440], np.float32)
    largest = np.array([448, -448, np.nan, np.nan, np.nan, 448, 448], np.float32)
    assert_same_values(kernels.from_fp8(kernels.to_fp8(x, "e4m3"), "e4m3"), largest)
    largest = np.array([57344, -57344, np.inf, -np.inf, np.nan, 448, 57344], np.float32)
    assert_same_values(kernels.from_fp8(kernels.to_fp8(x, "e5m2"), "e5m2"), largest)


@quick
@given(sizes, st.sampled_from(FLAVOURS), seeds, st.sampled_from(INPUT_DTYPES),
       st.sampled_from(FORMATS))  # fmt: skip
def test_mx_equals_specification(n, flavour, seed, dtype, format):
    x, wide = inputs(n, flavour, seed, dtype)
    codes, scales = kernels.quantize_mx(x, format)
    expected = reference.quantize_mx(wide, format)
    assert_same_bits(np.asarray(scales), expected[1])
    assert_same_bits(np.asarray(codes), expected[0])
    values = kernels.dequantize_mx(codes, scales, n, format)
    assert_same_values(np.asarray(values), reference.dequantize_mx(*expected, n, format))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [4095, 4096, 4097, 9001])
def test_long_vectors_equal_specification(size, format):
    x = vector(size, "bits", size, size % 4)
    codes, scales = kernels.quantize_mx(x, format)
    expected = reference.quantize_mx(x, format)
    assert_same_bits(scales, expected[1])
    assert_same_bits(codes, expected[0])
    values = reference.dequantize_mx(*expected, size, format)
    assert_same_values(kernels.dequantize_mx(codes, scales, size, format), values)
    if format in TORCH_TYPES:
        codes = kernels.to_fp8(x, format)
        assert_same_bits(codes, reference.to_fp8(x, format))
        assert_same_values(kernels.from_fp8(codes, format), reference.from_fp8(codes, format))


@quick
@given(sizes, seeds, st.sampled_from(DTYPES), st.sampled_from(FORMATS))
def test_any_bytes_are_mx_blocks(n, seed, dtype, format):
    rng = np.random.default_rng(seed)
    size = reference.quantize_mx(np.zeros(n, np.float32), format)[0].size
    codes, codes_untouched = guarded(size, "uint8", seed)
    codes[:] = rng.integers(0, 256, codes.size)
    scales = rng.integers(0, 256, -(-n // 32)).astype(np.uint8)
    expected = reference.dequantize_mx(codes, scales, n, format)
    out, untouched = typed(np.zeros(n, np.float32), dtype)[0], lambda: True
    if dtype == "float32":
        out, untouched = guarded(n, "float32", seed)
    kernels.dequantize_mx(codes, scales, n, format, out)
    values = np.asarray(out if dtype != "bfloat16" else out.float()).astype("f4")
    assert_same_values(values, typed(expected, dtype)[1])
    assert untouched()
    assert codes_untouched()


def test_mx_keeps_what_its_elements_can_hold():
    x = np.array([6, -3, 0.5, -0.0, 1.5] * 12, np.float32) * np.float32(2.0**-30)
    codes, scales = kernels.quantize_mx(x, "e2m1")
    assert scales.tolist() == [127 - 30] * 2
    assert_same_bits(kernels.dequantize_mx(codes, scales, 60, "e2m1"), x)


@pytest.mark.parametrize("format", FORMATS)
def test_non_finite_elements_show_in_their_block(format):
    x = np.ones(96, np.float32)
    x[40] = np.inf
    codes, scales = kernels.quantize_mx(x, format)
    assert scales[1] == 255
    values = kernels.dequantize_mx(codes, scales, 96, format)
    assert np.isnan(values).tolist() == [False] * 32 + [True] * 32 + [False] * 32


def test_unknown_formats_and_wrong_lengths_are_refused():
    x = np.ones(32, np.float32)
    with pytest.raises(ConfigError, match="to_fp8: format must be one of e4m3, e5m2, got 'e2m1'"):
        kernels.to_fp8(x, "e2m1")
    with pytest.raises(ConfigError, match=r"quantize_mx: format must be one of .*, int8, got .fp4"):
        kernels.quantize_mx(x, "fp4")
    with pytest.raises(ConfigError, match="codes must have 16 elements, got 15"):
        kernels.dequantize_mx(np.zeros(15, np.uint8), np.zeros(1, np.uint8), 32, "e2m1")
