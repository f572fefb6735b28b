"""Exchanges that are started and finished later, on however many ranks this is started."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

from gradwire.communicators import MpiCommunicator
from gradwire.compressors import BF16, Chain, TopK
from gradwire.errors import AgreementError, ConfigError, PeerError
from gradwire.exchange import Bucket, Exchange, Reduced
from gradwire.residual import OwnedResidual
from gradwire.schedules import OkTopk

pytestmark = pytest.mark.parallel
WORLD = MPI.COMM_WORLD
NUMELS = (1000, 60_000, 1, 0, 20_011)
STEPS = 3
PATIENCE = 60.0  # seconds


@pytest.fixture
def communicator() -> Iterator[MpiCommunicator]:
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        pytest.skip("MPI has no MPI_THREAD_MULTIPLE")
    made = MpiCommunicator(WORLD, PATIENCE)
    WORLD.Barrier()
    yield made
    made.close()


def exchanged(communicator: MpiCommunicator, ahead: bool) -> list[bytes]:
    """Return outputs and residuals of a few steps with several buckets, as bits."""
    exchange = Exchange(Chain(TopK(0.02), BF16()), OkTopk(), communicator)
    buckets = [Bucket(f"b{numel}", "", numel) for numel in NUMELS]
    residuals = [OwnedResidual(numel) for numel in NUMELS]
    bits = []
    for step in range(STEPS):
        generator = np.random.default_rng([communicator.rank, step])
        gradients = [generator.normal(size=numel).astype(np.float32) for numel in NUMELS]
        work = list(zip(buckets, gradients, residuals, strict=True))
        if ahead:
            futures = [exchange.start(b, gradient, step, kept) for b, gradient, kept in work]
            reduced = [future.result(PATIENCE) for future in futures]
        else:
            reduced = [exchange.reduce(b, gradient, step, kept) for b, gradient, kept in work]
        for each, kept in zip(reduced, residuals, strict=True):
            bits += [each.commit(kept, 1.0).tobytes(), kept.values.tobytes()]
    return bits


def test_started_exchanges_have_the_same_results(communicator: MpiCommunicator) -> None:
    assert exchanged(communicator, ahead=True) == exchanged(communicator, ahead=False)


def test_progress_while_python_computes(communicator: MpiCommunicator) -> None:
    """Nobody waits for the future; it is done all the same."""
    exchange = Exchange(TopK(0.02), OkTopk(), communicator)
    gradient = np.random.default_rng(communicator.rank).normal(size=60_000).astype(np.float32)
    future = exchange.start(Bucket("b", "", len(gradient)), gradient, 0)
    give_up = time.monotonic() + PATIENCE
    while not future.done() and time.monotonic() < give_up:
        sum(range(100))
    assert future.done()
    assert future.result().finite


def test_residuals_and_reduce_wait_for_their_turn(
    communicator: MpiCommunicator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would lose something, or be taken for a failure, is refused and harms nothing."""
    exchange = Exchange(TopK(0.02), OkTopk(), communicator)
    gradient, residual = np.ones(1000, np.float32), OwnedResidual(1000)
    bucket, gate, reduce = Bucket("b", "", len(gradient)), threading.Event(), exchange._reduce

    def behind_the_gate(*arguments: Any) -> Reduced:
        assert gate.wait(PATIENCE)
        return reduce(*arguments)

    monkeypatch.setattr(exchange, "_reduce", behind_the_gate)
    futures = [exchange.start(bucket, gradient, step) for step in range(3)]
    futures.append(exchange.start(bucket, gradient, 3, residual))
    with pytest.raises(ConfigError, match="exchange with this residual is under way"):
        exchange.start(bucket, gradient, 4, residual)
    with pytest.raises(ConfigError, match="exchanges that were started are under way"):
        exchange.reduce(bucket, gradient, 4)
    gate.set()
    assert all(future.result(PATIENCE).finite for future in futures)
    assert exchange.reduce(bucket, gradient, 4, residual).finite


def test_errors_come_with_the_result(communicator: MpiCommunicator) -> None:
    if communicator.size == 1:
        pytest.skip("nobody to disagree with")
    exchange = Exchange(TopK(0.02), OkTopk(), communicator)
    numel = 1000 + (communicator.rank == 1)
    future = exchange.start(Bucket("b", "", numel), np.ones(numel, np.float32), 0)
    with pytest.raises(AgreementError, match="elements is 1001 on rank 1 and 1000 on rank 0"):
        future.result(PATIENCE)
    WORLD.Barrier()
    communicator.fail(RuntimeError("enough"))
    after = exchange.start(Bucket("b", "", 5), np.ones(5, np.float32), 1)
    with pytest.raises(Exception, match="gave up") as raised:
        after.result(PATIENCE)
    assert isinstance(raised.value, PeerError) or "earlier" in str(raised.value)
