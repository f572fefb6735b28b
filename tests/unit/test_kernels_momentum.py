"""Momentum correction: parity with the specification, aliasing, and its law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import (
    WITHOUT_NAN,
    assert_same_bits,
    assert_same_selection,
    quick,
    vector,
)

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")


@quick
@given(
    st.sampled_from((0, 1, 17, 4097, 70_001)),
    st.sampled_from(tuple(name for name in WITHOUT_NAN if name != "finite")),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0, 1, 100, 5000)),
    st.sampled_from((0.0, 0.5, 3.0)),
    st.booleans(),
    st.booleans(),
)
def test_equals_specification(size, flavour, seed, k, floor, nesterov, in_place):
    gradient = vector(size, flavour, seed, 1)
    momentum, residual = vector(size, "gaussian", seed + 1), vector(size, "gaussian", seed + 2, 3)
    expected_momentum, expected_acc = np.empty_like(gradient), np.empty_like(gradient)
    reference.momentum(gradient, momentum, residual, 0.9, expected_momentum, expected_acc, nesterov)
    before = momentum.copy(), residual.copy()

    acc = np.empty_like(gradient)
    source = gradient.copy()
    out_momentum = source if in_place else np.empty_like(gradient)
    result = kernels.momentum_topk(
        source, momentum, residual, 0.9, k, floor, out_momentum, acc, nesterov=nesterov
    )
    assert_same_bits(out_momentum, expected_momentum)
    assert_same_bits(acc, expected_acc)
    assert_same_selection(result, reference.topk(expected_acc, k))

    source = gradient.copy()
    out_momentum = source if in_place else np.empty_like(gradient)
    indices, values = np.empty(5000, np.uint32), np.empty(5000, np.float32)
    result = kernels.momentum_select(
        source,
        momentum,
        residual,
        0.9,
        floor,
        out_momentum,
        acc,
        indices,
        values,
        nesterov=nesterov,
    )
    assert_same_bits(out_momentum, expected_momentum)
    assert_same_selection(result, reference.select(expected_acc, floor, 5000))
    assert_same_bits(momentum, before[0])
    assert_same_bits(residual, before[1])


def test_without_selection_it_is_momentum_descent():
    """With nothing sent, the residual grows by what the momentum optimizer would have applied."""
    generator = np.random.default_rng(0)
    size, factor = 50, 0.5
    momentum, residual = np.zeros(size, np.float32), np.zeros(size, np.float32)
    applied, velocity = np.zeros(size), np.zeros(size)
    for _ in range(5):
        gradient = generator.integers(-8, 9, size).astype(np.float32)
        new_momentum, acc = np.empty_like(momentum), np.empty_like(momentum)
        kernels.momentum_topk(gradient, momentum, residual, factor, 0, 0.0, new_momentum, acc)
        momentum, residual = new_momentum, acc
        velocity = factor * velocity + gradient
        applied += velocity
    assert residual.tolist() == applied.tolist()


def test_arrays_must_not_overlap():
    arrays = {name: np.zeros(9, np.float32) for name in ("g", "u", "v", "new_u", "acc")}

    def call(**changed: np.ndarray) -> None:
        a = {**arrays, **changed}
        kernels.momentum_topk(a["g"], a["u"], a["v"], 0.9, 2, 0.0, a["new_u"], a["acc"])

    call()
    call(new_u=arrays["g"])
    for changed in (
        {"acc": arrays["g"]},
        {"acc": arrays["u"]},
        {"acc": arrays["v"]},
        {"new_u": arrays["u"]},
        {"new_u": arrays["v"]},
        {"new_u": arrays["acc"]},
    ):
        with pytest.raises(ConfigError, match=r"momentum_topk: .* must not overlap"):
            call(**changed)
    with pytest.raises(ConfigError, match="momentum must have as many elements as gradient"):
        call(u=np.zeros(8, np.float32))
