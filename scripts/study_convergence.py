"""Convergence of a compressed run against the dense run of the same seed, on real data.

    mpirun -np 2 python scripts/study_convergence.py digits --folds 5 --seeds 5 --json digits.json
    mpirun -np 2 python scripts/study_convergence.py char_lm --seeds 3 --json char_lm.json

One process per rank trains all models one after the other with the examples' own ``train``. Flags
that this script does not know go to the example (``--steps 1000 --density 0.01 --lr 0.05 ...``).
The JSON file is written after every run; started again on the same file, the study goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

# One thread per rank, because ranks share the cores; read when torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import horovod
import horovod.torch as hvd
import torch
from scipy import stats

import gradwire

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

DENSE = "none"
CONFIDENCE = 0.95
SEEDS_METHOD = (
    "paired Student t interval over seeds; one seed's accuracy counts every image once, in the "
    "fold that held it out"
)
PAIRS_METHOD = "paired Student t interval over (seed, fold) pairs, taken as independent"
RATIO_METHOD = "Student t interval over seeds of compressed loss / dense loss"

Run = dict[str, Any]


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """This script's arguments, and those for the example."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("digits", "char_lm"), help="which example to train")
    parser.add_argument("--method", default="oktopk", help="compared with dense (default: oktopk)")
    parser.add_argument("--folds", type=int, default=5, help="digits: parts (default: 5)")
    parser.add_argument("--seeds", type=int, default=5, help="paired seeds (default: 5)")
    parser.add_argument("--json", type=Path, required=True, help="result file, resumed if there")
    return parser.parse_known_args()


def plan(args: argparse.Namespace) -> list[tuple[int, int | None, str]]:
    """(seed, fold, compressor) of every run; a dense run and its partner are neighbours."""
    folds = range(args.folds) if args.task == "digits" else [None]
    return [
        (seed, fold, compressor)
        for seed in range(args.seeds)
        for fold in folds
        for compressor in (DENSE, args.method)
    ]


def example_arguments(
    example: ModuleType,
    flags: list[str],
    folds: int,
    run: tuple[int, int | None, str],
) -> argparse.Namespace:
    """The example's arguments for one run, as its command line would give them."""
    seed, fold, compressor = run
    own = ["--seed", str(seed), "--compressor", compressor, "--log-interval", "0"]
    if fold is not None:
        own += ["--fold", str(fold), "--folds", str(folds)]
    arguments: argparse.Namespace = example.parse_arguments([*flags, *own])
    return arguments


def settings_of(args: argparse.Namespace, example_args: argparse.Namespace) -> dict[str, Any]:
    """What all runs of a study share; a file with other settings is not continued."""
    changing = ("seed", "fold", "compressor", "summary", "log_interval")
    shared = {name: value for name, value in vars(example_args).items() if name not in changing}
    return {"task": args.task, "method": args.method, "ranks": hvd.size(), **shared}


