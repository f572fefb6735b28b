"""One rank's copy of a model in training."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.bench.training.char_lm import Text, learning_rate, windows
from gradwire.bench.training.method import Gradients
from gradwire.bench.training.settings import Settings
from gradwire.bench.training.tasks import TASKS

_EVALUATED_AT_ONCE = 32  # windows

# Reduces the gradients of a step, and returns the seconds that this took.
Reduce = Callable[[Gradients, int], float]


class Cost(NamedTuple):
    """What one step took this rank, and the mean loss of what it saw, in nats."""

    compute_seconds: float
    reduce_seconds: float
    loss: float


class Replica:
    """A model, its optimizer and its place in the data: SGD with momentum, gradients clipped.

    All replicas of a run begin with the parameters of rank 0, whatever the method, and see the same
    data in the same order. torch's own generators stay as they were. Construction is collective.

    Args:
        settings: of the run.
        job: the ranks.
        text: what is learnt.
    """

    def __init__(self, settings: Settings, job: Job, text: Text) -> None:
        self._settings, self._job, self._text = settings, job, text
        self._task = TASKS[settings.model]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._model: nn.Module = self._task.build(settings)
        for parameter in self._model.parameters():
            job.comm.Bcast(parameter.detach().numpy(), root=0)
        self._optimizer = torch.optim.SGD(
            self._model.parameters(), lr=settings.lr, momentum=settings.momentum
        )
        self._offsets = torch.Generator().manual_seed(settings.seed)

    def step(self, number: int, reduce: Reduce) -> Cost:
        """Train one step; collective if `reduce` is. What is timed begins with the forward pass."""
        settings, model = self._settings, self._model
        inputs, targets = self._batch()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(number, settings.steps, settings.lr)
        begin = perf_counter()
        self._optimizer.zero_grad()
        loss = self._task.losses(model, inputs, targets).mean()
        torch.autograd.backward(loss)
        computed = perf_counter() - begin
        reduced = reduce(self._gradients(), number)
        begin = perf_counter()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        self._optimizer.step()
        return Cost(computed + perf_counter() - begin, reduced, loss.item())

    def held_out_loss(self) -> float:
        """Return the mean loss over windows spread evenly over the held-out text; collective.

        Each rank measures its own part of them, with its own parameters.
        """
        job, text = self._job, self._text.held_out
        last = len(text) - self._settings.context - 1
        starts = torch.linspace(0, last, self._task.held_out_windows).long()
        total, count = 0.0, 0
        self._model.eval()
        with torch.no_grad():
            for part in torch.split(starts[job.rank :: job.size], _EVALUATED_AT_ONCE):
                inputs, targets = windows(text, part, self._settings.context)
                losses = self._task.losses(self._model, inputs, targets)
                total += losses.sum().item()
                count += losses.numel()
        self._model.train()
        totals, counts = zip(*job.comm.allgather((total, count)), strict=True)
        mean: float = sum(totals) / sum(counts)
        return mean

    def parameters(self) -> Floats:
        """Return a copy of all parameters, (n,) float32 in name order."""
        named = sorted(self._model.named_parameters())
        return np.concatenate([each.detach().numpy().reshape(-1) for _, each in named])

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this rank's part of a batch that all ranks draw alike."""
        job, settings, text = self._job, self._settings, self._text.training
        last, drawn = len(text) - settings.context, settings.batch_size * job.size
        starts = torch.randint(last, (drawn,), generator=self._offsets)
        return windows(text, starts[job.rank :: job.size], settings.context)

    def _gradients(self) -> Gradients:
        named = self._model.named_parameters()
        return {name: each.grad for name, each in named if each.grad is not None}


def flat(gradients: Gradients) -> Floats:
    """Return a copy of gradients, (n,) float32 in name order."""
    return np.concatenate([gradients[name].numpy().reshape(-1) for name in sorted(gradients)])
