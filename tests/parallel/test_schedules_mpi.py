"""Schedules over MPI, on however many ranks this is started, against the simulation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

from gradwire.communicators import Communicator, MpiCommunicator, Simulation
from gradwire.compressors import Compressor, get_compressor
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import schedule_of
from gradwire.testing import SHAPES

pytestmark = pytest.mark.parallel
WORLD = MPI.COMM_WORLD
STEPS = 3
TAIL = 7
TOPK = {"id": "topk", "density": 0.02}
COMPRESSORS = [
    TOPK,
    {"id": "chain", "select": TOPK, "quantize": {"id": "qsgd", "bits": 8}},
    {"id": "topk", "density": 1.0},
]
IN_GROUPS = {"id": "hierarchical", "group_size": 2 if WORLD.size % 2 == 0 else WORLD.size}
SCHEDULES = [
    "allgather",
    "oktopk",
    "topkdsa",
    "gtopk",
    *({**IN_GROUPS, "inner": inner} for inner in ("oktopk", "gtopk")),
]


@pytest.fixture
def communicator() -> Iterator[MpiCommunicator]:
    made = MpiCommunicator(WORLD, 60.0)
    yield made
    made.close()


def exchanged(
    communicator: Communicator, compressor: Compressor, schedule: str | dict, numel: int
) -> list[tuple[bytes, bytes, int]]:
    """Return outputs and residuals of a few exchanges, as bits, and the messages sent."""
    exchange = Exchange(compressor, schedule_of(schedule), communicator, seed=5)
    bucket, residual = Bucket("b", "", numel, TAIL), OwnedResidual(numel)
    results = []
    for step in range(STEPS):
        generator = np.random.default_rng([communicator.rank, step])
        gradient = SHAPES["layered_laplace"](generator, numel)
        reduced = exchange.reduce(bucket, gradient, step, residual)
        out = reduced.commit(residual, 1 / communicator.size).tobytes()
        results.append((out, residual.values.tobytes(), reduced.report.messages_sent))
    return results


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("config", COMPRESSORS, ids=lambda config: config["id"])
def test_same_bits_as_simulated(
    communicator: MpiCommunicator, config: dict, schedule: str | dict
) -> None:
    """Another transport, another order of delivery, the same result."""
    compressor = get_compressor(config)
    for numel in (TAIL, TAIL + 1, 1000, 60_000):
        simulation = Simulation(WORLD.size, seed=numel)
        expected = simulation.run(exchanged, compressor, schedule, numel)[WORLD.rank]
        assert exchanged(communicator, compressor, schedule, numel) == expected
