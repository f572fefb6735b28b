"""What the 16-bit casts share: every value is rounded to a shorter format, to nearest even."""

from __future__ import annotations

from typing import ClassVar

from gradwire.compressors.base import Compressor, Context
from gradwire.payload import Float32, Payload, ValueFormat, from_format, to_format


class Cast(Compressor):
    """Sends all values in ``value_format``; their sum is rounded to it once more on its way."""

    value_format: ClassVar[ValueFormat]

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the rounded values."""
        return Payload(dense=to_format(acc, self.value_format))

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Widen the values to float32, exactly."""
        out[:] = from_format(payload.dense)
