"""Top-k: the k largest magnitudes, exactly (Strom 2015; Aji and Heafield 2017).

Zeros are never sent, ties go to the lowest index, and k is exact at every call: no estimated
threshold that drifts. When the budget is the whole bucket, the payload is dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.compressors.base import Context, Traits
from gradwire.compressors.sparsifier import Sparsifier
from gradwire.kernels import Selected
from gradwire.payload import Float32, Indices, Payload
from gradwire.staging import beside, put, to_host
from gradwire.values import plain


@dataclass(frozen=True)
class TopK(Sparsifier):
    """Keeps the ``budget`` largest magnitudes (8 bytes per entry or less; float32 values)."""

    id: ClassVar[str] = "topk"
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"density": 0.01},
        {"density": 0.25},
        {"density": 1.0},
        {"density": 0.05, "warmup_steps": 1, "ramp_steps": 3},
    )

    @property
    def traits(self) -> Traits:
        """A contraction with delta = k/n, exact in what it sends."""
        return Traits(
            sparse=self.density < 1.0,
            summable=self.density == 1.0,
            lossless=self.density == 1.0,
            needs_residual=self.density < 1.0,
            on_device=True,
            delta=lambda n: max(1, round(n * self.density)) / n if n else 1.0,
        )

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the largest entries in index order, or all of ``acc`` if the budget is n."""
        numel, budget = len(acc), self.budget(len(acc), context.step)
        if budget == numel:
            return Payload(dense=plain(acc))
        return _payload(numel, kernels.topk(acc, budget), budget)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        """Add and select in one pass where ``context.floor`` is good."""
        numel, budget = len(acc), self.budget(len(acc), context.step)
        if budget == numel:
            return super().compensate(gradient, residual, acc, context)
        selected = kernels.compensate_topk(gradient, residual, budget, context.floor, acc)
        return _payload(numel, selected, budget)

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Write zeros and the entries, or the dense values."""
        if len(payload.dense) == len(out):
            put(out, payload.dense.decode())
            return
        kernels.clear(out)
        kernels.scatter(out, *beside(out, payload.indices, payload.values))

    def decompress_into_zeros(
        self, payload: Payload, out: Float32, context: Context
    ) -> Indices | None:
        """Write the entries, or the dense values."""
        if len(payload.dense) == len(out):
            put(out, payload.dense.decode())
            return None
        indices: Indices
        indices, values = beside(out, payload.indices, payload.values)
        kernels.scatter(out, indices, values)
        return indices


def _payload(numel: int, selected: Selected, budget: int) -> Payload:
    """Return entries, wherever they were selected, on the host."""
    return Payload(numel, to_host(selected.indices), to_host(selected.values), budget=budget)
