"""Benchmarks that are launched as ranks of an MPI job: what they share from launch to exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from gradwire.bench.collectives.places import Place, as_json, share_a_clock, untuned
from gradwire.bench.method import Chosen
from gradwire.bench.options import set_allocator
from gradwire.communicators.mpi_library import import_mpi
from gradwire.errors import ConfigError, GradwireError
from gradwire.testing.parallel import abort_job, launched_rank_and_size


class CommonError(ConfigError):
    """Something that all ranks know of."""


def run_command(
    options: argparse.Namespace,
    restart: bool,
    choose: Callable[[argparse.Namespace], Sequence[Chosen]],
    session: Callable[[argparse.Namespace, Sequence[Chosen]], int],
) -> int:
    """Run the command of a benchmark of methods and return its exit code.

    Args:
        options: of the command line; --list and --allocator are obeyed here.
        restart: the process may be started again.
        choose: returns the methods, or raises an error for options that cannot work.
        session: measures the methods.

    Raises:
        ConfigError, ImportError: on rank 0, what `choose` raised.
    """
    rank, _ = launched_rank_and_size()
    try:
        methods = choose(options)
    except (ConfigError, ImportError):
        if rank == 0:
            raise
        return 0  # rank 0 says it; a launcher that saw another one fail first would end that
    if options.list:
        return _list(methods) if rank == 0 else 0
    set_allocator(options, restart)
    return session(options, methods)


def _list(methods: Sequence[Chosen]) -> int:
    width = max(len(method.name) for method in methods)
    for method in methods:
        print(f"{method.name:<{width}} {method.summary}")
    return 0


def run_on_all(who: str, run: Callable[[Any], int]) -> int:
    """Run a benchmark on a duplicate of MPI_COMM_WORLD and return its exit code. Collective.

    Raises:
        GradwireError: on rank 0, what all ranks know of. A rank that fails otherwise ends the job.
    """
    comm = import_mpi(who).COMM_WORLD.Dup()
    try:
        code = run(comm)
        comm.Free()
        return code
    except CommonError:
        if comm.Get_rank() == 0:
            raise
        return 0  # rank 0 says it, and its exit code is the job's
    except Exception:
        if comm.Get_size() == 1:
            raise
        sys.excepthook(*sys.exc_info())
        abort_job()  # the others would wait for this rank


def agree(comm: Any, check: Callable[[], None]) -> None:
    """Run a check on every rank and raise what any of them found on all, as CommonError."""
    found = ""
    try:
        check()
    except GradwireError as error:
        found = str(error)
    for text in filter(None, comm.allgather(found)):
        raise CommonError(text)


def describe_mpi(who: str, places: Sequence[Place]) -> dict[str, Any]:
    """Return library, ranks, hosts and the launch's settings, as JSON can hold them."""
    library = import_mpi(who).Get_library_version().splitlines()[0].rstrip("\0")
    is_open_mpi = library.startswith("Open MPI")
    return {
        "library": library.partition(",")[0] if is_open_mpi else library,
        "ranks": len(places),
        "one_clock": share_a_clock(places),
        "untuned": untuned(places) if is_open_mpi else None,
        "places": as_json(places),
    }


def say_nothing(text: str) -> None:
    """Show no progress: one rank does."""
    del text