def environment() -> dict[str, Any]:
    """The versions and the machine that the numbers come from."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "horovod": horovod.__version__,
        "gradwire": gradwire.__version__,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def earlier_runs(path: Path, settings: dict[str, Any]) -> list[Run]:
    """What rank 0 finds in the file, on every rank."""
    found = None
    if hvd.rank() == 0 and path.exists():
        found = json.loads(path.read_text())
    found = hvd.broadcast_object(found, root_rank=0, name="earlier runs")
    if found is None:
        return []
    if found["settings"] != settings:
        raise SystemExit(
            f"{path} holds a study with other settings: expected {settings}, "
            f"found {found['settings']}; choose another file"
        )
    runs: list[Run] = found["runs"]
    return runs


def interval(values: list[float], method: str) -> dict[str, Any]:
    """Mean and confidence interval; the bounds are None for a single value."""
    mean = statistics.fmean(values)
    low = high = None
    if len(values) > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
        half = float(quantile * statistics.stdev(values) / len(values) ** 0.5)
        low, high = mean - half, mean + half
    return {"mean": mean, "low": low, "high": high, "count": len(values), "method": method}


def pooled_accuracy(runs: list[Run]) -> float:
    """Share of correct answers over the held-out parts of these runs together."""
    correct = sum(run["accuracy"] * run["held_out"] for run in runs)
    return float(correct / sum(run["held_out"] for run in runs))


def of_compressor(runs: list[Run], compressor: str, seed: int | None = None) -> list[Run]:
    """The runs of one compressor, of one seed if given, ordered by seed and fold."""
    chosen = [
        run for run in runs if run["compressor"] == compressor and seed in (None, run["seed"])
    ]
    return sorted(chosen, key=lambda run: (run["seed"], run["fold"] or 0))


def compare_wire(runs: list[Run], method: str) -> dict[str, Any]:
    """Dense bytes over compressed bytes, per rank and step, and the step times behind them."""
    dense, compressed = of_compressor(runs, DENSE), of_compressor(runs, method)

    def mean(group: list[Run], key: str) -> float:
        return statistics.fmean(run[key] for run in group)

    dense_bytes = mean(dense, "wire_bytes_per_step")
    after_warmup = mean(compressed, "wire_bytes_per_step_after_warmup")
    overall = mean(compressed, "wire_bytes_per_step")
    return {
        "dense_wire_bytes_per_step": dense_bytes,
        "wire_bytes_per_step_after_warmup": after_warmup,
        "wire_bytes_per_step": overall,
        "factor_after_warmup": dense_bytes / after_warmup if after_warmup else None,
        "factor_overall": dense_bytes / overall if overall else None,
        "dense_step_seconds": mean(dense, "step_seconds"),
        "step_seconds": mean(compressed, "step_seconds"),
    }


def compare_digits(runs: list[Run], method: str) -> dict[str, Any]:
    """Accuracies, and their difference (compressed - dense) in percentage points."""
    by_seed = [
        100
        * (
            pooled_accuracy(of_compressor(runs, method, seed))
            - pooled_accuracy(of_compressor(runs, DENSE, seed))
        )
        for seed in sorted({run["seed"] for run in runs})
    ]
    pairs = zip(of_compressor(runs, method), of_compressor(runs, DENSE), strict=True)
    by_pair = [100 * (compressed["accuracy"] - dense["accuracy"]) for compressed, dense in pairs]
    return {
        "dense_accuracy": pooled_accuracy(of_compressor(runs, DENSE)),
        "accuracy": pooled_accuracy(of_compressor(runs, method)),
        "accuracy_difference_points": interval(by_seed, SEEDS_METHOD),
        "accuracy_difference_points_by_pair": interval(by_pair, PAIRS_METHOD),
    }


def compare_char_lm(runs: list[Run], method: str) -> dict[str, Any]:
    """Held-out losses, and the ratio compressed / dense."""
    dense = [run["loss"] for run in of_compressor(runs, DENSE)]
    compressed = [run["loss"] for run in of_compressor(runs, method)]
    ratios = [ours / theirs for ours, theirs in zip(compressed, dense, strict=True)]
    return {
        "dense_loss": statistics.fmean(dense),
        "loss": statistics.fmean(compressed),
        "loss_ratio": interval(ratios, RATIO_METHOD),
    }


def write(path: Path, study: dict[str, Any]) -> None:
    """Replaces the file in one go, so that an interrupted study leaves a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(json.dumps(study, indent=1) + "\n")
    partial.replace(path)


def main() -> None:
    """Trains what is missing, then compares."""
    args, flags = parse_arguments()
    hvd.init()
    torch.set_num_threads(1)
    example = importlib.import_module(f"pytorch_{args.task}")
    steps_before_full = importlib.import_module("bookkeeping").steps_before_full
    runs_planned = plan(args)
    settings = settings_of(args, example_arguments(example, flags, args.folds, runs_planned[0]))
    compressed = example_arguments(example, flags, args.folds, runs_planned[1])
    if steps_before_full(compressed) >= compressed.steps:
        raise SystemExit("no step comes after the warm-up and the ramp: take more --steps")
    runs = earlier_runs(args.json, settings)
    study = {"settings": settings, "environment": environment(), "runs": runs}
    done = {(run["seed"], run["fold"], run["compressor"]) for run in runs}
    for number, run in enumerate(runs_planned, start=1):
        if run in done:
            continue
        summary = example.train(example_arguments(example, flags, args.folds, run))
        runs.append(summary)
        if hvd.rank() == 0:
            write(args.json, study)
            print(
                f"{number}/{len(runs_planned)} seed {run[0]} fold {run[1]} {run[2]}: "
                f"accuracy {summary['accuracy']:.4f}, loss {summary['loss']:.4f}, "
                f"{summary['wire_bytes_per_step']:.0f} B/step, "
                f"{1000 * summary['step_seconds']:.1f} ms/step",
                flush=True,
            )
    if hvd.rank() == 0:
        compare = compare_digits if args.task == "digits" else compare_char_lm
        planned = [r for r in runs if (r["seed"], r["fold"], r["compressor"]) in runs_planned]
        result: dict[str, Any] = compare(planned, args.method)
        result.update(compare_wire(planned, args.method))
        study["result"] = result
        write(args.json, study)
        print(json.dumps(study["result"], indent=2))


if __name__ == "__main__":
    main()
