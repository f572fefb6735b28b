"""The command line of ``bench allreduce``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradwire.errors import ConfigError

if TYPE_CHECKING:
    from gradwire.bench.collectives.method import Method

_DESCRIPTION = """Times what it takes to reduce n float32 over the ranks of an MPI job, method by
method, and checks all results: launch it with mpirun. Exit code 1: some result was wrong.
Columns and method: docs/benchmarks.md."""
_EPILOG = """The first line is MPI_Allreduce as the job was launched. Open MPI is fastest, and the
comparison fair, with its ring and with waiting ranks that yield, which only the launch can set:

  OMPI_MCA_coll_tuned_use_dynamic_rules=1 OMPI_MCA_coll_tuned_allreduce_algorithm=4 \\
  OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1 \\
  mpirun -np 4 --bind-to none python -m gradwire bench allreduce"""


def add_allreduce(parts: Any) -> None:
    """Add the command ``allreduce`` to argparse's subcommands."""
    parser = parts.add_parser(
        "allreduce",
        help="time and check reductions over MPI",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--n", type=int, default=25_000_000, metavar="N", help="elements (default: %(default)s)")
    add("--density", nargs="+", type=float, default=[0.01], help="k / n (default: 0.01)")
    add("--methods", nargs="+", metavar="PATTERN", help="only these, such as 'okt*' (see --list)")
    add("--repetitions", type=int, default=15, metavar="R", help="(default: %(default)s)")
    add("--untimed", type=int, default=1, metavar="U",
        help="steps of a method right before each timed one (default: %(default)s)")  # fmt: skip
    add("--warmup", type=int, default=2, metavar="W", help="untimed steps (default: %(default)s)")
    add("--seed", type=int, default=1, help="(default: %(default)s)")
    add("--no-peers", action="store_true", help="MPI and gradwire only")
    add("--phases", action="store_true", help="also a table of gradwire's phases")
    add(
        "--allocator",
        choices=("warm", "default"),
        default="warm",
        help="warm: restart with glibc's allocator keeping freed memory (default: %(default)s)",
    )
    add("--json", type=Path, metavar="F", help="also write everything to a file")
    add("--list", action="store_true", help="list the methods, and end")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, restart: bool) -> int:
    from gradwire.testing.parallel import launched_rank_and_size

    rank, _ = launched_rank_and_size()
    try:
        methods = _chosen(options)
    except ConfigError:
        if rank == 0:
            raise
        return 0  # rank 0 says it; a launcher that saw another one fail first would end that
    if options.list:
        return _list(methods) if rank == 0 else 0
    if restart and options.allocator == "warm":
        from gradwire.bench.allocator import restart_with_warm_allocator

        restart_with_warm_allocator()
    from gradwire.bench.collectives.session import run_session

    return run_session(options, methods)


def _chosen(options: argparse.Namespace) -> list[Method]:
    """Return the methods to run, or raise ConfigError for wrong options."""
    from gradwire.bench.collectives.methods import BASELINE, METHODS
    from gradwire.bench.collectives.runner import matching_methods

    if not 1 <= options.n < 2**32:
        raise ConfigError(f"bench allreduce: --n must be in [1, 2**32), got {options.n}")
    for density in options.density:
        if not 0.0 < density <= 1.0:
            raise ConfigError(f"bench allreduce: --density must be in (0, 1], got {density}")
    for name, least in (("repetitions", 1), ("warmup", 1), ("untimed", 0), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise ConfigError(f"bench allreduce: --{name} must be at least {least}, got {value}")
    chosen = matching_methods(METHODS, options.methods, BASELINE)
    return [each for each in chosen if not (options.no_peers and each.peer)]


def _list(methods: Sequence[Method]) -> int:
    for method in methods:
        print(f"{method.name:<18} {method.summary}")
    return 0
