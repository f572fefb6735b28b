"""One run of ``bench allreduce`` on all ranks, from its launch to its exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from statistics import median
from typing import Any

from gradwire.bench.allocator import is_warm
from gradwire.bench.collectives import table
from gradwire.bench.collectives.method import Method
from gradwire.bench.collectives.places import Place, own_place
from gradwire.bench.collectives.result import Report
from gradwire.bench.collectives.runner import Plan, Runner
from gradwire.bench.environment import (
    collect_environment,
    peak_memory_bytes,
    require_memory,
)
from gradwire.bench.files import check_writable, write_json
from gradwire.bench.launched import agree, describe_mpi, run_on_all, say_nothing
from gradwire.bench.method import Job
from gradwire.bench.runner import say_on_stderr, torch_threads
from gradwire.kernels import native

# Vectors of n float32 on each rank: whatever is chosen, and at least for each line of the table.
_VECTORS_OF_ALL = 8
_VECTORS_OF_A_LINE = 2
WHO = "bench allreduce"


def run_session(options: argparse.Namespace, methods: Sequence[Method]) -> int:
    """Measure, print and write; return the exit code. Collective, over MPI_COMM_WORLD.

    Raises:
        GradwireError: on rank 0, if the options cannot work here. A rank that fails otherwise
            ends the job.
    """
    return run_on_all(WHO, lambda comm: _run(options, methods, comm))


def _run(options: argparse.Namespace, methods: Sequence[Method], comm: Any) -> int:
    job = Job(comm, options.n, options.seed, options.result_in)
    places: list[Place] = comm.allgather(own_place())
    densities = list(dict.fromkeys(options.density))
    plan = Plan(methods, densities, options.repetitions, options.warmup, options.untimed)
    agree(comm, lambda: _check_here(options, plan, job.rank, places))
    report = Report(_settings(options, plan), {}, [], [], [])
    if job.rank == 0:
        report.environment = collect_environment() | {"mpi": describe_mpi(WHO, places)}
        print("\n".join(table.heading(report)), flush=True)
    runner = Runner(plan, job, places, say_on_stderr if job.rank == 0 else say_nothing)
    # Ranks share cores: torch, like the kernels, takes one unless it is told otherwise.
    with torch_threads(native.current_threads()) if _need_torch(methods) else nullcontext():
        report.results = runner.run()
    report.copy_seconds = comm.gather(runner.copy_seconds, root=0) or []
    peak = comm.gather(peak_memory_bytes(), root=0)
    if job.rank == 0:
        report.environment["peak_memory_bytes"] = peak
        report.notes = [_copy_note(report.copy_seconds), *runner.notes]
        _show(report, options)
    wrong = comm.bcast(bool(report.wrong_methods), root=0)
    return int(wrong)


def _show(report: Report, options: argparse.Namespace) -> None:
    print("\n".join(table.lines(report.results)))
    if options.phases:
        print("#")
        print("\n".join(table.phase_lines(report.results)))
    print("\n".join(table.footer(report)), flush=True)
    if options.json:
        write_json(WHO, report.to_json(), options.json)


def _check_here(
    options: argparse.Namespace, plan: Plan, rank: int, places: Sequence[Place]
) -> None:
    """Refuse what the machine would end in the midst of, and a file that cannot be written."""
    ranks = sum(each.machine == places[rank].machine for each in places)
    vectors = ranks * (_VECTORS_OF_ALL + _VECTORS_OF_A_LINE * len(plan.lines))
    require_memory(
        f"{WHO}: --n {options.n} on {ranks} ranks of a machine needs at least",
        4 * options.n * vectors,
        "choose a smaller one, or fewer --methods",
        places[rank].host,
    )
    if rank == 0:
        check_writable(WHO, options.json)


def _settings(options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    return {
        "numel": options.n,
        "densities": list(plan.densities),
        "methods": [method.name for method in plan.methods],
        "repetitions": plan.repetitions,
        "warmup": plan.warmup,
        "untimed": plan.untimed,
        "seed": options.seed,
        "threads": native.current_threads(),
        "allocator": "warm" if is_warm() else "default",
    }


def _copy_note(copy_seconds: Sequence[Sequence[float]]) -> str:
    medians = [median(each) for each in copy_seconds]
    return (
        f"a copy of n float32, on all ranks at once: {min(medians) * 1e3:.3f} to "
        f"{max(medians) * 1e3:.3f} ms"
    )


def _need_torch(methods: Sequence[Method]) -> bool:
    return any("torch" in method.needs for method in methods)
