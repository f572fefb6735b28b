"""The command line of ``bench allreduce``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradwire.bench.options import (
    add_allocator,
    add_density,
    add_json,
    add_list,
    add_methods,
    add_numel,
    add_repetitions,
    add_seed,
    require_at_least,
    require_density,
    require_numel,
)

if TYPE_CHECKING:
    from gradwire.bench.collectives.method import Method

_WHO = "bench allreduce"
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
    add_numel(parser)
    add_density(parser, several=True)
    add_methods(parser)
    add_repetitions(parser)
    add("--untimed", type=int, default=1, metavar="U",
        help="steps of a method right before each timed one (default: %(default)s)")  # fmt: skip
    add("--warmup", type=int, default=2, metavar="W", help="untimed steps (default: %(default)s)")
    add_seed(parser, 1)
    add("--result-in", choices=["gradwire", "caller"], default="gradwire",
        help="whose memory gradwire writes its results to: its own, read-only to others, or "
        "anybody's, which it clears (default: %(default)s)")  # fmt: skip
    add("--no-peers", action="store_true", help="MPI and gradwire only")
    add("--phases", action="store_true", help="also a table of gradwire's phases")
    add_allocator(parser)
    add_json(parser)
    add_list(parser, "the methods")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, restart: bool) -> int:
    from gradwire.bench.launched import run_command

    return run_command(options, restart, _chosen, _session)


def _chosen(options: argparse.Namespace) -> list[Method]:
    """Return the methods to run, or raise ConfigError for wrong options."""
    from gradwire.bench.collectives.methods import BASELINE, METHODS
    from gradwire.bench.method import matching_methods

    require_numel(_WHO, options.n)
    for density in options.density:
        require_density(_WHO, density)
    least = {"repetitions": 1, "warmup": 1, "untimed": 0, "seed": 0}
    require_at_least(_WHO, options, least)
    chosen = matching_methods(_WHO, METHODS, options.methods, [BASELINE])
    return [each for each in chosen if not (options.no_peers and each.peer)]


def _session(options: argparse.Namespace, methods: Sequence[Method]) -> int:
    # Not before: the process may have been started again until here.
    from gradwire.bench.collectives.session import run_session

    return run_session(options, methods)
