"""float16 on the wire: the bits of IEEE 754's rounding, of all patterns and all ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_inputs import assert_same_bits

from gradwire.kernels import from_float16, reference, to_float16
from gradwire.values import FLOAT16

pytestmark = pytest.mark.usefixtures("each_isa")

ALL = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
NUMBERS = ALL[~np.isnan(ALL)]


def specified(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the specification's bits, which are those of NumPy's cast."""
    return reference.to_float16(x)


def beside(x: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Return numbers with the float32 below and above each."""
    return [np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.float32(np.inf))]


def test_all_patterns_are_widened_exactly() -> None:
    widened = from_float16(ALL)
    assert widened.dtype == np.float32
    assert_same_bits(widened[~np.isnan(ALL)], NUMBERS.astype(np.float32))
    assert np.array_equal(np.isnan(widened), np.isnan(ALL))


def test_all_patterns_come_back() -> None:
    assert_same_bits(to_float16(from_float16(NUMBERS)), NUMBERS)
    back = to_float16(from_float16(ALL))
    assert np.array_equal(np.isnan(back), np.isnan(ALL))
    assert_same_bits(back[~np.isnan(ALL)], NUMBERS)


def test_all_ties_go_to_even_and_what_lies_beside_them_to_the_nearest() -> None:
    magnitudes = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    above = np.append(magnitudes[1:], 65536.0)  # where the next number would be
    ties = ((magnitudes + above) / 2).astype(np.float32)
    for numbers in [*beside(ties), *beside(magnitudes.astype(np.float32))]:
        for signed in (numbers, -numbers):
            assert_same_bits(to_float16(signed), specified(signed))


def test_numbers_of_all_exponents() -> None:
    generator = np.random.default_rng(11)
    bits = generator.integers(0, 1 << 23, (2, 143, 5000), np.uint32)
    bits |= np.arange(143, dtype=np.uint32)[:, None] << np.uint32(23)  # below 2^16
    bits[1] |= np.uint32(1 << 31)
    for numbers in (bits.view(np.float32).reshape(-1), bits[:, :142].view(np.float32).reshape(-1)):
        assert_same_bits(to_float16(numbers), specified(numbers))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
def test_lengths(count: int) -> None:
    x = np.random.default_rng(count).laplace(scale=1e-4, size=count).astype(np.float32)
    assert_same_bits(to_float16(x), specified(x))
    assert_same_bits(from_float16(to_float16(x)), reference.from_float16(specified(x)))


def test_bits_of_nan() -> None:
    x = np.array([0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0xFFA00000], np.uint32).view(np.float32)
    assert to_float16(x).view(np.uint16).tolist() == [0x7E00, 0xFE00, 0x7FFF, 0xFF00]
    assert_same_bits(to_float16(x), specified(x))
    assert_same_bits(from_float16(ALL), reference.from_float16(ALL))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 65520.0, 70000.0, -1e30])
def test_what_is_beyond_the_range(bad: float) -> None:
    x = np.array([1e-6, bad, -2.0], np.float32)
    assert_same_bits(to_float16(x), specified(x))
    encoded = FLOAT16.encode(x)
    assert not encoded.finite()
    assert np.array_equal(encoded.decode()[[0, 2]], specified(x)[[0, 2]].astype(np.float32))
    assert FLOAT16.encode(x[[0, 2]]).finite()


def test_sums_are_those_of_decoded_values() -> None:
    generator = np.random.default_rng(3)
    encoded = FLOAT16.encode(generator.laplace(scale=1e-5, size=1000).astype(np.float32))
    total = generator.laplace(scale=1e-5, size=1000).astype(np.float32)
    expected = total + encoded.decode()
    encoded.add_to(total)
    assert_same_bits(total, expected)


def test_threads_that_flush_denormals_round_alike() -> None:
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        widened = from_float16(NUMBERS)
        found = to_float16(widened[np.abs(NUMBERS) < 65504])
        tiny = to_float16(np.array([1e-45, -1e-40, 1e-38, 2.0**-25, 3e-8], np.float32))
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(widened, NUMBERS.astype(np.float32))
    assert_same_bits(found, NUMBERS[np.abs(NUMBERS) < 65504])
    assert_same_bits(tiny, np.float16([0.0, -0.0, 0.0, 0.0, 2.0**-24]))
