"""The MPI communicator, on however many ranks this is started."""

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

from gradwire.communicators import MpiCommunicator
from gradwire.errors import ConfigError
from gradwire.testing.communicators import CHECKS, FAILURE_CHECKS, exchange_sized, uneven_size
from gradwire.testing.subgroups import SUBGROUP_CHECKS, SUBGROUP_FAILURE_CHECKS

pytestmark = pytest.mark.parallel
DEADLINE = 60.0  # seconds
ALL_CHECKS = {**CHECKS, **SUBGROUP_CHECKS}
ALL_FAILURE_CHECKS = {**FAILURE_CHECKS, **SUBGROUP_FAILURE_CHECKS}


@pytest.fixture
def communicator() -> Iterator[MpiCommunicator]:
    made = MpiCommunicator(MPI.COMM_WORLD, DEADLINE)
    # A rank that gives up at once would otherwise reach others that are still making theirs.
    MPI.COMM_WORLD.Barrier()
    yield made
    made.close()


@pytest.mark.parametrize("name", ALL_CHECKS)
def test_conformance(communicator: MpiCommunicator, name: str) -> None:
    ALL_CHECKS[name](communicator)


@pytest.mark.parametrize("name", ALL_FAILURE_CHECKS)
def test_failures(communicator: MpiCommunicator, name: str) -> None:
    ALL_FAILURE_CHECKS[name](communicator)


def test_window_of_one(communicator: MpiCommunicator) -> None:
    communicator.window = 1
    communicator.piece_bytes = 1000
    exchange_sized(communicator, uneven_size)


def test_private_to_its_owner(communicator: MpiCommunicator) -> None:
    """Traffic on the user's communicator, whatever its tags, is not mistaken for ours."""
    peer = (communicator.rank + 1) % communicator.size
    stray = np.full(8, communicator.rank, np.int64)
    requests = [MPI.COMM_WORLD.Isend(stray, peer, tag) for tag in range(4)]
    exchange_sized(communicator, uneven_size)
    source = (communicator.rank - 1) % communicator.size
    for tag in range(4):
        received = np.empty(8, np.int64)
        MPI.COMM_WORLD.Recv(received, source, tag)
        assert (received == source).all()
    MPI.Request.Waitall(requests)


def test_two_communicators_at_once() -> None:
    """Each thread has its own; the threads' order differs between ranks."""
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        pytest.skip("MPI has no MPI_THREAD_MULTIPLE")
    communicators = [MpiCommunicator(MPI.COMM_WORLD, DEADLINE) for _ in range(2)]
    errors: list[BaseException] = []

    def work(own: MpiCommunicator) -> None:
        try:
            for step in range(20):
                exchange_sized(own, partial(uneven_size, step=step))
        except BaseException as error:
            errors.append(error)

    order = communicators if MPI.COMM_WORLD.rank % 2 else communicators[::-1]
    threads = [threading.Thread(target=work, args=(own,)) for own in order]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for own in communicators:
        own.close()


def test_cached_is_one_per_communicator_and_dies_with_it() -> None:
    comm = MPI.COMM_WORLD.Dup()
    cached = MpiCommunicator.cached(comm)
    assert MpiCommunicator.cached(comm) is cached
    assert MpiCommunicator.cached(MPI.COMM_WORLD) is not cached
    exchange_sized(cached, uneven_size)
    comm.Free()
    with pytest.raises(ConfigError, match=r"after close\(\)"):
        cached.barrier()


def test_cached_again_after_close() -> None:
    comm = MPI.COMM_WORLD.Dup()
    MpiCommunicator.cached(comm).close()
    exchange_sized(MpiCommunicator.cached(comm), uneven_size)
    comm.Free()


def test_from_group_needs_only_its_members() -> None:
    world = MPI.COMM_WORLD
    even = list(range(0, world.size, 2))[::-1]
    if world.rank in even:
        group = MpiCommunicator.from_group(even, tag=5, deadline=DEADLINE)
        assert (group.rank, group.size) == (even.index(world.rank), len(even))
        for check in CHECKS.values():
            check(group)
        group.close()


def test_from_group_refuses_wrong_ranks() -> None:
    world = MPI.COMM_WORLD
    with pytest.raises(ConfigError, match="distinct ranks below"):
        MpiCommunicator.from_group([0, world.size])
    with pytest.raises(ConfigError, match="distinct ranks below"):
        MpiCommunicator.from_group([0, 0])
    if world.size > 1:
        with pytest.raises(ConfigError, match="is not in the group"):
            MpiCommunicator.from_group([(world.rank + 1) % world.size])


def test_closing_twice(communicator: MpiCommunicator) -> None:
    communicator.close()
    communicator.close()
    with pytest.raises(ConfigError, match=r"after close\(\)"):
        communicator.allgatherv(b"", 0)


def test_without_thread_multiple(
    communicator: MpiCommunicator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MPI, "Query_thread", lambda: MPI.THREAD_FUNNELED)
    communicator.barrier()
    monkeypatch.setattr(MPI, "Is_thread_main", lambda: False)
    with pytest.raises(ConfigError, match="MPI_THREAD_MULTIPLE"):
        communicator.barrier()
    with pytest.raises(ConfigError, match="MPI_THREAD_MULTIPLE"):
        MpiCommunicator(MPI.COMM_SELF)


def test_two_threads_in_one_communicator(communicator: MpiCommunicator) -> None:
    with communicator._guarded(), pytest.raises(ConfigError, match="two threads"):
        communicator.barrier()
    communicator.barrier()
