"""Top-k with error feedback in torch operations and MPI_Allgatherv, as libraries of these do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradwire.bench.collectives.method import Case, Method
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.bench.peers import import_torch
from gradwire.kernels.arrays import aligned

_ENTRY_BYTES = 8  # an int32 index and a float32 value


class TorchTopK(Case):
    """Every rank's k largest entries go to all ranks, which add them up in a dense vector."""

    def __init__(self, job: Job, density: float) -> None:
        self._torch = torch = import_torch()
        self._comm, self._size, self._sent = job.comm, job.size, 0
        self._k = max(1, round(job.numel * density))
        self._residual: Floats = aligned(job.numel)
        self._out: Floats = aligned(job.numel)
        self._residual.fill(0.0)
        self._kept, self._sum = torch.from_numpy(self._residual), torch.from_numpy(self._out)
        self._indices = torch.empty(job.size * self._k, dtype=torch.int32)
        self._values = torch.empty(job.size * self._k, dtype=torch.float32)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Compensate, select, gather, add up, divide."""
        given = self._torch.from_numpy(gradient)
        start()
        kept = self._kept.add_(given)
        chosen = self._torch.topk(kept.abs(), self._k, sorted=False).indices
        values = kept[chosen]
        kept[chosen] = 0
        self._gather(chosen.to(self._torch.int32).numpy(), self._indices.numpy())
        self._gather(values.numpy(), self._values.numpy())
        self._sum.zero_().index_add_(0, self._indices, self._values).div_(self._size)
        self._sent += _ENTRY_BYTES * self._k * (self._size - 1)
        return self._out

    def _gather(self, own: Any, everybodys: Any) -> None:
        self._comm.Allgatherv(own, [everybodys, [self._k] * self._size])

    def residual(self) -> Floats:
        """Return what has not been sent."""
        return self._residual

    def bytes_sent(self) -> int:
        """Return the bytes of the entries, to each of the other ranks."""
        return self._sent

    def entries(self) -> int:
        """Return k."""
        return self._k


TORCH_TOPK: tuple[Method, ...] = (
    Method(
        "torch/topk",
        "torch.topk, int32 indices, Allgatherv, index_add_",
        TorchTopK,
        sparse=True,
        needs=("torch",),
        peer=True,
    ),
)
