"""Exchanges that fail leave everything as it was; those that succeed take little memory."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from exchange_model import Step, run
from interrupted import Broke, Corrupting, Interrupted
from kernel_inputs import assert_same_bits

from gradwire import sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, FP16, Compressor, NoCompression, RandomK, TopK
from gradwire.errors import AgreementError, ConfigError, GradwireError, PeerError, WireError
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import BorrowedResidual, OwnedResidual, Residual
from gradwire.schedules import Allgather, Dense, GTopk, OkTopk, Schedule, TopkDsa
from gradwire.testing import exact_values

NUMEL = 60


def owned(values: np.ndarray) -> Residual:
    residual = OwnedResidual(len(values))
    residual.values[:] = values
    return residual


def borrowed(values: np.ndarray) -> Residual:
    return BorrowedResidual(values.copy(), np.empty_like(values))


def calls_until_done(size: int, exchange_once: Callable[[Communicator], Any], kind: type) -> int:
    """Interrupt at every call in turn, on every rank; return how many calls there were."""

    def rank(communicator: Communicator, culprit: int, at: int, after: bool) -> bool:
        wrapped = kind(communicator, culprit, at, after)
        try:
            exchange_once(wrapped)
        except (Broke, PeerError, WireError):
            return False
        assert not wrapped.hit, f"rank {culprit} did not notice call {at}"
        return wrapped.calls <= at

    for at in range(100):
        done: list[bool] = []
        for culprit in range(size):
            for after in (False, True):
                done += Simulation(size, seed=at).run(rank, culprit, at, after)
        if all(done):
            return at
    raise AssertionError("an exchange of more than 100 calls")


@pytest.mark.parametrize("kind", [Interrupted, Corrupting])
@pytest.mark.parametrize("make", [owned, borrowed])
@pytest.mark.parametrize(
    ("compressor", "schedule", "calls"),
    [
        (TopK(0.1), OkTopk, 6),
        (TopK(0.1), Allgather, 2),
        (TopK(0.1), TopkDsa, 4),
        (TopK(0.1), GTopk, 5),
        (TopK(1.0), OkTopk, 3),
        (RandomK(0.2), Dense, 3),
    ],
    ids=str,
)
def test_failure_at_any_call_changes_nothing(
    compressor: Compressor, schedule: type[Schedule], calls: int, make: Callable, kind: type
) -> None:
    def exchange_once(communicator: Communicator) -> None:
        generator = np.random.default_rng(communicator.rank)
        gradient = exact_values(generator, NUMEL)
        residual = make(exact_values(generator, NUMEL))
        residual.floor = 0.125
        before = residual.values.copy(), gradient.copy()
        exchange = Exchange(compressor, schedule(), communicator)
        try:
            reduced = exchange.reduce(Bucket("b", "", NUMEL), gradient, 0, residual)
        except GradwireError as error:
            assert str(error)
            raise
        finally:  # before the commit nothing has changed, failed or not
            assert_same_bits(residual.values, before[0])
            assert_same_bits(gradient, before[1])
            assert residual.floor == 0.125
        assert reduced.finite

    # One more where ties at the k-th magnitude have to be shared out.
    assert calls_until_done(3, exchange_once, kind) in (calls, calls + 1)


@pytest.mark.parametrize("aliased", [False, True])
def test_interrupted_function_changes_nothing(aliased: bool) -> None:
    def exchange_once(communicator: Communicator) -> None:
        generator = np.random.default_rng(communicator.rank)
        gradient, residual = exact_values(generator, NUMEL), exact_values(generator, NUMEL)
        before = gradient.copy(), residual.copy()
        out = gradient if aliased else np.empty_like(gradient)
        try:
            sparse_allreduce(gradient, 0.1, communicator, residual, out)
        except (Broke, GradwireError):
            assert_same_bits(gradient, before[0])
            assert_same_bits(residual, before[1])
            raise

    assert calls_until_done(3, exchange_once, Interrupted) in (6, 7)


@pytest.mark.parametrize(
    ("failure", "seen_by_peers", "text"),
    [
        (MemoryError("no room"), AgreementError, "rank 2 cannot take part: MemoryError: no room"),
        (ValueError("x" * 100_000), AgreementError, "rank 2 cannot take part: ValueError: xxx"),
        (KeyboardInterrupt("stop"), PeerError, "rank 2 gave up: KeyboardInterrupt: stop"),
    ],
    ids=["error", "long error", "interrupt"],
)
def test_failure_in_a_compressor_reaches_the_peers(
    failure: BaseException, seen_by_peers: type[Exception], text: str
) -> None:
    class Failing(TopK):
        def compensate(self, *arguments: Any) -> Any:
            raise failure

    def rank(communicator: Communicator) -> None:
        def reduce(compressor: Compressor) -> None:
            exchange = Exchange(compressor, OkTopk(), communicator)
            exchange.reduce(Bucket("b", "", NUMEL), np.ones(NUMEL, np.float32), 0, residual)

        residual = OwnedResidual(NUMEL)
        if communicator.rank == 2:
            with pytest.raises(type(failure)):
                reduce(Failing(0.1))
        else:
            with pytest.raises(seen_by_peers) as caught:
                reduce(TopK(0.1))
            assert text in str(caught.value)
        assert not residual.values.any()
        if seen_by_peers is AgreementError:
            reduce(TopK(0.1))  # the communicator still works

    Simulation(4).run(rank)


def test_schedule_and_compressor_must_fit() -> None:
    def rank(communicator: Communicator) -> None:
        with pytest.raises(ConfigError, match=r"'dense' needs a summable compressor"):
            Exchange(TopK(0.1), Dense(), communicator)

    Simulation(1).run(rank)


@pytest.mark.parametrize("compressor", [NoCompression(), FP16(), BF16(), TopK(0.2), RandomK(0.5)])
def test_without_a_residual(compressor: Compressor) -> None:
    """What does not get through is forgotten; the gradient is only read."""

    def rank(communicator: Communicator) -> np.ndarray:
        schedule = OkTopk() if compressor.traits.sparse else Dense()
        exchange = Exchange(compressor, schedule, communicator)
        gradient = exact_values(np.random.default_rng(communicator.rank), NUMEL, bits=5)
        before, out = gradient.copy(), np.full(NUMEL, np.nan, np.float32)
        exchange.reduce(Bucket("b", "", NUMEL), gradient, 0).write(out, 1.0)
        assert_same_bits(gradient, before)
        return out

    outs = Simulation(3).run(rank)
    total = sum(exact_values(np.random.default_rng(r), NUMEL, bits=5) for r in range(3))
    for out in outs:
        assert_same_bits(out, outs[0])
        if not compressor.traits.needs_residual:
            assert np.array_equal(out, total)


def test_gradient_may_be_the_accumulator() -> None:
    def rank(communicator: Communicator, shared: bool) -> tuple[bytes, bytes]:
        residual = OwnedResidual(NUMEL)
        exchange, outs = Exchange(TopK(0.1), OkTopk(), communicator), b""
        generator = np.random.default_rng(communicator.rank)
        for step in range(4):
            gradient = exact_values(generator, NUMEL)
            if shared:
                residual.acc[:] = gradient
                gradient = residual.acc
            reduced = exchange.reduce(Bucket("b", "", NUMEL, tail=7), gradient, step, residual)
            outs += reduced.commit(residual, 0.5).tobytes()
        return outs, residual.values.tobytes()

    assert Simulation(3).run(rank, True) == Simulation(3).run(rank, False)


def test_floor_never_shows() -> None:
    def rank(communicator: Communicator, floor: float) -> tuple[bytes, bytes]:
        residual = OwnedResidual(NUMEL)
        exchange, outs = Exchange(TopK(0.1), OkTopk(), communicator), b""
        generator = np.random.default_rng(communicator.rank)
        for step in range(3):
            residual.floor = floor
            reduced = exchange.reduce(
                Bucket("b", "", NUMEL), exact_values(generator, NUMEL), step, residual
            )
            outs += reduced.commit(residual, 1.0).tobytes()
            assert residual.floor > 0
        return outs, residual.values.tobytes()

    expected = Simulation(2).run(rank, 0.0)
    for floor in (1e-30, 1.0, 15.0, 1e30):
        assert Simulation(2).run(rank, floor) == expected


@pytest.mark.parametrize("compressor", [TopK(0.05, 2, 3), RandomK(0.05, 2, 3)], ids=str)
def test_warm_up_is_dense_and_conserves(compressor: Compressor) -> None:
    """Dense steps, a ramp and sparse steps of one residual; nothing is lost on the way."""
    generator = np.random.default_rng(0)
    gradients = [[exact_values(generator, 200, 8) for _ in range(8)] for _ in range(3)]
    schedule = OkTopk if compressor.traits.sparse else Dense
    results: list[list[Step]] = run(gradients, compressor, schedule, scale=1.0)
    before = np.zeros(200)
    for step in range(8):
        out = results[0][step].out
        assert out is not None
        after = sum(each[step].residual.astype(np.float64) for each in results)
        assert np.array_equal(out + after, before + sum(own[step] for own in gradients))
        assert step >= 2 or not after.any()
        before = after
    assert before.any()


@pytest.mark.parametrize("schedule", [OkTopk, Allgather])
def test_memory(schedule: type[Schedule]) -> None:
    """8 bytes per parameter for the residual and the accumulator, and O(k) besides."""
    numel, size = 4_000_000, 2
    k = numel // 100
    gradients = [
        np.random.default_rng(rank).standard_normal(numel, np.float32) for rank in range(size)
    ]

    def rank(communicator: Communicator) -> int:
        residual = OwnedResidual(numel)
        exchange = Exchange(TopK(0.01), schedule(), communicator)
        for step in range(3):
            if step == 2:  # steady: the floor is known, the regions are cut
                communicator.barrier()
                tracemalloc.reset_peak()
                communicator.barrier()
            gradient = gradients[communicator.rank]
            reduced = exchange.reduce(Bucket("b", "", numel), gradient, step, residual)
            assert reduced.commit(residual, 0.5).any()
        communicator.barrier()
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peak = max(Simulation(size).run(rank))
    finally:
        tracemalloc.stop()
    # Candidates, two copies of what is sent, and what came, in the memory of both ranks.
    assert 8 * numel * size <= peak <= (8 * numel + 100 * k) * size


def test_simulated_ranks_cannot_start_exchanges() -> None:
    def rank(communicator: Communicator) -> None:
        exchange = Exchange(TopK(0.1), OkTopk(), communicator)
        with pytest.raises(ConfigError, match=r"Exchange\.start: .*is bound to its thread"):
            exchange.start(Bucket("b", "", 5), np.ones(5, np.float32), 0)

    Simulation(2).run(rank)
