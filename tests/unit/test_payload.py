"""Payloads: parts that belong together, value formats, tails, scaling."""

import numpy as np
import pytest
from kernel_inputs import assert_same_bits

from gradwire.errors import ConfigError, GradwireError
from gradwire.payload import Payload, ValueFormat, dtype_of, format_of, from_format, to_format

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.5, 65504.0, 65519.9, 65520.0, 3e38, 1e-45, 6e-8, 1e-40], np.float32
)


def entries(*indices: int) -> dict[str, np.ndarray]:
    return {
        "indices": np.array(indices, np.uint32),
        "values": np.arange(1, len(indices) + 1, dtype=np.float32),
    }


def test_empty() -> None:
    payload = Payload()
    assert (payload.numel, payload.budget, len(payload.indices), len(payload.dense)) == (0, 0, 0, 0)
    assert payload.finite()


@pytest.mark.parametrize(
    "parts",
    [
        {"numel": 5, "indices": np.zeros(1, np.uint32), "budget": 5},
        {"numel": 5, "values": np.zeros(1, np.float32), "budget": 5},
        {"numel": 5, "budget": 6},
        {"numel": 5, "budget": 1, **entries(1, 2)},
        {"numel": 0, "budget": 1, **entries(0)},
        {"numel": -1},
        {"budget": -1},
        {"dense": np.zeros(3)},
        {"dense": np.zeros(3, np.int16)},
        {"numel": 5, "budget": 1, "indices": np.zeros(1, np.uint32), "values": np.zeros(1)},
        {
            "numel": 5,
            "budget": 1,
            "indices": np.zeros(1, np.int64),
            "values": np.zeros(1, np.float32),
        },
    ],
)
def test_parts_that_do_not_belong_together(parts: dict) -> None:
    with pytest.raises(ConfigError, match="Payload"):
        Payload(**parts)


@pytest.mark.parametrize("value_format", ValueFormat)
def test_formats_round_trip_what_they_can_hold(value_format: ValueFormat) -> None:
    stored = to_format(SPECIAL, value_format)
    assert stored.dtype == dtype_of(value_format)
    assert format_of(stored) is value_format
    widened = from_format(stored)
    assert widened.dtype == np.float32
    assert_same_bits(np.asarray(to_format(widened, value_format)), stored)


def test_rounding_is_to_nearest_even() -> None:
    half = to_format(SPECIAL, ValueFormat.FLOAT16)
    assert half[4] == half[5] == 65504 and np.isinf(half[6]) and np.isinf(half[7])
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8], np.float32)
    assert list(from_format(to_format(ties, ValueFormat.BFLOAT16))) == [1.0, 1 + 2.0**-6]


def test_float32_is_not_copied() -> None:
    assert to_format(SPECIAL, ValueFormat.FLOAT32) is SPECIAL
    assert from_format(SPECIAL) is SPECIAL


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("value_format", ValueFormat)
def test_finite_looks_at_every_part(bad: float, value_format: ValueFormat) -> None:
    values = np.array([1, 2, bad], np.float32)
    good = entries(3, 4, 9)
    assert Payload(10, **good, budget=3).finite()
    assert not Payload(10, good["indices"], values, budget=3).finite()
    dense = to_format(values, value_format)
    assert not Payload(10, **good, dense=dense, budget=3).finite()
    assert not Payload(dense=dense).finite()
    assert Payload(dense=dense[:2]).finite()


@pytest.mark.parametrize("value_format", ValueFormat)
def test_tail_comes_off_as_it_went_on(value_format: ValueFormat) -> None:
    head = Payload(10, **entries(3, 4, 9), budget=4)
    tail = np.array([0.5, -0.0], np.float32)
    whole = head.with_tail(tail)
    assert len(whole.dense) == 2
    again, cut = whole.split_tail(2)
    assert again.budget == 4 and len(again.dense) == 0
    assert_same_bits(cut, tail)
    dense = Payload(dense=to_format(SPECIAL[:4], value_format))
    longer = dense.with_tail(tail)
    again, cut = longer.split_tail(2)
    assert_same_bits(from_format(again.dense), from_format(dense.dense))
    assert_same_bits(cut, tail)


def test_no_tail() -> None:
    head = Payload(10, **entries(3), budget=4)
    assert head.with_tail(np.empty(0, np.float32)) is head
    again, cut = head.split_tail(0)
    assert len(cut) == 0 and again.budget == 4
    assert_same_bits(again.indices, head.indices)


def test_scaled_multiplies_in_float32() -> None:
    values = np.array([1.0, 3.0, -1e38], np.float32)
    payload = Payload(10, entries(1, 2, 3)["indices"], values, values, budget=3)
    third = payload.scaled(1 / 3)
    assert_same_bits(third.values, values * np.float32(1 / 3))
    assert_same_bits(third.dense, values * np.float32(1 / 3))
    assert_same_bits(payload.scaled(1).values, values)
    assert np.isinf(payload.scaled(10.0).values[2])  # and no warning
    half = Payload(dense=values[:2].astype(np.float16)).scaled(1.0)
    assert half.dense.dtype == np.float32
    assert issubclass(ConfigError, GradwireError)
