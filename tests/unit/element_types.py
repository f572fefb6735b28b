"""The same vector as every floating-point type, for kernels and for their specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradwire.kernels.reference.casts import narrow, to_bfloat16

ELEMENT_TYPES = ("float32", "bfloat16", "float16")
WITH_FLOAT64 = (*ELEMENT_TYPES, "float64")


def as_type(x: np.ndarray, name: str) -> np.ndarray:
    """Return float32 values as NumPy holds them in a type: bfloat16 as uint16 bits."""
    if name == "bfloat16":
        return to_bfloat16(x)
    return narrow(x, np.dtype(name))


def for_kernel(x: np.ndarray) -> Any:
    """Return what a kernel takes for `as_type`'s array: the same memory, a tensor for bfloat16."""
    if x.dtype != np.uint16:
        return x
    torch = pytest.importorskip("torch")
    return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)


def assert_same_numbers(result: np.ndarray, expected: np.ndarray) -> None:
    """Equal bits, but where both are NaN: whose payload a sum of two NaNs keeps is open."""
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    nan = is_nan(expected)
    assert np.array_equal(is_nan(result), nan)
    assert result[~nan].tobytes() == expected[~nan].tobytes()


def is_nan(x: np.ndarray) -> np.ndarray:
    """Return where x, as `as_type` gives it, is NaN."""
    return (x & 0x7FFF) > 0x7F80 if x.dtype == np.uint16 else np.isnan(x)
