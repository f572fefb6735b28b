"""Signs with the mean magnitude of a block, and error feedback (Karimireddy et al., ICML 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire.compressors.base import Traits
from gradwire.compressors.quantizer import Quantizer
from gradwire.values import Sign, ValueFormat


@dataclass(frozen=True)
class EFSignSGD(Quantizer):
    """Sends one bit per element and a float32 per ``block`` of them.

    Args:
        block: elements that share a scale: a multiple of 16 up to 65536; 0: all, as published.
    """

    block: int = 0

    id: ClassVar[str] = "efsignsgd"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({}, {"block": 512})

    def __post_init__(self) -> None:
        """Check the range."""
        _ = self.value_format

    @property
    def traits(self) -> Traits:
        """A contraction, delta = (sum of |x|)^2 / (B sum of x^2) for a block of B, at least 1/B."""
        return Traits(needs_residual=True, delta=lambda n: 1 / max(min(self.block or n, n), 1))

    @property
    def value_format(self) -> ValueFormat:
        """Signs with a scale per block."""
        return Sign(self.block)
