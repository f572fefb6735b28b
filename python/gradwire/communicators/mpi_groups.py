"""MPI communicators made of others: private duplicates, and groups of ranks of the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradwire.communicators.mpi_end import abandoned, end_in_time
from gradwire.communicators.polling import DEADLINE_VARIABLE, Patience
from gradwire.errors import ConfigError, DeadlineError

if TYPE_CHECKING:
    from mpi4py import MPI


def duplicated(comm: MPI.Intracomm, deadline: float) -> MPI.Intracomm:
    """Return a private duplicate, once every rank has come to make its own.

    Raises:
        DeadlineError: one has not come within ``deadline`` seconds.
    """
    duplicate, request = comm.Idup()
    patience = Patience(deadline)
    while not request.Test():
        if patience.exhausted:
            abandoned.append(request)
            end_in_time(deadline)
            raise DeadlineError(
                f"MpiCommunicator: rank {comm.Get_rank()} of {comm.Get_size()} waited "
                f"{deadline:g} s for all ranks to make theirs; every rank of the communicator "
                f"must, and those that are only slow need a longer deadline ({DEADLINE_VARIABLE})"
            )
        patience.pause()
    return duplicate


def group_of_world(mpi: Any, world_ranks: Sequence[int], tag: int) -> MPI.Intracomm:
    """Return a communicator of these ranks of MPI_COMM_WORLD, in their order; only they call.

    Raises:
        ConfigError: they are not distinct ranks of it, or the caller is none of them.
    """
    world: MPI.Intracomm = mpi.COMM_WORLD
    ranks = [int(rank) for rank in world_ranks]
    if any(not 0 <= rank < world.size for rank in ranks) or len(set(ranks)) != len(ranks):
        raise ConfigError(
            f"MpiCommunicator: expected distinct ranks below {world.size}, the size of "
            f"MPI_COMM_WORLD, got {ranks}; was this process started by mpirun?"
        )
    if world.rank not in ranks:
        raise ConfigError(
            f"MpiCommunicator: rank {world.rank} is not in the group {ranks} that it creates"
        )
    group = world.group.Incl(ranks)
    comm = world.Create_group(group, tag)
    group.Free()
    return comm
