"""Residuals: only a commit replaces them, and it copies or swaps as it says."""

import numpy as np
import pytest

from gradwire.errors import ConfigError
from gradwire.residual import BorrowedResidual, OwnedResidual


def test_owned_starts_empty_and_swaps() -> None:
    residual = OwnedResidual(3)
    assert not residual.values.any() and residual.floor == 0.0
    values, acc = residual.values, residual.acc
    acc[:] = [1, 2, 3]
    assert not residual.values.any()
    free = residual.commit()
    assert free is residual.acc is values
    assert residual.values is acc
    assert list(residual.values) == [1, 2, 3]


def test_borrowed_stays_in_the_callers_memory() -> None:
    mine, out = np.array([5, 6], np.float32), np.zeros(2, np.float32)
    residual = BorrowedResidual(mine, out)
    residual.acc[:] = [1, 2]
    assert list(mine) == [5, 6]
    free = residual.commit()
    assert free is out
    free[:] = 9
    assert list(mine) == [1, 2] and residual.values is mine


def test_borrowed_refuses_shared_memory() -> None:
    memory = np.zeros(10, np.float32)
    with pytest.raises(ConfigError, match="residual and out must not share memory"):
        BorrowedResidual(memory[:6], memory[4:])
    BorrowedResidual(memory[:5], memory[5:])


def test_empty() -> None:
    assert len(OwnedResidual(0).commit()) == 0
    assert len(BorrowedResidual(np.empty(0, np.float32), np.empty(0, np.float32)).commit()) == 0
