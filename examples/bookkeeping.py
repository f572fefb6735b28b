"""Flags, metering and the summary file that the examples share.

Nothing here is needed to use gradwire: what is, stands in the examples, marked ``# gradwire:``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import horovod.torch as hvd
import torch
from torch import nn

from gradwire.buckets import DEFAULT_MIN_NUMEL

DENSE = ("none", "fp16", "bf16")
SPARSE = ("topk", "randomk", "oktopk")


def common_flags(description: str) -> argparse.ArgumentParser:
    """Horovod's flags under Horovod's names, then gradwire's; an example sets defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, help="examples per rank and step")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--lr", type=float, help="learning rate")
    parser.add_argument("--seed", type=int, default=42, help="random seed")
    parser.add_argument("--no-cuda", action="store_true", help="train on the CPU in any case")
    parser.add_argument("--log-interval", type=int, default=100, help="steps between reports")
    parser.add_argument(
        "--gradient-predivide-factor",
        type=float,
        default=1.0,
        help="apply this factor before the sum over ranks, the rest of the division after it",
    )
    parser.add_argument("--compressor", choices=DENSE + SPARSE, default="none", help="method")
    parser.add_argument("--density", type=float, default=0.01, help="share of the gradient sent")
    parser.add_argument("--warmup-steps", type=int, help="dense steps at first")
    parser.add_argument("--ramp-steps", type=int, help="steps in which the density then falls")
    parser.add_argument(
        "--min-numel",
        type=int,
        default=DEFAULT_MIN_NUMEL,
        help="tensors with fewer elements travel dense",
    )
    parser.add_argument("--summary", type=Path, help="JSON file that rank 0 writes at the end")
    return parser


def compression_options(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments that the flags give to the method that ``--compressor`` names."""
    if args.compressor in DENSE:
        return {}
    return {
        "density": args.density,
        "warmup_steps": args.warmup_steps,
        "ramp_steps": args.ramp_steps,
        "min_numel": args.min_numel,
    }


def ready_device(args: argparse.Namespace) -> torch.device:
    """This rank's GPU where there is one (ranks share what there is), else the CPU."""
    if args.no_cuda or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", hvd.local_rank() % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def steps_before_full(args: argparse.Namespace) -> int:
    """Steps before a sparse compressor works at its full strength."""
    return args.warmup_steps + args.ramp_steps if args.compressor in SPARSE else 0


class Score(NamedTuple):
    """Quality on what was held out."""

    loss: float
    accuracy: float
    held_out: int

    @classmethod
    def over_ranks(cls, loss: float, correct: float, held_out: int) -> Score:
        """The means of what the ranks summed over parts that need not be of the same size."""
        sums = torch.tensor([loss, correct], dtype=torch.float64)
        sums = hvd.allreduce(sums, op=hvd.Sum, name="score") / held_out
        mean_loss, accuracy = sums.tolist()
        return cls(mean_loss, accuracy, held_out)


class Meter:
    """Wire bytes and seconds of every step on this rank, read from ``compression.stats()``."""

    def __init__(self, compression: Any) -> None:
        self.compression = compression
        self.wire_bytes: list[int] = []
        self.seconds: list[float] = []
        self.started = time.perf_counter()

    def start(self) -> None:
        """Called right before a step."""
        self.started = time.perf_counter()

    def stop(self) -> None:
        """Called right after the step."""
        self.seconds.append(time.perf_counter() - self.started)
        self.wire_bytes.append(self.compression.stats()["last_bytes_sent"])

    def report(self, skip: int) -> dict[str, float | None]:
        """Bytes as the mean over ranks and steps, seconds as this rank's median step.

        ``skip`` is the number of steps at the start that ``*_after_warmup`` and the seconds leave
        out. Where no step remains, the former is None and the latter are those of all steps.
        """
        stats = self.compression.stats()
        too_short = skip >= len(self.seconds)
        if too_short and hvd.rank() == 0:
            print(
                f"all {len(self.seconds)} steps belong to the dense warm-up and the density ramp "
                f"({skip} steps): nothing was measured at the final density; take more --steps, or "
                "fewer --warmup-steps and --ramp-steps",
                flush=True,
            )
        settled = slice(0 if too_short else skip, None)
        means = torch.tensor(
            [
                statistics.fmean(self.wire_bytes),
                statistics.fmean(self.wire_bytes[settled]),
                # A single rank exchanges nothing, and Horovod does not call the compression.
                stats["dense_bytes"] / max(1, stats["steps"]),
            ],
            dtype=torch.float64,
        )
        overall, after_warmup, dense = hvd.allreduce(means, op=hvd.Average, name="report").tolist()
        return {
            "wire_bytes_per_step": overall,
            "wire_bytes_per_step_after_warmup": None if too_short else after_warmup,
            "dense_bytes_per_step": dense,
            "step_seconds": statistics.median(self.seconds[settled]),
        }


def summarise(
    args: argparse.Namespace, model: nn.Module, meter: Meter, held_out: Score
) -> dict[str, Any]:
    """What a run gave; ``loss`` and ``accuracy`` (0 to 1) are means over ``held_out`` items."""
    return {
        "compressor": args.compressor,
        "density": args.density if args.compressor in SPARSE else 1.0,
        "ranks": hvd.size(),
        "seed": args.seed,
        "fold": getattr(args, "fold", None),
        "steps": len(meter.seconds),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **held_out._asdict(),
        **meter.report(skip=steps_before_full(args)),
    }


def print_and_write(summary: dict[str, Any], path: Path | None) -> None:
    """Rank 0 prints the summary and writes it where asked."""
    if hvd.rank() != 0:
        return
    print(json.dumps(summary, indent=2), flush=True)
    if path is not None:
        path.write_text(json.dumps(summary, indent=2) + "\n")
