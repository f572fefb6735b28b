"""Bytes, messages and memory of Ok-Topk's exchange, against what theory allows.

    mpirun -np 4 python scripts/study_exchange.py --numel 4000000
    python scripts/study_exchange.py --simulate 64 --numel 1000000

Every rank exchanges gradients that change from step to step with error feedback; the largest count
of any rank and step is reported. The bound on bytes is 6 k (P - 1) / P words of 4 bytes (Li and
Hoefler 2022), 32 bytes per message and 32 KiB. Memory is what gradwire allocates beyond the
gradient: residual, accumulator and everything else at its peak, traced by Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradwire.communicators import Communicator, MpiCommunicator, Simulation
from gradwire.compressors import TopK
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import OkTopk


@dataclass(frozen=True)
class Case:
    """What to exchange."""

    numel: int
    density: float
    steps: int


def gradient(case: Case, rank: int, step: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a Laplace-distributed gradient whose ten layers differ in scale by up to 30."""
    generator = np.random.Generator(np.random.PCG64([rank, step]))
    values = generator.laplace(size=case.numel).astype(np.float32)
    for layer, part in enumerate(np.array_split(values, 10)):
        part *= np.float32(30.0 ** (-layer / 9))
    return values


def run_rank(communicator: Communicator, case: Case) -> list[dict[str, float]]:
    """Exchange on one rank; return its counts for every step."""
    bucket = Bucket("study", "", case.numel)
    gradients = [gradient(case, communicator.rank, step) for step in range(case.steps)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    exchange = Exchange(TopK(case.density), OkTopk(), communicator)
    residual = OwnedResidual(case.numel)
    rows = []
    for step in range(case.steps):
        tracemalloc.reset_peak()
        reduced = exchange.reduce(bucket, gradients[step], step, residual)
        if not reduced.finite:
            raise RuntimeError("the study's gradients are finite")
        reduced.commit(residual, 1.0 / communicator.size)
        peak = tracemalloc.get_traced_memory()[1] - before
        report = reduced.report
        rows.append(
            {
                "bytes_sent": report.bytes_sent,
                "messages_sent": report.messages_sent,
                "imbalance": report.imbalance,
                "extra_bytes": peak,
            }
        )
    tracemalloc.stop()
    return rows


def summarise(case: Case, ranks: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Return the worst rank and step of each count, with the bounds."""
    size, k = len(ranks), max(1, round(case.numel * case.density))
    rows = [row for rank in ranks for row in rank]
    worst = max(rows, key=lambda row: row["bytes_sent"])
    bound = 24 * k * (size - 1) / size + 32 * worst["messages_sent"] + 32768
    return {
        "ranks": size,
        "numel": case.numel,
        "density": case.density,
        "steps": case.steps,
        "k": k,
        "bytes_sent": worst["bytes_sent"],
        "bound": bound,
        "messages_sent": worst["messages_sent"],
        "imbalance": max(row["imbalance"] for row in rows),
        "extra_bytes_per_parameter": max(row["extra_bytes"] for row in rows) / case.numel,
        "extra_bytes_beyond_8n_per_k": (max(r["extra_bytes"] for r in rows) - 8 * case.numel) / k,
    }


def main() -> int:
    """Run the case on the ranks of MPI or of a simulation; return 0 if the bound holds."""
    parser = argparse.ArgumentParser(description="Count what an Ok-Topk exchange moves and holds.")
    parser.add_argument("--numel", type=int, default=1_000_000, help="elements of the gradient")
    parser.add_argument("--density", type=float, default=0.01, help="share that is selected")
    parser.add_argument("--steps", type=int, default=5, help="exchanges in a row")
    parser.add_argument("--simulate", type=int, metavar="P", help="P virtual ranks, without MPI")
    parser.add_argument("--json", type=Path, help="append the result to this file, a line each")
    options = parser.parse_args()
    case = Case(options.numel, options.density, options.steps)
    if options.simulate:
        ranks = Simulation(options.simulate).run(run_rank, case)
    else:
        from mpi4py import MPI

        rows = run_rank(MpiCommunicator.cached(MPI.COMM_WORLD), case)
        gathered = MPI.COMM_WORLD.gather(rows)
        if gathered is None:  # not rank 0
            return 0
        ranks = gathered
    result = summarise(case, ranks)
    result["transport"] = "simulated" if options.simulate else "mpi"
    if options.simulate:  # all ranks share one memory
        del result["extra_bytes_per_parameter"], result["extra_bytes_beyond_8n_per_k"]
    print(json.dumps(result, indent=2))
    if options.json:
        with options.json.open("a") as file:
            file.write(json.dumps(result) + "\n")
    return 0 if result["bytes_sent"] <= result["bound"] else 1


if __name__ == "__main__":
    sys.exit(main())
