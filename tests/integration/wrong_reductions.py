"""Runs ``bench allreduce`` with methods that are wrong in one way each, or fail on one rank.

mpirun -np 2 python wrong_reductions.py NAME JSON
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gradwire.bench.collectives.method import Case, Method
from gradwire.bench.collectives.methods import BASELINE
from gradwire.bench.collectives.session import run_session
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job


class Honest(Case):
    """A mean of everything above a threshold; what lies below stays here."""

    def __init__(self, job: Job, density: float) -> None:
        self.job = job
        self.steps = 0
        self.kept = np.zeros(job.numel, np.float32)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        start()
        self.steps += 1
        acc = self.kept + gradient
        sent = np.where(np.abs(acc) > 1.0, acc, np.float32(0))
        self.kept = acc - sent
        mean: Floats = self.job.comm.allreduce(sent) / np.float32(self.job.size)
        return mean

    def residual(self) -> Floats:
        return self.kept


class Right(Honest):
    """For comparison."""


class Loses(Honest):
    """Drops one entry of one rank's residual."""

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        mean = super().step(gradient, start)
        if self.job.rank == 1:
            self.kept[np.abs(self.kept).argmax()] = 0
        return mean


class Differs(Honest):
    """One rank's replica has other bits, in the last place only, which no tolerance may hide."""

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        mean = super().step(gradient, start)
        if self.job.rank == 1:
            mean[-3:] = np.nextafter(mean[-3:], np.float32(9))
        return mean


class Forgets(Honest):
    """Right at first, wrong when there is something to remember."""

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        self.kept = np.zeros_like(self.kept)
        return super().step(gradient, start)


class NeverStarts(Honest):
    """Leaves the clock alone."""

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        return super().step(gradient, lambda: None)


class FailsOnce(Honest):
    """Fails on one rank while the other waits for it."""

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        if self.job.rank == 1 and self.steps == 2:
            raise OSError("the disk is full")
        return super().step(gradient, start)


class CannotBegin(Honest):
    """A peer that does not work here."""

    def __init__(self, job: Job, density: float) -> None:
        raise RuntimeError("no such network")


CASES = (Right, Loses, Differs, Forgets, NeverStarts, FailsOnce, CannotBegin)


def main() -> int:
    """Run the named case beside the baseline."""
    (case,) = [each for each in CASES if each.__name__ == sys.argv[1]]
    method = Method("tried", "the case", case, peer=case is CannotBegin)
    options = argparse.Namespace(
        n=3000,
        density=[0.01],
        repetitions=2,
        warmup=2,
        untimed=1,
        seed=1,
        phases=False,
        result_in="gradwire",
    )
    options.json = Path(sys.argv[2])
    return run_session(options, [BASELINE, method])


if __name__ == "__main__":
    sys.exit(main())
