"""A job in which rank 1 misbehaves; run by test_launched_communicators.py.

Usage: failing_ranks.py TRANSPORT SCENARIO
"""

import os
import sys
import time
from collections.abc import Callable

from gradwire.communicators import HorovodCommunicator, MpiCommunicator
from gradwire.errors import DeadlineError

PATIENT = 60.0  # seconds, for ranks that only start slowly
DEADLINE = 1.0  # seconds, for the rank that never comes
Ranks = MpiCommunicator | HorovodCommunicator
FOREVER = 600.0  # seconds, longer than the test that starts this allows


def connect(transport: str) -> Ranks:
    """Return this rank's communicator."""
    if transport == "mpi":
        from mpi4py import MPI

        return MpiCommunicator(MPI.COMM_WORLD, PATIENT)
    import horovod.torch as hvd

    hvd.init()
    return HorovodCommunicator(deadline=PATIENT)


def stuck(communicator: Ranks) -> None:
    """Rank 1 never comes; the others say so and end the job."""
    communicator.barrier()
    communicator.deadline = DEADLINE
    if communicator.rank == 1:
        time.sleep(FOREVER)
    try:
        communicator.allgatherv(b"hello", 5)
    except DeadlineError as error:
        sys.stdout.write(f"rank {communicator.rank} caught {error}\n")
        sys.stdout.flush()
        os._exit(3)


def stuck_uncaught(communicator: Ranks) -> None:
    """Rank 1 never comes, and the others do not catch the error that says so."""
    communicator.barrier()
    communicator.deadline = DEADLINE
    if communicator.rank == 1:
        time.sleep(FOREVER)
    communicator.allgatherv(b"hello", 5)


def fails(communicator: Ranks) -> None:
    """Rank 1 tells the others why it raises; nobody catches anything."""
    communicator.barrier()
    if communicator.rank == 1:
        error = OSError("the disk is full")
        communicator.fail(error)
        raise error
    communicator.allgatherv(b"hello", 5)


def stuck_in_group(communicator: Ranks) -> None:
    """Rank 1 is in the group and then never comes."""
    group = communicator.subgroup([0, 1])
    group.deadline = DEADLINE
    if communicator.rank == 1:
        time.sleep(FOREVER)
    group.allgatherv(b"hello", 5)


def without_group(communicator: Ranks) -> None:
    """Rank 1 never joins the group."""
    communicator.barrier()
    communicator.deadline = DEADLINE
    if communicator.rank == 1:
        time.sleep(FOREVER)
    communicator.subgroup([0, 1])


def absent() -> None:
    """Rank 1 never makes a communicator; the others say so."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 1:
        time.sleep(FOREVER)
    MpiCommunicator(MPI.COMM_WORLD, DEADLINE)


SCENARIOS: dict[str, Callable[[Ranks], None]] = {
    "stuck": stuck,
    "stuck_uncaught": stuck_uncaught,
    "fails": fails,
    "stuck_in_group": stuck_in_group,
    "without_group": without_group,
}

if __name__ == "__main__":
    if sys.argv[2] == "absent":
        absent()
    else:
        SCENARIOS[sys.argv[2]](connect(sys.argv[1]))
