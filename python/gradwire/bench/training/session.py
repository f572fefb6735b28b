"""One run of ``bench training`` on all ranks, from its launch to its exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gradwire.bench.allocator import is_warm
from gradwire.bench.collectives.places import Place, own_place
from gradwire.bench.environment import (
    collect_environment,
    peak_memory_bytes,
    require_memory,
)
from gradwire.bench.files import check_writable, write_json
from gradwire.bench.launched import agree, describe_mpi, run_on_all, say_nothing
from gradwire.bench.method import Job
from gradwire.bench.picture import require_figure
from gradwire.bench.runner import say_on_stderr, torch_threads
from gradwire.bench.training import table
from gradwire.bench.training.char_lm import Text, load_text
from gradwire.bench.training.method import Method
from gradwire.bench.training.plot import WHO as PLOT
from gradwire.bench.training.plot import plot
from gradwire.bench.training.result import Report
from gradwire.bench.training.runner import Runner
from gradwire.bench.training.settings import WHO, Settings
from gradwire.bench.training.tasks import count_parameters
from gradwire.errors import ConfigError
from gradwire.kernels import native

# Vectors of n float32 on each rank: parameters, gradients, momentum, residual and accumulator; and
# what a check takes.
_VECTORS_OF_A_METHOD = 5
_VECTORS_OF_A_CHECK = 6


def run_session(options: argparse.Namespace, settings: Settings, methods: Sequence[Method]) -> int:
    """Train, print, draw and write; return the exit code. Collective, over MPI_COMM_WORLD.

    Raises:
        GradwireError: on rank 0, if the options cannot work here. A rank that fails otherwise
            ends the job.
    """
    return run_on_all(WHO, lambda comm: _run(options, settings, methods, comm))


def _run(
    options: argparse.Namespace, settings: Settings, methods: Sequence[Method], comm: Any
) -> int:
    job = Job(comm, count_parameters(settings), settings.seed)
    places: list[Place] = comm.allgather(own_place())
    texts: list[Text] = []
    agree(comm, lambda: _check_here(options, job, places, len(methods), texts))
    facts = {"numel": job.numel, "settled": settings.settled, **_of_the_process()}
    report = Report(settings.to_json() | facts, {}, [], [])
    if job.rank == 0:
        report.environment = collect_environment() | {"mpi": describe_mpi(WHO, places)}
        print("\n".join(table.heading(report)), flush=True)
    # Ranks share cores: torch, like the kernels, takes one unless it is told otherwise.
    with torch_threads(native.current_threads()):
        progress = say_on_stderr if job.rank == 0 else say_nothing
        report.results = Runner(methods, settings, job, places, texts[0], progress).run()
    peak = comm.gather(peak_memory_bytes(), root=0)
    if job.rank == 0:
        report.environment["peak_memory_bytes"] = peak
        report.notes = table.uncounted_note(report.results)
        _show(report, options)
    failed = bool(report.wrong_methods or report.failures)
    return int(comm.bcast(failed, root=0))


def _of_the_process() -> dict[str, Any]:
    allocator = "warm" if is_warm() else "default"
    return {"threads": native.current_threads(), "allocator": allocator}


def _show(report: Report, options: argparse.Namespace) -> None:
    print("\n".join(table.lines(report.results)))
    curves = table.curve_lines(report.results)
    if curves:
        print("\n".join(["#", *curves]))
    print("\n".join(table.footer(report)), flush=True)
    if options.json:
        write_json(WHO, report.to_json(), options.json)
    if options.plot and curves:
        plot(report, options.plot)


def _check_here(
    options: argparse.Namespace,
    job: Job,
    places: Sequence[Place],
    methods: int,
    texts: list[Text],
) -> None:
    """Load the text, and refuse what would fail in the midst of the run or after it."""
    try:
        texts.append(load_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{WHO}: {error}") from None
    here = places[job.rank]
    ranks = sum(each.machine == here.machine for each in places)
    require_memory(
        f"{WHO}: {methods} models of {job.numel:,} parameters on {ranks} ranks of a machine need "
        "at least",
        4 * job.numel * ranks * (_VECTORS_OF_A_METHOD * methods + _VECTORS_OF_A_CHECK),
        "choose a smaller one, or fewer --methods",
        here.host,
    )
    if options.plot and job.size < 2:
        raise ConfigError(f"{WHO}: --plot needs at least 2 ranks: one rank sends nothing")
    if job.rank == 0:
        check_writable(WHO, options.json, options.plot)
        if options.plot:
            require_figure(PLOT, options.plot)
