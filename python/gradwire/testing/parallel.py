"""pytest hooks for tests that run as ranks of one job: a failing rank takes the job down.

Without them the other ranks wait for the failed one for ever, or report success. Use them in a
conftest.py:

    from gradwire.testing.parallel import pytest_exception_interact, pytest_sessionstart
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

# (rank, size) as Horovod, Open MPI, MPICH and Slurm give them to the processes they start
LAUNCHER_VARIABLES = (
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("PMIX_RANK", "SLURM_NTASKS"),
)


def launched_rank_and_size() -> tuple[int, int]:
    """Return this process's rank and the job's size, without initialising MPI; (0, 1) if alone."""
    for rank, size in LAUNCHER_VARIABLES:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def abort_job() -> NoReturn:
    """End this process and with it all ranks, at once and without waiting for any of them."""
    sys.stdout.flush()
    sys.stderr.flush()
    module = sys.modules.get("mpi4py.MPI")
    if module is not None and module.Is_initialized() and not module.Is_finalized():
        module.COMM_WORLD.Abort(1)
    os._exit(1)  # the launcher ends the others when one rank ends with an error


def pytest_exception_interact(node: Any, call: Any, report: Any) -> None:
    """Print a failure of any test under a launcher with its rank, and end the job."""
    rank, size = launched_rank_and_size()
    if size == 1:
        return
    os.write(2, f"\n[rank {rank}/{size}] {node.nodeid}\n{report.longreprtext}\n".encode())
    abort_job()


def pytest_sessionstart(session: Any) -> None:
    """Leave the normal report to rank 0."""
    rank, _ = launched_rank_and_size()
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if rank > 0 and reporter is not None:
        session.config.pluginmanager.unregister(reporter)
