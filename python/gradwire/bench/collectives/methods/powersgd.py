"""PowerSGD (Vogels et al. 2019) as PyTorch has it: a communication hook of DDP, over Gloo."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.bench.collectives.method import Case, Method, nothing
from gradwire.bench.collectives.methods.gloo import GlooGroup
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.bench.peers import import_torch

# Steps that the hook leaves dense; the fewest that it allows with error feedback.
_DENSE_STEPS = 2


class PowerSgd(Case):
    """DDP over one square matrix of n elements, padded with zeros where n is no square.

    The loss is the sum of matrix * gradient, so that the backward pass yields the gradient. The
    clock starts when DDP calls the hook, with the gradient in its bucket, and stops when the
    backward pass is over: what the exchange adds to it.
    """

    def __init__(self, job: Job, density: float, rank: int) -> None:
        del density
        torch = import_torch()
        self._numel, self._group = job.numel, GlooGroup(job)
        rows = math.isqrt(job.numel - 1) + 1
        self._gradient = torch.zeros(rows, -(-job.numel // rows))
        self._model = self._distributed(torch, rank, job.seed)
        self._start: Callable[[], None] = nothing
        for _ in range(_DENSE_STEPS):
            self.step(np.zeros(job.numel, np.float32), nothing)

    def _distributed(self, torch: Any, rank: int, seed: int) -> Any:
        from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as powersgd
        from torch.nn.parallel import DistributedDataParallel

        class Product(torch.nn.Module):  # type: ignore[misc]
            """One matrix, multiplied by another element by element and summed up."""

            def __init__(self, shape: Any) -> None:
                super().__init__()
                self.matrix = torch.nn.Parameter(torch.zeros(shape))

            def forward(self, other: Any) -> Any:
                """Return the sum of the products."""
                return (self.matrix * other).sum()

        self._powersgd = powersgd
        self._state = powersgd.PowerSGDState(
            None,
            matrix_approximation_rank=rank,
            start_powerSGD_iter=_DENSE_STEPS,
            random_seed=seed,
        )

        model = DistributedDataParallel(Product(self._gradient.shape), gradient_as_bucket_view=True)
        # Without annotations, which DDP compares with classes and not with their names.
        model.register_comm_hook(self._state, lambda state, bucket: self._hook(state, bucket))
        return model

    def _hook(self, state: Any, bucket: Any) -> Any:
        self._start()
        return self._powersgd.powerSGD_hook(state, bucket)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Do a backward pass whose gradient is the given one."""
        self._gradient.view(-1)[: self._numel] = import_torch().from_numpy(gradient)
        self._model.zero_grad()
        loss = self._model(self._gradient)
        self._start = start
        loss.backward()
        return self._flat(self._model.module.matrix.grad)

    def residual(self) -> Floats:
        """Return the hook's error feedback."""
        error = self._state.error_dict.get(0)
        return np.zeros(self._numel, np.float32) if error is None else self._flat(error)

    def _flat(self, tensor: Any) -> Floats:
        flat: Floats = tensor.view(-1).numpy()[: self._numel]
        return flat

    def close(self) -> None:
        """Leave the process group."""
        self._group.close()


def powersgd(rank: int) -> Method:
    """Return the method of an approximation by matrices of this rank."""
    return Method(
        f"powersgd/{rank}",
        f"torch's DDP with powerSGD_hook, rank {rank}: what it adds to the backward pass",
        lambda job, density: PowerSgd(job, density, rank),
        needs=("torch",),
        peer=True,
    )


POWERSGD: tuple[Method, ...] = (powersgd(1),)
