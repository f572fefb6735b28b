"""Vectors that break kernels: special values, ties, sizes around block edges, odd offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

SIZES = (0, 1, 2, 31, 32, 33, 100, 1023, 1024, 1025, 4095, 4097, 65535, 65536, 65537)

# The same examples in every run; running time depends on the machine, so none has a deadline.
quick = settings(max_examples=60, deadline=None, derandomize=True)

_FINITE_BITS = [
    0x00000000, 0x80000000,  # zeros
    0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF,  # smallest and largest denormals
    0x00800000, 0x80800000,  # smallest normals
    0x3F800000, 0xBF800000, 0x3F800001,  # one and its neighbour
    0x7F7FFFFF, 0xFF7FFFFF,  # largest
]  # fmt: skip
_SPECIAL_BITS = [
    0x7F800000, 0xFF800000,  # infinities
    0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7FFFFFFF, 0x7F800001, 0xFFBFFFFF,  # NaNs of both kinds
]  # fmt: skip


def vector(size: int, flavour: str, seed: int, offset: int = 0) -> np.ndarray:
    """Return a float32 vector that starts `offset` elements into its allocation."""
    rng = np.random.default_rng(seed)
    out = np.empty(size + offset, np.float32)[offset:]
    out[:] = _FLAVOURS[flavour](rng, size)
    return out


def doubles(x: np.ndarray, seed: int) -> np.ndarray:
    """Return float64 around the elements of float32 x: themselves, and halfway to a neighbour."""
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        middle = (wide + np.nextafter(x, np.float32(np.inf)).astype(np.float64)) / 2
        choices = [wide, middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)]
    return np.choose(np.random.default_rng(seed).integers(0, 4, x.size), choices)


def _palette(bits: list[int]) -> Any:
    values = np.array(bits, np.uint32).view(np.float32)
    return lambda rng, size: values[rng.integers(0, values.size, size)]


def _sparse(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.where(rng.random(size) < 0.01, rng.standard_normal(size), -0.0)


def _bits(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.integers(0, 2**32, size, np.uint32).view(np.float32)


_FLAVOURS: dict[str, Any] = {
    "gaussian": lambda rng, size: rng.standard_normal(size),
    "ties": lambda rng, size: rng.integers(-3, 4, size),
    "equal": lambda rng, size: np.full(size, -2.5),
    "zeros": lambda rng, size: np.where(rng.random(size) < 0.5, 0.0, -0.0),
    "sparse": _sparse,
    # Magnitudes that agree in their 13 leading bits, then in all but the last ones.
    "narrow": lambda rng, size: 1.0 + rng.integers(0, 2**15, size) * 2.0**-23,
    "narrower": lambda rng, size: 1.0 + rng.integers(0, 2**6, size) * 2.0**-23,
    "denormal": lambda rng, size: rng.integers(-9, 10, size) * 1e-45,
    "finite": _palette(_FINITE_BITS),
    "special": _palette(_FINITE_BITS + _SPECIAL_BITS),
    "bits": _bits,
}
FLAVOURS = tuple(_FLAVOURS)
WITHOUT_NAN = tuple(name for name in FLAVOURS if name not in ("special", "bits"))


def vectors(flavours: tuple[str, ...] = FLAVOURS) -> st.SearchStrategy[np.ndarray]:
    return st.builds(
        vector,
        st.sampled_from(SIZES) | st.integers(0, 300),
        st.sampled_from(flavours),
        st.integers(0, 2**32 - 1),
        st.integers(0, 3),
    )


def subset(n: int, count: int, seed: int) -> np.ndarray:
    """Return `count` strictly increasing uint32 indices below n."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:count]).astype(np.uint32)


def assert_same_bits(result: np.ndarray, expected: np.ndarray) -> None:
    """Equal dtype, shape and bits: NaN payloads and signs of zeros count."""
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert result.tobytes() == expected.tobytes()


def assert_same_selection(result: Any, expected: Any) -> None:
    assert_same_bits(result.indices, expected.indices)
    assert_same_bits(result.values, expected.values)
    assert result.found == expected.found
    # Bits again: NaN can be a threshold.
    assert_same_bits(np.float32([result.threshold]), np.float32([expected.threshold]))


def long_workspace() -> np.ndarray:
    """Return more bytes than other arrays may have elements; untouched they take no memory."""
    try:
        return np.empty(2**32 + 64, np.uint8)
    except MemoryError:
        pytest.skip("needs 4 GiB of address space")
