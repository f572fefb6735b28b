"""Runs ``bench training`` with reducers that are wrong in one way each, or fail on one rank.

mpirun -np 2 python wrong_training.py JSON NAME...
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from gradwire.__main__ import main as gradwire
from gradwire.bench.method import Job
from gradwire.bench.own import OWN
from gradwire.bench.training import methods
from gradwire.bench.training.method import Gradients, Method, Reducer
from gradwire.bench.training.settings import Settings

WORDS = ["--steps", "8", "--every", "2", "--warmup-steps", "1", "--ramp-steps", "2"]
MODEL = ["--model", "mlp", "--parameters", "0.1", "--context", "2"]
LAST = 7


class Right(methods.OwnReducer):
    """Ok-Topk as it is, for comparison."""

    def __init__(self, job: Job, settings: Settings) -> None:
        (method,) = [each for each in OWN if each.name == "oktopk/topk"]
        super().__init__(method, job, settings)
        self.rank = job.rank


class Loses(Right):
    """Drops one tensor of one rank on its way; the replicas stay the same."""

    def reduce(self, gradients: Gradients, step: int) -> None:
        if self.rank == 1:
            gradients["4.weight"].zero_()
        super().reduce(gradients, step)


class Forgets(Right):
    """Drops what one rank has kept; the replicas stay the same."""

    def reduce(self, gradients: Gradients, step: int) -> None:
        super().reduce(gradients, step)
        if self.rank == 1:
            self._memory.load(
                {name: np.zeros_like(each.numpy()) for name, each in gradients.items()}
            )


class Differs(Right):
    """Changes three gradients of one rank at the last step, when nothing is checked any more."""

    def reduce(self, gradients: Gradients, step: int) -> None:
        super().reduce(gradients, step)
        if self.rank == 1 and step == LAST:
            gradients["6.weight"].view(-1)[:3] += 1.0


class Explodes(Right):
    """One rank's gradients are infinite once: all ranks must give up, none may wait."""

    def reduce(self, gradients: Gradients, step: int) -> None:
        if self.rank == 1 and step == 6:
            gradients["6.bias"].fill_(torch.inf)
        super().reduce(gradients, step)


class FailsOnce(Right):
    """Fails on one rank while the other waits for it."""

    def reduce(self, gradients: Gradients, step: int) -> None:
        if self.rank == 1 and step == 5:
            raise OSError("the disk is full")
        super().reduce(gradients, step)


CASES: tuple[type[Reducer], ...] = (Right, Loses, Forgets, Differs, Explodes, FailsOnce)


def main() -> int:
    """Run the named cases beside what is always trained."""
    path, *names = sys.argv[1:]
    tried = [Method(each.__name__, "a case", each, sparse=True) for each in CASES]
    methods.METHODS = (methods.LOCAL, methods.BASELINE, *tried)
    return gradwire(["bench", "training", *MODEL, *WORDS, "--json", path, "--methods", *names])


if __name__ == "__main__":
    sys.exit(main())
