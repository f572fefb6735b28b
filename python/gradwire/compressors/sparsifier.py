"""What the sparsifiers share: a density, and how it is approached at the start of training."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from gradwire.compressors.base import Compressor
from gradwire.errors import ConfigError, require_integer


@dataclass(frozen=True)
class Sparsifier(Compressor):
    """Keeps ``budget = max(1, round(density * n))`` of n elements.

    Early gradients are large and change direction; sending them whole for a while keeps them out
    of the residual. ``warmup_steps`` exchanges are dense; then the density falls exponentially
    from 1 to ``density`` over ``ramp_steps`` exchanges (Deep Gradient Compression, Lin et al. 2018,
    section 3.3, with one exchange in the place of an epoch).
    """

    density: float = 0.01
    warmup_steps: int = 0
    ramp_steps: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        who = type(self).__name__
        density: Any = self.density
        is_number = isinstance(density, Real) and not isinstance(density, bool)
        if not is_number or not 0.0 < density <= 1.0:
            raise ConfigError(f"{who}: density must be in (0, 1], got {density!r}")
        # Python's own numbers, so that equal configurations look equal on every rank.
        object.__setattr__(self, "density", float(density))
        for name in ("warmup_steps", "ramp_steps"):
            value = require_integer(f"{who}: {name}", getattr(self, name), 0)
            object.__setattr__(self, name, value)

    def density_at(self, step: int) -> float:
        """Return the density of exchange number ``step``."""
        if step < self.warmup_steps:
            return 1.0
        ramped = step - self.warmup_steps + 1
        if ramped <= self.ramp_steps:
            return float(self.density ** (ramped / (self.ramp_steps + 1)))
        return float(self.density)

    def budget(self, numel: int, step: int) -> int:
        """Return how many of ``numel`` elements exchange number ``step`` keeps."""
        return min(numel, max(1, round(numel * self.density_at(step))))
