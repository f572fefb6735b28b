"""What the quantisers share: every value travels, in fewer bits."""

from __future__ import annotations

import abc
from typing import Any

from gradwire.compressors.base import Compressor, Context
from gradwire.payload import Float32, Payload
from gradwire.values import ValueFormat


class Quantizer(Compressor):
    """Sends all values in ``value_format``; their sums are rounded to it once more on their way."""

    @property
    @abc.abstractmethod
    def value_format(self) -> ValueFormat:
        """How one value is written; selected entries can be written so, too (see `Chain`)."""

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the rounded values."""
        stream = context.stream()
        return Payload(dense=self.value_format.encode(acc, stream), stream=stream)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        """Add and round, in one pass where there is a kernel for it; ``acc`` keeps the error."""
        stream = context.stream()
        dense = self.value_format.compensate(gradient, residual, acc, stream)
        return Payload(dense=dense, stream=stream)

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Write the values as they were rounded."""
        out[:] = payload.dense.decode()

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        """Leave the error of rounding, which is all that is in ``acc``."""
