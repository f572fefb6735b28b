"""Payloads: parts that belong together, tails, scaling, rounding."""

import numpy as np
import pytest
from kernel_inputs import assert_same_bits

from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.values import BFLOAT16, NAMED_FORMATS, ValueFormat, plain


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dense_format", NAMED_FORMATS.values(), ids=NAMED_FORMATS)
def test_finite_looks_at_every_part(bad: float, dense_format: ValueFormat) -> None:
    values = np.array([1, 2, bad], np.float32)
    good = entries(3, 4, 9)
    assert Payload(10, **good, budget=3).finite()
    assert not Payload(10, good["indices"], values, budget=3).finite()
    dense = dense_format.encode(values)
    assert not Payload(10, **good, dense=dense, budget=3).finite()
    assert not Payload(dense=dense).finite()
    assert Payload(dense=dense_format.encode(values[:2])).finite()
    assert not Payload(tail=values).finite()
    assert Payload(tail=values[:2]).finite()


def test_tail() -> None:
    head = Payload(10, **entries(3, 4, 9), budget=4)
    tail = np.array([0.5, -0.0], np.float32)
    whole = head.with_tail(tail)
    assert whole.budget == 4 and len(whole.dense) == 0
    assert_same_bits(whole.tail, tail)
    assert_same_bits(whole.indices, head.indices)
    assert head.with_tail(np.empty(0, np.float32)) is head


def test_scaled_multiplies_in_float32() -> None:
    values = np.array([1.0, 3.0, -1e38], np.float32)
    payload = Payload(10, entries(1, 2, 3)["indices"], values, plain(values), 3, tail=values)
    third = payload.scaled(1 / 3)
    for part in (third.values, third.dense.decode(), third.tail):
        assert_same_bits(part, values * np.float32(1 / 3))
    assert payload.scaled(1) is payload
    assert np.isinf(payload.scaled(10.0).values[2])  # and no warning


def test_received_values_are_rounded() -> None:
    values = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 5.0], np.float32)
    at = entries(1, 2, 3)["indices"]
    exact = Payload(10, at, values, budget=3)
    assert exact.received() is exact
    rounded = Payload(10, at, values, budget=3, value_format=BFLOAT16).received()
    assert rounded.values.tolist() == [1.0, 1 + 2.0**-6, 5.0]
    assert rounded.received() is rounded
