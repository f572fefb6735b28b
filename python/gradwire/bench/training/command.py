"""The command line of ``bench training``."""

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
    add_plot,
    add_seed,
)
from gradwire.bench.training.settings import MODELS, STEPS, STEPS_OF_A_CURVE, WHO, settings_of
from gradwire.errors import missing

if TYPE_CHECKING:
    from gradwire.bench.training.method import Method

_DESCRIPTION = """Trains a model by one method after the other over the ranks of an MPI job, and
times steps: launch it with mpirun. With --curve, also the held-out loss against steps, bytes and
seconds. Exit code 1: a reduction was wrong, replicas differ, or a loss is not finite.
Columns and method: docs/benchmarks.md."""
_EPILOG = """On emulated hosts, whose links have a price (Linux, root):

  sudo env "PATH=$PATH" OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1 \\
  OMPI_MCA_coll_tuned_use_dynamic_rules=1 OMPI_MCA_coll_tuned_allreduce_algorithm=4 \\
  python scripts/emulate_cluster.py --hosts 4 --rate 1gbit -- \\
  python -m gradwire bench training --json training.json --plot training.svg"""


def add_training(parts: Any) -> None:
    """Add the command ``training`` to argparse's subcommands."""
    parser = parts.add_parser(
        "training",
        help="train a model by each method over MPI",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=MODELS, default=MODELS[0], help="(default: %(default)s)")
    add("--width", type=int, metavar="W", help="char_lm: of its layers, a multiple of 32 (128)")
    add("--layers", type=int, metavar="L", help="char_lm: (3)")
    add("--parameters", type=float, metavar="M", help="mlp: about so many million (10)")
    add("--context", type=int, metavar="C", help="characters looked at (char_lm: 64, mlp: 16)")
    add("--batch-size", type=int, metavar="B", help="examples of a rank and step (8)")
    add("--lr", type=float, help="largest learning rate (char_lm: 2.5, mlp: 0.5)")
    add("--momentum", type=float, help="of SGD (0.7)")
    add("--clip", type=float, help="largest norm of the mean gradient (1)")
    add("--min-numel", type=int, metavar="N", help="smaller tensors travel dense beside others'"
        " entries and codes (256)")  # fmt: skip
    add_methods(parser, " besides local and dense/mpi")
    add_density(parser)
    add("--warmup-steps", type=int, metavar="S", help="dense ones, of sparse methods (with a "
        "curve 256, else 0)")  # fmt: skip
    add("--ramp-steps", type=int, metavar="S", help="in which the density then falls (likewise)")
    add("--steps", type=int, metavar="S",
        help=f"of each method (with a curve {STEPS_OF_A_CURVE}, else {STEPS})")  # fmt: skip
    add("--untimed", type=int, default=3, metavar="S",
        help="before the clock counts, after warm-up and ramp (default: %(default)s)")  # fmt: skip
    add("--curve", action="store_true", help="also the held-out loss")
    add("--every", type=int, metavar="E", help="steps between its evaluations (100); means --curve")
    add_seed(parser, 42)
    add_allocator(parser)
    add_json(parser)
    add_plot(parser, "draw the curves; means --curve")
    add_list(parser, "the methods")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, restart: bool) -> int:
    from gradwire.bench.launched import run_command

    return run_command(options, restart, _chosen, _session)


def _chosen(options: argparse.Namespace) -> list[Method]:
    """Return the methods to run: those that others are compared with, then the chosen ones."""
    from gradwire.bench.method import absent, matching_methods
    from gradwire.bench.training.methods import BASELINE, LOCAL, METHODS

    chosen = matching_methods(WHO, METHODS, options.methods, (LOCAL, BASELINE))
    settings_of(options)  # for its errors
    if not options.list and absent(["torch"]):
        raise missing("torch", WHO, "pip install 'gradwire[torch]'")
    return chosen


def _session(options: argparse.Namespace, methods: Sequence[Method]) -> int:
    # torch takes its time, and the process may have been started again until here.
    from gradwire.bench.training.session import run_session

    return run_session(options, settings_of(options), methods)
