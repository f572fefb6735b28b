"""bfloat16: half the bytes, the range of float32, 8 significant bits.

Horovod's allreduce refuses bfloat16, so gradwire moves it with its own collective, which adds in
float32 and rounds the sum once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gradwire.compressors.base import Traits
from gradwire.compressors.quantizer import Quantizer
from gradwire.values import BFLOAT16, ValueFormat


@dataclass(frozen=True)
class BF16(Quantizer):
    """Casts to bfloat16 (2 bytes per element), without error feedback."""

    id: ClassVar[str] = "bf16"

    @property
    def traits(self) -> Traits:
        """Half a unit in the last place: 2^-8 relative, 2^-134 absolute for subnormals."""
        return Traits(summable=True, rounding=(2.0**-8, 2.0**-134))

    @property
    def value_format(self) -> ValueFormat:
        """bfloat16."""
        return BFLOAT16
