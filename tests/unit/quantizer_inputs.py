"""What the tests of quantisers share: element types, odd offsets, comparison of values with NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, doubles, vector

from gradwire.kernels import RandomStream, reference

DTYPES = ("float32", "bfloat16", "float16")
INPUT_DTYPES = (*DTYPES, "float64")
SIZES = (0, 1, 7, 8, 15, 16, 17, 511, 512, 513, 1024, 1039, 3001)
BLOCKS = (0, 16, 48, 512, 528, 2048, 65536)

sizes = st.sampled_from(SIZES) | st.integers(0, 1200)
blocks = st.sampled_from(BLOCKS)
words = st.integers(0, 2**32 - 1)
streams = st.builds(
    RandomStream, words, words, words, st.integers(0, 2**31 - 1), st.integers(0, 1),
    st.integers(0, 1000) | st.integers(2**35 - 600, 2**35) | st.integers(0, 2**62),
)  # fmt: skip


def typed(x: np.ndarray, dtype: str) -> tuple[Any, np.ndarray]:
    """Return x in a dtype (bfloat16 as a torch tensor), and its values in float32.

    As float64 it is x give or take half of its last place.
    """
    if dtype == "float32":
        return x, x
    if dtype == "float64":
        wide = doubles(x, x.size)
        return wide, reference.to_float32(wide)
    with np.errstate(all="ignore"):
        if dtype == "float16":
            half = x.astype(np.float16)
            return half, half.astype(np.float32)
    import torch

    tensor = torch.from_numpy(x.copy()).to(torch.bfloat16)
    return tensor, tensor.to(torch.float32).numpy()


def inputs(size: int, flavour: str, seed: int, dtype: str) -> tuple[Any, np.ndarray]:
    """Return an array that starts at an odd offset, and its values in float32."""
    return typed(vector(size, flavour, seed, seed % 4), dtype)


def assert_same_values(result: np.ndarray, expected: np.ndarray) -> None:
    """The same bits, but for what kind of NaN it is."""
    nan = np.isnan(expected)
    assert (np.isnan(result) == nan).all()
    assert_same_bits(np.where(nan, 0, result).astype(np.float32),
                     np.where(nan, 0, expected).astype(np.float32))  # fmt: skip


def guarded(size: int, dtype: str, seed: int = 0) -> tuple[np.ndarray, Any]:
    """Return an array inside a larger one, and a check that the rest of that is untouched."""
    memory = np.full(size + 64, 77, dtype)
    before, offset = memory.copy(), 32 + seed % 3

    def untouched() -> bool:
        inside = slice(offset, offset + size)
        memory[inside] = before[inside]
        return memory.tobytes() == before.tobytes()

    return memory[offset : offset + size], untouched
