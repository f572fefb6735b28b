"""bfloat16: half the bytes, the range of float32, 8 significant bits.

Horovod's allreduce refuses bfloat16, so gradwire moves it with its own collective, which adds in
float32 and rounds the sum once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gradwire.compressors.base import Traits
from gradwire.compressors.cast import Cast
from gradwire.payload import ValueFormat


@dataclass(frozen=True)
class BF16(Cast):
    """Casts to bfloat16 (2 bytes per element), without error feedback."""

    id: ClassVar[str] = "bf16"
    value_format: ClassVar[ValueFormat] = ValueFormat.BFLOAT16

    @property
    def traits(self) -> Traits:
        """Half a unit in the last place: 2^-8 relative, 2^-134 absolute for subnormals."""
        return Traits(summable=True, rounding=(2.0**-8, 2.0**-134))
