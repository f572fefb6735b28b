"""float64 inputs: the same results as of what NumPy rounds them to."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import (
    FLAVOURS,
    assert_same_bits,
    assert_same_selection,
    doubles,
    quick,
    vector,
    vectors,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream, reference

pytestmark = pytest.mark.usefixtures("each_isa")

LAST_PLACE = 2.0**-149  # of float32's denormals
HOSTILE = [
    0.0, -0.0, 1e300, -1e300, np.inf, -np.inf,
    5e-324, -5e-324, 2.2250738585072014e-308,  # float64's smallest numbers
    LAST_PLACE, LAST_PLACE / 2, np.nextafter(LAST_PLACE / 2, 1), LAST_PLACE * 1.5, -3.3e-40,
    2.0**-126, np.nextafter(2.0**-126, 0), 2.0**-126 - LAST_PLACE / 2,  # denormal, rounded or not
    1 + 2.0**-24, 1 + 3 * 2.0**-24, np.nextafter(1 + 2.0**-24, 2), np.nextafter(1 + 2.0**-24, 0),
    2.0**128 - 2.0**103, np.nextafter(2.0**128 - 2.0**103, 0), 3.4028234663852886e38, 2.0**128,
]  # fmt: skip
NANS = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FF4000020000000,
        0xFFF0000000000001, 0xFFFFFFFFFFFFFFFF, 0x7FFABCDEF1234567]  # fmt: skip


def hostile(size: int, seed: int, with_nan: bool = True) -> np.ndarray:
    """Return numbers that are hard to round, one element into their memory."""
    bits = np.float64(HOSTILE).view(np.uint64)
    if with_nan:
        bits = np.concatenate([bits, np.array(NANS, np.uint64)])
    chosen = np.random.default_rng(seed).integers(0, bits.size, size + 1)
    return bits[chosen].view(np.float64)[1:]


def denormals(size: int, seed: int) -> np.ndarray:
    """Return numbers that are denormal in float32, most of them after rounding."""
    return np.random.default_rng(seed).uniform(-(2.0**-126), 2.0**-126, size)


def assert_read_as_rounded(x: np.ndarray) -> None:
    """Every operation that reads x alone makes of it what it makes of the rounded vector."""
    wide, n = reference.to_float32(x), x.size
    for k in (1, 300):
        assert_same_selection(kernels.topk(x, k), reference.topk(wide, k))
        kth = np.float32([kernels.kth_magnitude(x, k)])
        assert_same_bits(kth, np.float32([reference.kth_magnitude(wide, k)]))
    chosen = kernels.select(x, 1.0, np.empty(400, np.uint32), np.empty(400, np.float32))
    assert_same_selection(chosen, reference.select(wide, 1.0, 400))
    assert kernels.finite_check(x) is reference.finite_check(wide)
    assert_same_bits(np.float32([kernels.absmax(x)]), np.float32([reference.absmax(wide)]))
    assert_same_bits(kernels.histogram(x, 0, 18), reference.histogram(wide, 0, 18))
    for order in (1, 2):
        norm, expected = kernels.norm(x, order), reference.norm(wide, order)
        assert norm == expected or (np.isnan(norm) and np.isnan(expected))
    random = RandomStream(1, 2, 3)
    results = zip(encoded(x, random), encoded(wide, random), strict=True)
    for result, expected in results:
        assert_same_bits(result, expected)
    assert n == kernels.topk(x, n).found + np.count_nonzero(wide == 0)


def encoded(x: np.ndarray, random: RandomStream) -> Iterator[np.ndarray]:
    """Give the codes and scales of all encoders; of float32 other tests compare them."""
    yield from kernels.quantize(x, 4, 64)
    yield from kernels.quantize_sign(x, 64)
    yield kernels.quantize_natural(x, random)[0]
    yield kernels.to_fp8(x, "e5m2")
    yield from kernels.quantize_mx(x, "e4m3")


@quick
@given(vectors(), st.integers(0, 2**32 - 1))
def test_vectors_are_rounded_as_they_are_read(x, seed):
    assert_read_as_rounded(doubles(x, seed))


@pytest.mark.parametrize("size", [1, 15, 16, 100, 5000, 70_001])
@pytest.mark.parametrize("with_nan", [False, True])
def test_what_is_hard_to_round(size, with_nan):
    assert_read_as_rounded(hostile(size, size, with_nan))


def test_a_nan_is_made_quiet_and_keeps_its_sign_and_leading_bits():
    bits = np.array(NANS, np.uint64)
    sign, payload = bits >> np.uint64(63) << np.uint64(31), bits >> np.uint64(29)
    expected = sign | np.uint64(0x7FC00000) | payload & np.uint64(0x3FFFFF)
    values = kernels.topk(bits.view(np.float64), bits.size).values
    assert values.view(np.uint32).tolist() == expected.tolist()


def test_beyond_float32_is_infinity_which_finite_check_reports():
    x = np.ones(100)
    assert kernels.finite_check(x)
    x[70] = 1e300
    assert not kernels.finite_check(x)
    assert kernels.absmax(x) == np.inf
    assert np.isnan(kernels.quantize(x, 8, 0).scales).all()


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("size", [15, 70_001])
def test_compensated(size, flavour):
    gradient, residual = doubles(vector(size, flavour, 1), 1), vector(size, "gaussian", 2)
    wide = reference.to_float32(gradient)
    acc, expected_acc = np.empty(size, np.float32), np.empty(size, np.float32)
    expected = reference.compensate_topk(wide, residual, 100, 0.0, expected_acc)
    assert_same_selection(kernels.compensate_topk(gradient, residual, 100, 0.0, acc), expected)
    assert_same_bits(acc, expected_acc)
    indices, values = np.empty(size, np.uint32), np.empty(size, np.float32)
    selected = kernels.compensate_select(gradient, residual, 1.0, acc, indices, values)
    assert_same_selection(selected, reference.select(expected_acc, 1.0))
    for nesterov in (False, True):
        momentum, updated = vector(size, "gaussian", 3), np.empty(size, np.float32)
        expected_momentum = np.empty_like(updated)
        reference.momentum(wide, momentum, residual, 0.9, expected_momentum, expected_acc, nesterov)
        kernels.momentum_topk(
            gradient, momentum, residual, 0.9, 100, 0.0, updated, acc, nesterov=nesterov
        )
        assert_same_bits(updated, expected_momentum)
        assert_same_bits(acc, expected_acc)


def test_a_gradient_of_another_size_cannot_be_overwritten():
    gradient, residual = np.ones(64), np.zeros(64, np.float32)
    start = gradient.view(np.float32)[:64]
    own = np.empty(64, np.float32)
    message = "must have dtype float32, got float64"
    with pytest.raises(ConfigError, match=f"out_acc {message}"):
        kernels.compensate_topk(gradient, residual, 1, 0.0, gradient)
    with pytest.raises(ConfigError, match=f"out_error {message}"):
        kernels.compensate_quantize(gradient, residual, 8, 0, gradient)
    with pytest.raises(ConfigError, match="gradient and out_acc must not overlap"):
        kernels.compensate_topk(gradient, residual, 1, 0.0, start)
    with pytest.raises(ConfigError, match="gradient and out_error must not overlap"):
        kernels.compensate_quantize(gradient, residual, 8, 0, start)
    with pytest.raises(ConfigError, match="gradient and out_error must not overlap"):
        kernels.compensate_sign(gradient, residual, 0, start)
    with pytest.raises(ConfigError, match="gradient and out_momentum must not overlap"):
        kernels.momentum_topk(gradient, residual, residual, 0.9, 1, 0.0, start, own)
    half = np.ones(64, np.float32)  # half of it is a gradient, all of it the accumulator
    with pytest.raises(ConfigError, match="gradient and out_acc must not overlap"):
        kernels.compensate_topk(half.view(np.float16)[:64], residual, 1, 0.0, half)
    assert (gradient == 1).all()


def test_outputs_are_not_float64():
    codes, scales = kernels.quantize(np.ones(64), 8, 0)
    with pytest.raises(ConfigError, match=r"out must have dtype float32 .*, got float64"):
        kernels.dequantize(codes, scales, 64, 8, 0, out=np.empty(64))


def test_tensors_too():
    torch = pytest.importorskip("torch")
    x = hostile(1000, 1)
    result = kernels.topk(torch.from_numpy(x), 9)
    assert result.values.dtype == torch.float32
    assert_same_bits(result.values.numpy(), reference.topk(reference.to_float32(x), 9).values)


@contextmanager
def flushing() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def rounding_up() -> Iterator[None]:
    if sys.platform != "linux":
        pytest.skip("where fesetround is, and what it takes, depends on the platform")
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("FE_UPWARD is another number here")
    library, upward = ctypes.CDLL("libm.so.6"), 0x800
    assert library.fesetround(upward) == 0
    try:
        yield
    finally:
        library.fesetround(0)


def own_operations(x: np.ndarray) -> list[Any]:
    """Return the results of everything that reads x, as bytes."""
    n, zeros = x.size, np.zeros(x.size, np.float32)
    acc, updated, indices, values = np.empty((4, n), np.float32)
    room = indices.view(np.uint32), values
    calls: list[Callable[[], Any]] = [
        lambda: [kernels.absmax(x), kernels.kth_magnitude(x, n // 2), kernels.topk(x, 1).threshold],
        lambda: [kernels.norm(x, 1), kernels.norm(x, 2), kernels.finite_check(x)],
        lambda: kernels.histogram(x, 0, 18),
        lambda: kernels.topk(x, n // 2)[:2],
        lambda: kernels.select(x, 1e-40, *room)[:2],
        lambda: [kernels.select(x, threshold, *room).threshold for threshold in (0.1, 0.3, 3e-40)],
        lambda: (
            *kernels.momentum_select(x, zeros + 1, zeros, 0.3, 0.1, updated, acc, *room)[:2],
            *(updated, acc),
        ),
        lambda: (*kernels.compensate_topk(x, zeros, 9, 0.0, acc)[:2], acc),
        lambda: (*kernels.compensate_select(x, zeros, 1e-40, acc, *room)[:2], acc),
        lambda: (*kernels.compensate_quantize(x, zeros, 8, 64, acc), acc),
        lambda: (*kernels.compensate_sign(x, zeros, 64, acc), acc),
        lambda: list(encoded(x, RandomStream(1, 2, 3))),
    ]
    return [b"".join(np.asarray(part).tobytes() for part in call()) for call in calls]


@pytest.mark.parametrize("environment", [flushing, rounding_up])
@pytest.mark.parametrize("size", [100, 70_001])
def test_results_do_not_depend_on_the_floating_point_environment(environment, size):
    for x in (denormals(size, 1), 1 + denormals(size, 2) * 2.0**102):
        expected = own_operations(x)
        with environment():
            found = own_operations(x)
        assert found == expected
