"""``sparse_allreduce`` over MPI, on however many ranks this is started, against the simulation."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

from gradwire import sparse_allreduce
from gradwire.communicators import Communicator, MpiCommunicator, Simulation
from gradwire.errors import AgreementError, ConfigError
from gradwire.testing import SHAPES, GradientStream, exact_values

pytestmark = pytest.mark.parallel
WORLD = MPI.COMM_WORLD
STEPS = 4


def gradient_of(shape: str, rank: int, step: int, numel: int) -> np.ndarray:
    return SHAPES[shape](np.random.default_rng([rank, step]), numel)


def exchanged(
    comm: MPI.Intracomm | Communicator, rank: int, shape: str, numel: int, density: float
) -> list[tuple[bytes, bytes]]:
    """Return outputs and residuals of a few calls, as bits."""
    residual, results = np.zeros(numel, np.float32), []
    for step in range(STEPS):
        gradient = gradient_of(shape, rank, step, numel)
        out = sparse_allreduce(gradient, density, comm, residual)
        results.append((out.tobytes(), residual.tobytes()))
    return results


def simulated(size: int, shape: str, numel: int, density: float) -> list[list[tuple[bytes, bytes]]]:
    return Simulation(size, seed=3).run(lambda c: exchanged(c, c.rank, shape, numel, density))


@pytest.mark.parametrize("shape", SHAPES)
def test_same_bits_as_simulated(shape: str) -> None:
    """Another transport, another order of delivery, the same result; and again."""
    for numel, density in ((0, 0.1), (1, 0.1), (3, 0.4), (1025, 0.02), (70_000, 0.01), (40, 1.0)):
        expected = simulated(WORLD.size, shape, numel, density)[WORLD.rank]
        for _ in range(2):
            assert exchanged(WORLD, WORLD.rank, shape, numel, density) == expected


def test_communicator_is_made_once() -> None:
    sparse_allreduce(np.ones(10, np.float32), 0.1, WORLD)
    first = MpiCommunicator.cached(WORLD)
    sparse_allreduce(np.ones(10, np.float32), 0.1)  # COMM_WORLD is the default
    assert MpiCommunicator.cached(WORLD) is first


@pytest.fixture
def halves() -> Iterator[MPI.Intracomm]:
    """Two groups, the ranks of one in reverse order; of different sizes for odd rank counts."""
    comm = WORLD.Split(WORLD.rank % 2, -WORLD.rank if WORLD.rank % 2 else WORLD.rank)
    yield comm
    comm.Free()


def test_split_communicators_at_once(halves: MPI.Intracomm) -> None:
    """Each group has its own sizes and numbers of calls; the whole takes part in between."""
    numel, calls = (500, 3) if WORLD.rank % 2 else (900, 7)
    for call in range(calls):
        expected = simulated(halves.size, "layered_laplace", numel, 0.05)[halves.rank]
        assert exchanged(halves, halves.rank, "layered_laplace", numel, 0.05) == expected, call
    expected = simulated(WORLD.size, "few_levels", 333, 0.05)[WORLD.rank]
    assert exchanged(WORLD, WORLD.rank, "few_levels", 333, 0.05) == expected


def test_traffic_of_the_program_is_left_alone() -> None:
    """A receive for any source and tag, posted before, gets the program's message, not ours."""
    buffer = np.empty(3, np.int64)
    request = WORLD.Irecv(buffer, MPI.ANY_SOURCE, MPI.ANY_TAG)
    sparse_allreduce(np.arange(100, dtype=np.float32), 0.1, WORLD)
    WORLD.Send(np.full(3, WORLD.rank, np.int64), (WORLD.rank + 1) % WORLD.size, tag=5)
    request.Wait()
    assert (buffer == (WORLD.rank - 1) % WORLD.size).all()


@pytest.mark.parametrize("numel", [5, 2000])
def test_nothing_is_lost(numel: int) -> None:
    residual = np.zeros(numel, np.float32)
    total = np.zeros(numel, np.float64)
    before = np.zeros(numel, np.float64)
    for step in range(6):
        gradient = exact_values(np.random.default_rng([WORLD.rank, step]), numel, zeros=0.3)
        out = sparse_allreduce(gradient, 0.02, WORLD, residual, average=False)
        after = WORLD.allreduce(residual.astype(np.float64))
        brought = WORLD.allreduce(gradient.astype(np.float64))
        assert np.array_equal(out + after, before + brought)
        before, total = after, total + out
    assert total.any()


@pytest.mark.parametrize(
    ("numel", "density", "dtype"), [(101, 0.1, "f4"), (100, 0.2, "f4"), (100, 0.1, "f8")]
)
def test_difference_is_raised_on_every_rank(numel: int, density: float, dtype: str) -> None:
    if WORLD.size == 1:
        return
    odd_one = WORLD.rank == WORLD.size - 1
    gradient = np.ones(numel if odd_one else 100, dtype if odd_one else "f4")
    residual = np.full(len(gradient), 0.5, np.float32)
    with pytest.raises(AgreementError, match=f"on rank {WORLD.size - 1} and .* on rank 0"):
        sparse_allreduce(gradient, density if odd_one else 0.1, WORLD, residual)
    assert (residual == 0.5).all()
    fine = sparse_allreduce(np.ones(10, np.float32), 0.2, WORLD)
    assert list(fine) == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_wrong_argument_everywhere_sends_nothing() -> None:
    with pytest.raises(ConfigError, match="gradient must be"):
        sparse_allreduce(np.ones(5, np.int32), 0.1, WORLD)
    for comm in (MPI.COMM_NULL, MPI.Intracomm(), "world", 0):
        with pytest.raises(ConfigError, match="comm must be an intracommunicator"):
            sparse_allreduce(np.ones(5, np.float32), 0.5, comm)
    sparse_allreduce(np.ones(5, np.float32), 0.5, WORLD)


def test_non_finite_value_of_one_rank() -> None:
    gradient, residual = np.ones(1000, np.float32), np.full(1000, 0.5, np.float32)
    if WORLD.rank == WORLD.size - 1:
        gradient[777] = np.nan
    assert np.isnan(sparse_allreduce(gradient, 0.01, WORLD, residual)).all()
    assert (residual == 0.5).all()


def test_bytes_on_the_wire() -> None:
    """24 bytes per entry, headers and histograms: whatever the number of ranks."""
    numel, k = 200_000, 4_000
    stream = GradientStream(numel, WORLD.rank, seed=2)
    residual = np.zeros(numel, np.float32)
    counters = MpiCommunicator.cached(WORLD).counters
    for _ in range(STEPS):
        counters.reset()
        sparse_allreduce(stream.next(), k / numel, WORLD, residual)
        allowed = 24 * k * (WORLD.size - 1) / WORLD.size + 32 * counters.messages_sent + 32768
        assert counters.bytes_sent <= allowed
        assert counters.messages_sent <= 16 * (WORLD.size - 1)
