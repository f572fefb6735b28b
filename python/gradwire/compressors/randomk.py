"""Random-k with a shared seed: all ranks keep the same random elements, so no index travels.

Each rank draws the same ``budget`` distinct positions from Philox4x32-10 keyed by (seed, key,
step); only values are sent, and any allreduce may add them. Biased as it stands (error feedback
returns the rest later); ``unbiased=True`` scales by n/k instead and needs no residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradwire import kernels
from gradwire.compressors.base import Context, Traits
from gradwire.compressors.sparsifier import Sparsifier
from gradwire.errors import ConfigError
from gradwire.payload import Float32, Indices, Payload
from gradwire.values import plain


@dataclass(frozen=True)
class RandomK(Sparsifier):
    """Keeps ``budget`` elements chosen uniformly without replacement (4 bytes per element kept)."""

    unbiased: bool = False

    id: ClassVar[str] = "randomk"
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"density": 0.01},
        {"density": 0.3},
        {"density": 0.1, "unbiased": True},
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if not isinstance(self.unbiased, bool):
            raise ConfigError(f"RandomK: unbiased must be True or False, got {self.unbiased!r}")

    @property
    def traits(self) -> Traits:
        """A contraction, delta = k/n, with error feedback; omega = n/k - 1 when unbiased."""

        def kept(n: int) -> float:
            return max(1, round(n * self.density)) / n if n else 1.0

        return Traits(
            summable=True,
            needs_residual=not self.unbiased and self.density < 1.0,
            lossless=self.density == 1.0,
            native=True,
            omega=(lambda n: 1 / kept(n) - 1) if self.unbiased else None,
            delta=None if self.unbiased else kept,
        )

    def indices(self, numel: int, context: Context) -> Indices:
        """Return the positions of this step, the same on every rank, in increasing order."""
        drawn: Indices = kernels.random_indices(
            numel,
            self.budget(numel, context.step),
            context.seed,
            kernels.fnv1a32(context.key),
            context.step,
        )
        return drawn

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the values at this step's positions, scaled when unbiased.

        A NaN or Inf anywhere in ``acc`` is reported in the first value, since its own position
        may not be drawn.
        """
        indices = self.indices(len(acc), context)
        values = acc[indices]
        if self.unbiased and len(indices):
            kernels.scale(values, len(acc) / len(indices), values)
        if len(values) and not kernels.finite_check(acc):
            values[0] = np.nan
        return Payload(dense=plain(values))

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Write zeros, and the values at this step's positions."""
        kernels.clear(out)
        kernels.scatter(out, self.indices(len(out), context), payload.dense.decode())

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        """Clear this step's positions; the unbiased form leaves nothing behind."""
        if self.unbiased:
            kernels.clear(acc)
        else:
            kernels.clear(acc, self.indices(len(acc), context))

    def take_back(self, acc: Float32, begin: int, left: Float32, context: Context) -> None:
        """Add to this step's positions; the unbiased form leaves nothing behind."""
        if not self.unbiased:
            positions = self.indices(len(acc), context)[begin : begin + len(left)]
            kernels.scatter_add(acc, positions, left)
