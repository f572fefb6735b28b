"""add, scale and scale_add."""

from __future__ import annotations

import numpy as np
import pytest
from element_types import ELEMENT_TYPES, as_type, assert_same_numbers, for_kernel
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, assert_same_bits, quick, vector, vectors

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

FACTORS = [1.0, -0.25, 1 / 3, 1e-40, 1e39, 0.0, 65504.0]
# Types of the two inputs and the output of add; those of scale are the last two.
COMBINATIONS = [(name, name, out) for name in ELEMENT_TYPES for out in {name, "float32"}]
ADD_COMBINATIONS = [*COMBINATIONS, ("float32", "bfloat16", "float32"),
                    ("float32", "float16", "float32")]  # fmt: skip


def empty(size: int, dtype: str) -> np.ndarray:
    return as_type(np.full(size, 7, np.float32), dtype)


@quick
@given(
    vectors(), st.sampled_from(sorted(ADD_COMBINATIONS)), st.sampled_from(FLAVOURS),
    st.integers(0, 2**32 - 1), st.sampled_from(["new", "a", "b"]),
)  # fmt: skip
def test_add_equals_specification(x, types, flavour, seed, place):
    a, b = as_type(x, types[0]), as_type(vector(x.size, flavour, seed, 1), types[1])
    expected = reference.add(a, b, empty(0, types[2]).dtype)
    out = {"a": a, "b": b}.get(place, empty(x.size, types[2]))
    if out.dtype != expected.dtype:
        out = empty(x.size, types[2])
    kernels.add(for_kernel(a), for_kernel(b), for_kernel(out))
    assert_same_numbers(out, expected)


@quick
@given(
    vectors(), st.sampled_from(sorted(COMBINATIONS)), st.sampled_from(FACTORS),
    st.sampled_from(FLAVOURS), st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
def test_products_equal_specification(x, types, factor, flavour, seed, in_place):
    x, out = as_type(x, types[0]), as_type(vector(x.size, flavour, seed, 1), types[2])
    expected = reference.scale_add(x, factor, out)
    kernels.scale_add(for_kernel(x), factor, for_kernel(out))
    assert_same_numbers(out, expected)
    expected = reference.scale(x, factor, out.dtype)
    if in_place and types[0] == types[2]:
        out = x
    kernels.scale(for_kernel(x), factor, for_kernel(out))
    assert_same_numbers(out, expected)


def test_outputs_are_allocated_with_the_type_of_the_first_input():
    x = np.float16([1, 2])
    for result in (kernels.add(x, x), kernels.scale(x, 2)):
        assert_same_bits(result, np.float16([2, 4]))
    torch = pytest.importorskip("torch")
    doubled = kernels.scale(torch.ones(3, dtype=torch.bfloat16), 2)
    assert doubled.dtype == torch.bfloat16
    assert doubled.tolist() == [2, 2, 2]


def test_mixed_types_overlaps_and_lengths_are_refused():
    x, half = np.ones(4, np.float32), np.ones(4, np.float16)
    with pytest.raises(ConfigError, match="add: b must have the dtype of a, float16, got float32"):
        kernels.add(half, x)
    with pytest.raises(ConfigError, match="scale: out must have the dtype of x, float32"):
        kernels.scale(x, 2, half)
    with pytest.raises(ConfigError, match="add: a and out must not overlap"):
        kernels.add(x[:3], x[:3].copy(), x[1:])
    with pytest.raises(ConfigError, match="scale: x and out must not overlap"):
        kernels.scale(half[:2], 2, half.view(np.float32)[:2])
    with pytest.raises(ConfigError, match="scale_add: out must have as many elements as x"):
        kernels.scale_add(x, 2, x[:2].copy())
    with pytest.raises(ConfigError, match="factor must be a number"):
        kernels.scale(x, None)


def test_denormals_are_kept_when_the_thread_flushes_them():
    torch = pytest.importorskip("torch")
    tiny = np.full(17, 4e-45, np.float32)  # three times the smallest denormal
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        results = [
            kernels.add(tiny, tiny),
            kernels.scale(tiny, 2.0),
            kernels.scale(np.full(17, 2.0, np.float32), 3 * 2.0**-149),
            kernels.scale_add(tiny, 1.0, tiny.copy()),
        ]
    finally:
        torch.set_flush_denormal(False)
    for result in results:
        assert result.view(np.uint32).tolist() == [6] * 17
