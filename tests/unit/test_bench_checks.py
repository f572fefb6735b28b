"""How results of ``bench kernels`` are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradwire.bench.checks import (
    by_blocks,
    different,
    different_in_blocks,
    sampled_floor,
    select_in_blocks,
    topk_in_blocks,
)
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers.encoding import not_distinct
from gradwire.bench.rows import ROWS
from gradwire.bench.runner import Plan, Runner
from gradwire.kernels import native, reference


def test_references_of_long_vectors_are_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradwire.bench.checks.BLOCK", 64)
    x = np.random.default_rng(1).integers(-9, 10, 1000).astype(np.float32)  # ties
    assert different(select_in_blocks(x, 6.0), reference.select(x, 6.0)) == 0
    for floor in (0.0, 5.0, 100.0):
        assert different(topk_in_blocks(x, 300, floor), reference.topk(x, 300)) == 0
    for k in (1, 300, 1000):
        assert np.count_nonzero(np.abs(x) >= sampled_floor(x, k)) >= 1
    (joined,) = by_blocks(lambda part: (reference.to_bfloat16(x[part]),), x.size)
    assert different(joined, reference.to_bfloat16(x)) == 0
    bits = reference.to_bfloat16(x)
    assert different_in_blocks(reference.to_bfloat16, x, bits) == 0
    bits[70] += 1
    assert different_in_blocks(reference.to_bfloat16, x, bits) == 1


# What a block-wise reference says must not depend on where the blocks are cut.
BY_BLOCKS = [
    "quantize/4",
    "quantize/4/stochastic",
    "compensate_quantize/4/stochastic",
    "compensate_sign",
    "dequantize/4",
    "dequantize_add/4",
    "quantize_natural",
    "dequantize_natural_add",
    "quantize_mx/e4m3",
    "dequantize_mx/e4m3",
    "pack_bits/4",
    "unpack_bits/1",
    "random_bits",
    "hadamard",
]


@pytest.mark.parametrize("name", BY_BLOCKS)
def test_long_vectors_are_specified_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradwire.bench.checks.BLOCK", 1 << 12)
    (row,) = (row for row in ROWS if row.name == name)
    runner = Runner(Plan([row], [native.current_isa()], repetitions=1), Inputs(9999, 0.01))
    assert not any(each.wrong for measured in runner.run(lambda _: None) for each in measured)
    assert not [note for note in runner.notes if "failed" in note]


@pytest.mark.parametrize(
    ("result", "expected", "count"),
    [
        (np.float32([1, 2]), np.float32([1, 2]), 0),
        (np.float32([1, -0.0]), np.float32([1, 0.0]), 1),
        (np.float32([np.nan]), np.float32([np.nan]), 0),
        (np.float32([1, 2, 3]), np.float32([1]), 2),
        (np.float64([1, 2]), np.float32([1, 2]), 2),
        (None, np.float32([1, 2]), 2),
        (None, (np.float32([1, 2]), 3), 3),
        (0.0, -0.0, 1),
        (float("nan"), float("nan"), 0),
        (1, 1.0, 1),
        (True, True, 0),
    ],
)
def test_differences_are_counted_by_bits(result: Any, expected: Any, count: int) -> None:
    assert different(result, expected) == count


def test_positions_that_are_not_distinct() -> None:
    inputs = Inputs(100, 0.04)
    assert not_distinct(np.array([1, 5, 7, 99]), inputs) == 0
    assert not_distinct(np.array([1, 5, 5, 100]), inputs) == 2
    assert not_distinct(np.array([1, 5, 7]), inputs) == 1
