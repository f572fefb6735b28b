"""Formats of values: sizes, round trips, parts, error feedback, hostile bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits

from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream, reference
from gradwire.values import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    NAMED_FORMATS,
    Sign,
    Uniform,
    ValueFormat,
    plain,
)

STREAM = RandomStream(1, 2, 3, 4)
FORMATS: list[ValueFormat] = [
    *NAMED_FORMATS.values(),
    Uniform(2, 16),
    Uniform(5, 48, "l2"),
    Uniform(3, 0, "minmax", stochastic=True),
    Uniform(8, 65536, stochastic=True),
    Sign(0),
]
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.5, 65504.0, 65519.9, 65520.0, 3e38, 1e-45, 6e-8, 1e-40], np.float32
)


def values_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).laplace(size=count).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 7, 16, 511, 512, 513, 2000])
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_sizes_and_round_trips(form: ValueFormat, count: int) -> None:
    values = values_of(count)
    encoded = form.encode(values, STREAM)
    assert len(encoded) == count and encoded.nbytes == form.nbytes(count)
    decoded = encoded.decode()
    assert decoded.dtype == np.float32 and len(decoded) == count
    assert form.exact == (form == FLOAT32)
    if form.exact:
        assert_same_bits(decoded, values)
    total = np.ones(count, np.float32)
    encoded.add_to(total)
    assert_same_bits(total, np.float32(1) + decoded)
    moved = np.empty(encoded.nbytes + 1, np.uint8)[1:]  # at odd addresses
    moved[:] = encoded.data
    assert_same_bits(form.decode(moved, count), decoded)


def test_formats_are_their_specification() -> None:
    values = values_of(1000)
    assert_same_bits(
        BFLOAT16.encode(values).decode(), reference.from_bfloat16(reference.to_bfloat16(values))
    )
    assert_same_bits(FLOAT16.encode(values).decode(), values.astype(np.float16).astype(np.float32))
    codes, scales = reference.quantize(values, 4, 64, random=STREAM)
    expected = reference.dequantize(codes, scales, 1000, 4, 64)
    assert_same_bits(Uniform(4, 64, stochastic=True).encode(values, STREAM).decode(), expected)
    codes, scales = reference.quantize_sign(values, 64)
    assert_same_bits(
        Sign(64).encode(values).decode(), reference.dequantize_sign(codes, scales, 1000, 64)
    )


def test_rounding_is_to_nearest_even() -> None:
    half = FLOAT16.encode(SPECIAL).decode()
    assert half[4] == half[5] == 65504 and np.isinf(half[6]) and np.isinf(half[7])
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8], np.float32)
    assert list(BFLOAT16.encode(ties).decode()) == [1.0, 1 + 2.0**-6]


def test_float32_is_not_copied() -> None:
    assert np.shares_memory(plain(SPECIAL).decode(), SPECIAL)
    assert np.shares_memory(FLOAT32.encode(SPECIAL).data, SPECIAL)
    for wrong in (SPECIAL.astype(np.float64), SPECIAL[::2], SPECIAL.reshape(1, -1), [1.0]):
        with pytest.raises(ConfigError, match="plain: values must be a contiguous float32 vector"):
            plain(wrong)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_parts_are_what_the_whole_says(form: ValueFormat) -> None:
    count = min(5 * form.alignment + 3, 150_000)
    whole = form.encode(values_of(count), STREAM)
    decoded = whole.decode()
    for begin in range(0, count, form.alignment):
        for end in (begin, min(begin + form.alignment, count), count):
            part = whole.part(begin, end)
            assert part.nbytes == form.nbytes(end - begin)
            assert_same_bits(part.decode(), decoded[begin:end])
        if begin > 8 * form.alignment:
            break


def test_a_part_draws_the_bits_of_the_whole() -> None:
    form, values = Uniform(4, 64, stochastic=True), values_of(2000)
    whole = form.encode(values, STREAM)
    part = form.encode(values[1024:], STREAM._replace(first=1024))
    assert_same_bits(part.data, whole.part(1024, 2000).data)
    with pytest.raises(ConfigError, match="stochastic rounding needs a random stream"):
        form.encode(values)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_what_compensating_leaves_is_the_error(form: ValueFormat) -> None:
    gradient, residual = values_of(1000), values_of(1000)[::-1].copy()
    total = residual + gradient
    acc = gradient.copy()
    encoded = form.compensate(acc, residual, acc, STREAM)
    assert_same_bits(encoded.data, form.encode(total, STREAM).data)
    assert_same_bits(acc, total - encoded.decode())


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_values_are_noticed(form: ValueFormat, bad: float) -> None:
    values = values_of(700)
    assert form.encode(values, STREAM).finite()
    values[600] = bad
    assert not form.encode(values, STREAM).finite()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(0, 600), st.integers(0, 2**32 - 1))
def test_any_bytes_have_a_meaning(form: ValueFormat, count: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, form.nbytes(count), np.uint8)
    decoded = form.decode(data, count)
    assert len(decoded) == count
    if form.finite(data, count) and not isinstance(form, Uniform):
        assert np.isfinite(decoded).all()  # codes beyond the levels may overflow


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Uniform(1, 64), "bits must be an integer >= 2, got 1"),
        (lambda: Uniform(9, 64), "bits must be at most 8, got 9"),
        (lambda: Uniform(4, 24), "block must be a multiple of 16 up to 65536, or 0, got 24"),
        (lambda: Uniform(4, 65552), "block must be a multiple of 16"),
        (lambda: Uniform(4, 64, "max"), "scale must be one of absmax, l2, minmax, got 'max'"),
        (lambda: Sign(-16), "block must be an integer >= 0"),
    ],
)
def test_wrong_parameters(make: object, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make()  # type: ignore[operator]
