"""IEEE 754 half precision: half the bytes, 11 significant bits, range 65504.

Gradients beyond the range become Inf, which counts as a non-finite step; use bf16 for those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gradwire.compressors.base import Traits
from gradwire.compressors.quantizer import Quantizer
from gradwire.values import FLOAT16, ValueFormat


@dataclass(frozen=True)
class FP16(Quantizer):
    """Casts to float16 (2 bytes per element), without error feedback, as Horovod's own does."""

    id: ClassVar[str] = "fp16"

    @property
    def traits(self) -> Traits:
        """Half a unit in the last place: 2^-11 relative, 2^-25 absolute for subnormals."""
        return Traits(summable=True, native=True, rounding=(2.0**-11, 2.0**-25))

    @property
    def value_format(self) -> ValueFormat:
        """float16."""
        return FLOAT16
