"""The command line of ``bench training``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradwire.bench.training.settings import MODELS, STEPS, STEPS_OF_A_CURVE, WHO, settings_of
from gradwire.errors import ConfigError, missing

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
    add("--methods", nargs="+", metavar="PATTERN",
        help="only these besides local and dense/mpi, such as 'okt*' (see --list)")  # fmt: skip
    add("--density", type=float, default=0.01, help="k / n (default: %(default)s)")
    add("--warmup-steps", type=int, metavar="S", help="dense ones, of sparse methods (with a "
        "curve 256, else 0)")  # fmt: skip
    add("--ramp-steps", type=int, metavar="S", help="in which the density then falls (likewise)")
    add("--steps", type=int, metavar="S",
        help=f"of each method (with a curve {STEPS_OF_A_CURVE}, else {STEPS})")  # fmt: skip
    add("--untimed", type=int, default=3, metavar="S",
        help="before the clock counts, after warm-up and ramp (default: %(default)s)")  # fmt: skip
    add("--curve", action="store_true", help="also the held-out loss")
    add("--every", type=int, metavar="E", help="steps between its evaluations (100); means --curve")
    add("--seed", type=int, default=42, help="(default: %(default)s)")
    add("--allocator", choices=("warm", "default"), default="warm",
        help="warm: restart with glibc's allocator keeping freed memory"
        " (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="F", help="also write everything to a file")
    add("--plot", type=Path, metavar="F.svg", help="draw the curves; means --curve")
    add("--list", action="store_true", help="list the methods, and end")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, restart: bool) -> int:
    from gradwire.testing.parallel import launched_rank_and_size

    rank, _ = launched_rank_and_size()
    try:
        methods, settings = _chosen(options), settings_of(options)
        if options.list:
            return _list(methods) if rank == 0 else 0
        _require_torch()
    except (ConfigError, ImportError):
        if rank == 0:
            raise
        return 0  # rank 0 says it; a launcher that saw another one fail first would end that
    if restart and options.allocator == "warm":
        from gradwire.bench.allocator import restart_with_warm_allocator

        restart_with_warm_allocator()
    from gradwire.bench.training.session import run_session

    return run_session(options, settings, methods)


def _chosen(options: argparse.Namespace) -> list[Method]:
    """Return the methods to run: those that others are compared with, then the chosen ones."""
    from gradwire.bench.choice import matching
    from gradwire.bench.training.methods import BASELINE, LOCAL, METHODS

    always = (LOCAL, BASELINE)
    chosen = matching(WHO, "method", METHODS, options.methods)
    return [*always, *(each for each in chosen if each not in always)]


def _require_torch() -> None:
    # Not imported yet: the process may start again, and torch takes its time.
    if find_spec("torch") is None:
        raise missing("torch", WHO, "pip install 'gradwire[torch]'")


def _list(methods: Sequence[Method]) -> int:
    for method in methods:
        print(f"{method.name:<18} {method.summary}")
    return 0
