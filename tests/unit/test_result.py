"""Memory for results: what is cleared when, and that others can only read what gradwire owns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits

from gradwire import OwnedResidual, OwnedResult, sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import QSGD, Compressor, TopK
from gradwire.errors import ConfigError, GradwireError
from gradwire.exchange import Bucket, Exchange
from gradwire.payload import Payload
from gradwire.result import CLEARED_AT_ONCE, ENTRIES_AT_ONCE, Result
from gradwire.schedules import OkTopk, SplitGather

NUMEL = 200


def test_others_only_read() -> None:
    for numel in (0, 1, 1000):
        result = OwnedResult(numel)
        assert result.values.shape == (numel,) and result.values.dtype == np.float32
        assert not result.values.any()
        with pytest.raises(ValueError, match="WRITEABLE"):
            result.values.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            result.values[:] = 1


@pytest.mark.parametrize("numel", [-1, 1.5, "7", None])
def test_sizes_are_checked(numel: object) -> None:
    with pytest.raises(ConfigError, match="OwnedResult: numel"):
        OwnedResult(numel)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_is_left_of_what_was_written(data: st.DataObject) -> None:
    numel = data.draw(st.integers(0, 60))
    result = OwnedResult(numel)
    for _ in range(5):
        steps = result.clearing()
        for _ in range(data.draw(st.integers(0, 3))):  # an exchange that failed meanwhile
            next(steps, None)
        result.clear()
        assert not result.memory.any()
        indices = np.flatnonzero(np.random.default_rng(numel).random(numel) < 0.3)
        tail = data.draw(st.integers(0, numel))
        result.memory[indices] = 1
        result.memory[numel - tail :] = 2
        if data.draw(st.booleans()):
            result.wrote(indices.astype(np.uint32), tail)
        else:
            result.memory[:] = 3
            result.wrote(None)


def test_long_results_are_cleared_step_by_step() -> None:
    result = OwnedResult(3 * CLEARED_AT_ONCE + 1)
    result.wrote(np.arange(2 * ENTRIES_AT_ONCE + 1, dtype=np.uint32), tail=CLEARED_AT_ONCE + 1)
    assert len(list(result.clearing())) == 3 + 2
    assert len(list(Result(np.ones(3 * CLEARED_AT_ONCE + 1, np.float32)).clearing())) == 4
    assert not list(result.clearing())


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("compressor", [TopK(0.1), TopK(0.2, 2, 3), QSGD(bits=4)], ids=str)
def test_the_same_results_as_in_memory_of_the_caller(compressor: Compressor, size: int) -> None:
    """Whatever comes between: other densities, dense steps, tails, failed and abandoned ones."""
    schedule = OkTopk if compressor.traits.sparse else SplitGather

    def rank(communicator: Communicator) -> None:
        exchange = Exchange(compressor, schedule(), communicator)
        generator = np.random.default_rng(communicator.rank)
        residuals = OwnedResidual(NUMEL), OwnedResidual(NUMEL)
        owned, out = OwnedResult(NUMEL), np.empty(NUMEL, np.float32)
        for step in range(8):
            gradient = generator.standard_normal(NUMEL).astype(np.float32)
            bucket = Bucket("b", "", NUMEL, tail=step % 3)
            if step == 5:
                exchange.reduce(bucket, gradient, step, residuals[0], owned)  # and not committed
            reduced = exchange.reduce(bucket, gradient, step, residuals[0], owned)
            mean = reduced.commit(residuals[0], 0.5)
            out.fill(7)
            expected = exchange.reduce(bucket, gradient, step, residuals[1], out)
            assert expected.commit(residuals[1], 0.5) is out
            assert mean is owned.values
            assert_same_bits(mean, out)

    Simulation(size, 0).run(rank)


class Elsewhere(TopK):
    """Writes where its payload has no entries."""

    def decompress(self, payload: Payload, out: np.ndarray, context: object) -> None:
        """Write everywhere."""
        out[:] = float(np.abs(payload.values).sum())

    def decompress_into_zeros(self, payload: Payload, out: np.ndarray, context: object) -> None:
        """Say that it may have written anywhere."""
        self.decompress(payload, out, context)


def test_compressors_that_write_elsewhere() -> None:
    def rank(communicator: Communicator) -> None:
        result = OwnedResult(NUMEL)
        gradient = np.arange(NUMEL, dtype=np.float32)
        for compressor in (Elsewhere(0.1), TopK(0.1)):
            exchange = Exchange(compressor, OkTopk(), communicator)
            exchange.reduce(Bucket("b", "", NUMEL), gradient, 0, None, result).write(result, 1.0)
            wanted = NUMEL if isinstance(compressor, Elsewhere) else NUMEL // 10
            assert np.count_nonzero(result.values) == wanted

    Simulation(2, 0).run(rank)


@pytest.mark.parametrize("out", [OwnedResult(NUMEL + 1), np.empty(NUMEL - 1, np.float32)])
def test_results_of_another_size_are_refused(out: object) -> None:
    def rank(communicator: Communicator) -> None:
        exchange = Exchange(TopK(0.1), OkTopk(), communicator)
        gradient, residual = np.ones(NUMEL, np.float32), OwnedResidual(NUMEL)
        bucket = Bucket("b", "", NUMEL)
        with pytest.raises(GradwireError, match="out must have 200 elements"):
            exchange.reduce(bucket, gradient, 0, residual, out if communicator.rank else None)
        reduced = exchange.reduce(bucket, gradient, 0, residual)
        with pytest.raises(ConfigError, match="out must have 200 elements"):
            reduced.commit(residual, 1.0, out)
        assert not residual.values.any()
        assert np.count_nonzero(reduced.commit(residual, 1.0)) == NUMEL // 10

    Simulation(2, 0).run(rank)


@pytest.mark.parametrize("kind", ["none", "owned", "array"])
def test_function(kind: str) -> None:
    def rank(communicator: Communicator) -> None:
        generator = np.random.default_rng(communicator.rank)
        result = OwnedResult(NUMEL)
        mine, other = (make_residual(kind) for _ in range(2))
        for step in range(5):
            gradient = generator.standard_normal((10, 20)).astype(np.float32)
            if step == 3 and communicator.rank == 1:
                gradient[3, 3] = np.inf
            mean = sparse_allreduce(gradient, 0.1, communicator, mine, result)
            assert mean.shape == (10, 20) and np.shares_memory(mean, result.values)
            assert not mean.flags.writeable
            assert_same_bits(mean, sparse_allreduce(gradient, 0.1, communicator, other))
        again = sparse_allreduce(mean, 0.5, communicator, out=result)  # what it is about to clear
        assert np.count_nonzero(again) == np.count_nonzero(gradient) * 0.1

    Simulation(2, 0).run(rank)


def make_residual(kind: str) -> object:
    if kind == "none":
        return None
    return OwnedResidual(NUMEL) if kind == "owned" else np.zeros((10, 20), np.float32)


def test_function_refuses_results_of_another_size() -> None:
    def rank(communicator: Communicator) -> None:
        with pytest.raises(ConfigError, match="out must have 200 elements, got 100"):
            sparse_allreduce(np.ones(NUMEL, np.float32), 0.1, communicator, out=OwnedResult(100))

    Simulation(1, 0).run(rank)
