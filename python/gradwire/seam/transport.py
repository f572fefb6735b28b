"""The communicator for a Horovod process set: MPI where Horovod runs on it, else Horovod itself."""

from __future__ import annotations

import atexit
import itertools
import logging
import sys
import weakref
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from gradwire.communicators import Communicator, HorovodCommunicator, MpiCommunicator
from gradwire.communicators.mpi_library import import_mpi
from gradwire.errors import ConfigError, MissingDependencyError

_log = logging.getLogger("gradwire")
# Per set of ranks: a rank that is in fewer process sets opens fewer communicators than its peers.
_instances: defaultdict[tuple[int, ...], Iterator[int]] = defaultdict(lambda: itertools.count(1))
_over_mpi: weakref.WeakSet[MpiCommunicator] = weakref.WeakSet()

TRANSPORTS = ("auto", "mpi", "horovod")


def restart_numbering() -> None:
    """Number communicators from 1 again, as ranks do that have just joined an elastic job."""
    _instances.clear()


def open_communicator(process_set: Any, transport: str) -> Communicator:
    """Return a private communicator over the ranks of a process set; collective over them.

    The ranks of a process set must open its communicators in the same order.

    Raises:
        ConfigError: ``transport="mpi"`` where MPI cannot be used, with the reason; on all ranks.
    """
    import horovod.torch as hvd
    import torch

    instance = next(_instances[tuple(process_set.ranks)])
    name = f"gradwire.transport.{instance}"
    reason = _why_not_mpi() if transport != "horovod" else "transport='horovod' was asked for"
    mine = torch.tensor([[-1 if reason else _world_rank(), transport == "mpi"]])
    everyone = hvd.allgather(mine, name=name, process_set=process_set).tolist()
    world_ranks = [world_rank for world_rank, _ in everyone]
    if -1 not in world_ranks and len(set(world_ranks)) == len(world_ranks):
        _log.info("gradwire exchanges over MPI")
        communicator = MpiCommunicator.from_group(world_ranks, tag=instance)
        _over_mpi.add(communicator)
        # The last to be registered runs first: this must run before Horovod ends MPI.
        atexit.unregister(_part_at_exit)
        atexit.register(_part_at_exit)
        return communicator
    if any(demanded for _, demanded in everyone):
        without = [rank for rank, world_rank in enumerate(world_ranks) if world_rank == -1]
        raise ConfigError(
            f"transport='mpi' cannot be used: {reason or f'not used on ranks {without}'}"
        )
    _log.info("gradwire exchanges over Horovod: %s", reason or "MPI is not usable on every rank")
    return HorovodCommunicator(process_set, instance=str(instance))


def _part_at_exit() -> None:
    """Let no rank end under another one that is still exchanging.

    Horovod shuts down on all ranks when one ends, and where it has initialised MPI it finalises
    MPI, whatever other threads are doing there: so ranks wait for each other. If an exception ends
    this rank the peers are told: they may be waiting in an exchange that this rank never reached,
    for gradients were handed in, then something between ``backward()`` and ``step()`` failed. Waits
    in Horovod's own operations need nothing.
    """
    error = getattr(sys, "last_value", None)
    for communicator in list(_over_mpi):
        if error is None:
            communicator.end_together()
        else:
            communicator.fail(error)


def _why_not_mpi() -> str:
    """Return why MPI cannot be used on this rank, or "" if it can."""
    import horovod.torch as hvd

    if not hvd.mpi_built() or not hvd.mpi_enabled():
        return "Horovod does not run over MPI here"
    if not hvd.mpi_threads_supported():
        return "Horovod initialised MPI without MPI_THREAD_MULTIPLE"
    try:
        MPI = import_mpi("transport='mpi'")
    except MissingDependencyError as error:
        return str(error)
    if not MPI.Is_initialized() or MPI.Is_finalized():
        return "MPI is not initialised"
    if hvd.size() > MPI.COMM_WORLD.size:
        return f"Horovod has {hvd.size()} ranks, MPI_COMM_WORLD has {MPI.COMM_WORLD.size}"
    return ""


def _world_rank() -> int:
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.rank)
