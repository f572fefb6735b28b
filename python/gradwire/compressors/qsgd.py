"""Uniform quantisation in blocks, as QSGD (Alistarh et al., NeurIPS 2017) defined it.

With s = 2^(bits - 1) - 1 levels and a block's norm N, an element x becomes ``N * l / s`` for one of
the two integers l beside ``s * x / N``: at random, with the expectation x, or the nearest one. N is
the largest magnitude (the paper's practical variant) or the Euclidean norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire.compressors.base import Traits
from gradwire.compressors.quantizer import Quantizer
from gradwire.errors import ConfigError
from gradwire.values import Uniform, ValueFormat

_SCALES = {"max": "absmax", "l2": "l2"}


@dataclass(frozen=True)
class QSGD(Quantizer):
    """Sends ``bits`` bits per element and a float32 per ``block`` of them.

    Args:
        bits: 2 to 8.
        block: elements that share a norm: a multiple of 16 up to 65536; 0: all.
        norm: "max" or "l2".
        stochastic: round at random, without bias and without error feedback; else to nearest, with
            error feedback.
    """

    bits: int = 4
    block: int = 512
    norm: str = "max"
    stochastic: bool = True

    id: ClassVar[str] = "qsgd"
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"bits": 4},
        {"bits": 8, "block": 4096, "norm": "l2"},
        {"bits": 4, "stochastic": False},
        {"bits": 8, "block": 0, "stochastic": False},
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.norm not in _SCALES:
            raise ConfigError(f"QSGD: norm must be 'max' or 'l2', got {self.norm!r}")
        if not isinstance(self.stochastic, bool):
            raise ConfigError(f"QSGD: stochastic must be True or False, got {self.stochastic!r}")
        _ = self.value_format  # which checks the others

    @property
    def traits(self) -> Traits:
        """Unbiased when stochastic; to nearest, a contraction that needs error feedback.

        An element of a block of B is off by at most N / 2s in the root mean square, and N is at
        most the block's Euclidean norm. To nearest, no element is off by more than itself, and the
        largest of the block is exact where N is it.
        """
        return Traits(
            needs_residual=not self.stochastic,
            omega=self._omega if self.stochastic else None,
            delta=self._delta if not self.stochastic and self.norm == "max" else None,
        )

    @property
    def value_format(self) -> ValueFormat:
        """Codes with a scale per block."""
        return Uniform(self.bits, self.block, _SCALES[self.norm], self.stochastic)

    @property
    def _levels(self) -> int:
        return (1 << self.bits - 1) - 1

    def _block_of(self, n: int) -> int:
        return min(self.block or n, n)

    def _omega(self, n: int) -> float:
        return self._block_of(n) / (4 * self._levels**2)

    def _delta(self, n: int) -> float:
        return 1 / max(self._block_of(n), 1)
