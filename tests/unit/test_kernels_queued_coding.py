"""gradwire.kernels.queued: encoders, and random numbers whose step lies in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_inputs import assert_same_bits, vector
from quantizer_inputs import assert_same_values, guarded, inputs

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream, queued

pytestmark = pytest.mark.usefixtures("each_queue")

SIZES = (0, 1, 17, 513, 9001)
BLOCKS = (0, 16, 512, 2048, 65536)
GRIDS = [(2, "absmax"), (4, "l2"), (8, "absmax"), (1, "minmax"), (5, "minmax")]
STREAM = RandomStream(1, 2, 3, 4, 1, 5)
UNTOUCHED = 77


def at(step: int) -> RandomStream:
    return STREAM._replace(step=step)


def outputs(n: int, bits: int, block: int, scale: str, bytes_: int) -> tuple[dict[str, Any], Any]:
    codes, first = guarded(kernels.code_bytes(n, bits), "uint8", 1)
    scales, second = guarded(kernels.scale_count(n, block, scale), "float32", 2)
    workspace, third = guarded(bytes_, "uint8", 1)
    arrays = {"out_codes": codes, "out_scales": scales, "workspace": workspace}
    return arrays, lambda: first() and second() and third()


def assert_same_codes(result: Any, expected: Any) -> None:
    assert_same_bits(result.codes, expected.codes)
    assert_same_values(result.scales, expected.scales)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("bits", "scale"), GRIDS)
def test_quantisers_are_those_of_the_kernels(size: int, block: int, bits: int, scale: str) -> None:
    """With the step of the memory, which changes between calls, and to nearest."""
    x, residual = inputs(size, "gaussian", size % 7, "float16")[0], vector(size, "ties", 2, 1)
    error, expected_error = np.zeros(size, np.float32), np.zeros(size, np.float32)
    room = queued.quantize_workspace(size, block, scale)
    step = np.zeros(1, np.uint32)
    for now in (9, 2**32 - 1, None):
        random = {} if now is None else {"random": STREAM, "step": step}
        step[0] = now or 0
        expected = None if now is None else at(now)
        out, untouched = outputs(size, bits, block, scale, room)
        result = queued.quantize(x, bits, block, scale=scale, **random, **out)
        want = kernels.quantize(x, bits, block, scale=scale, random=expected)
        assert_same_codes(result, want)
        result = queued.compensate_quantize(
            x, residual, bits, block, error, scale=scale, **random, **out
        )
        want = kernels.compensate_quantize(
            x, residual, bits, block, expected_error, scale=scale, random=expected
        )
        assert_same_codes(result, want)
        assert_same_bits(error, expected_error)
        assert untouched()


@pytest.mark.parametrize("flavour", ["special", "denormal", "bits"])
def test_quantisers_of_all_values(flavour: str) -> None:
    x = vector(5000, flavour, 3)
    for block in BLOCKS:
        out, _ = outputs(5000, 4, block, "absmax", queued.quantize_workspace(5000, block))
        assert_same_codes(queued.quantize(x, 4, block, **out), kernels.quantize(x, 4, block))


def test_without_a_step_the_stream_has_its_own() -> None:
    x = vector(700, "gaussian", 1)
    out, _ = outputs(700, 3, 16, "absmax", 0)
    result = queued.quantize(x, 3, 16, random=STREAM, **out)
    assert_same_codes(result, kernels.quantize(x, 3, 16, random=STREAM))


@pytest.mark.parametrize("block", BLOCKS)
def test_given_scales_are_read(block: int) -> None:
    x = vector(3001, "gaussian", 1)
    given = np.full(kernels.scale_count(3001, block), 1.5, np.float32)
    codes = np.zeros(kernels.code_bytes(3001, 4), np.uint8)
    assert queued.quantize_workspace(3001, block, given=True) == 0
    result = queued.quantize(x, 4, block, given=given, out_codes=codes)
    assert_same_codes(result, kernels.quantize(x, 4, block, given=given))
    assert result.scales is given
    signs = queued.quantize_sign(x, block, given=given, out_codes=codes)
    assert_same_codes(signs, kernels.quantize_sign(x, block, given=given))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", BLOCKS)
def test_signs_are_those_of_the_kernels(size: int, block: int) -> None:
    x, residual = vector(size, "gaussian", 1, 1), vector(size, "ties", 2, 1)
    error, expected_error = np.zeros(size, np.float32), np.zeros(size, np.float32)
    out, untouched = outputs(size, 1, block, "absmax", queued.sign_workspace(size, block))
    assert_same_codes(queued.quantize_sign(x, block, **out), kernels.quantize_sign(x, block))
    result = queued.compensate_sign(x, residual, block, error, **out)
    assert_same_codes(result, kernels.compensate_sign(x, residual, block, expected_error))
    assert_same_bits(error, expected_error)
    assert untouched()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("flavour", ["gaussian", "special"])
def test_natural_codes_are_those_of_the_kernels(size: int, flavour: str) -> None:
    x, step = vector(size, flavour, 4, 1), np.zeros(1, np.uint32)
    for now in (0, 11):
        step[0] = now
        codes, untouched = guarded(size, "uint8", 1)
        not_finite = np.full(1, UNTOUCHED, np.uint32)
        queued.quantize_natural(x, STREAM, codes, not_finite, step)
        expected, finite = kernels.quantize_natural(x, at(now))
        assert_same_bits(codes, expected)
        assert (not_finite[0] == 0) == finite
        assert untouched()


def test_random_numbers_follow_the_step_in_memory() -> None:
    step = np.zeros(1, np.uint32)
    x = vector(4096, "gaussian", 1)
    work, untouched = guarded(queued.random_indices_workspace(70_001), "uint8", 1)
    for now in (0, 12):
        step[0] = now
        bits, places, out = np.zeros(999, np.uint16), np.zeros(600, np.uint32), np.zeros_like(x)
        queued.random_bits(999, STREAM, bits, step)
        assert_same_bits(bits, kernels.random_bits(999, at(now)))
        for k in (0, 600):
            result = queued.random_indices(70_001, k, 1, 2, step, places, work)
            assert_same_bits(result, kernels.random_indices(70_001, k, 1, 2, now))
        for signs in ("before", "after"):
            queued.hadamard(x, 256, out, signs, 1, 2, step, 3, 1)
            expected = kernels.hadamard(x, 256, None, signs, 1, 2, now, 3, 1)
            assert_same_bits(out, expected)
    assert untouched()


def test_workspaces_that_are_not_given_are_taken() -> None:
    x, step = vector(70_000, "gaussian", 1), np.zeros(1, np.uint32)
    out, _ = outputs(70_000, 4, 0, "l2", 0)
    del out["workspace"]
    assert_same_codes(
        queued.quantize(x, 4, 0, scale="l2", **out), kernels.quantize(x, 4, 0, scale="l2")
    )
    signs, _ = outputs(70_000, 1, 0, "absmax", 0)
    del signs["workspace"]
    assert_same_codes(queued.quantize_sign(x, 0, **signs), kernels.quantize_sign(x, 0))
    places = np.zeros(50, np.uint32)
    queued.random_indices(1000, 50, 1, 2, step, places)
    assert_same_bits(places, kernels.random_indices(1000, 50, 1, 2, 0))


REFUSED: dict[str, dict[str, Any]] = {
    "step needs random": {"random": None},
    "step must have dtype uint32": {"step": np.zeros(1, np.int64)},
    "step must have 1 elements": {"step": np.zeros(2, np.uint32)},
    "step must be a NumPy array": {"step": 3},
    "random must be a RandomStream": {"random": 3},
    "block must be a multiple of 16": {"block": 17},
    "bits must be in": {"bits": 9},
    "scale must be absmax, l2 or minmax": {"scale": "mean"},
    "out_scales must be a NumPy array": {"out_scales": None},
    "out_codes must have at least": {"out_codes": np.zeros(5, np.uint8)},
    "workspace must have at least": {
        "block": 0, "scale": "l2", "workspace": np.zeros(9, np.uint8)
    },
}  # fmt: skip


@pytest.mark.parametrize(("message", "changes"), REFUSED.items(), ids=REFUSED)
def test_bad_arguments_are_refused_by_name(message: str, changes: dict[str, Any]) -> None:
    x = vector(70_000, "gaussian", 1)
    given: dict[str, Any] = {
        "bits": 4, "block": 16, "scale": "absmax", "random": STREAM,
        "step": np.zeros(1, np.uint32), "out_codes": np.zeros(35_000, np.uint8),
        "out_scales": np.zeros(4375, np.float32), "workspace": None,
    }  # fmt: skip
    queued.quantize(x, **given)
    with pytest.raises(ConfigError, match=f"queued.quantize: {message}"):
        queued.quantize(x, **{**given, **changes})


def test_signs_and_bits_refuse_what_is_no_step() -> None:
    x = np.zeros(16, np.float32)
    for step in (None, 1, np.zeros(1, np.int32)):
        with pytest.raises(ConfigError, match="step must"):
            queued.hadamard(x, 16, np.zeros_like(x), "before", 1, 2, step)
        with pytest.raises(ConfigError, match="step must"):
            queued.random_bits(3, STREAM, np.zeros(3, np.uint16), step)
