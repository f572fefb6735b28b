"""Formats of values: how a float32 vector becomes bytes, and back.

A format is named on the wire by a code and a word of parameters, so that a message tells how it is
to be read. float32 is exact; the others round, and whoever encodes keeps what the rounding took
away in its residual. Random formats draw from a stream that belongs to the elements, so that the
same vector, step and rank give the same bytes on every machine.

Decoders treat bytes as hostile: any bytes of the right length have a meaning, which may be Inf or
NaN, and nothing else is read.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.kernels import RandomStream

Float32 = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class ValueFormat(abc.ABC):
    """Base of all formats."""

    @property
    @abc.abstractmethod
    def code(self) -> int:
        """Number of the kind of format on the wire."""

    @property
    def parameters(self) -> int:
        """32 bits that, with the code, tell a receiver all that it needs."""
        return 0

    @property
    def on_wire(self) -> tuple[int, int]:
        """Code and parameters: equal ones are read alike."""
        return self.code, self.parameters

    @property
    def alignment(self) -> int:
        """An encoding can be cut at multiples of so many values."""
        return 1

    @property
    def exact(self) -> bool:
        """Whether decoding gives back every float32 bit for bit."""
        return False

    @abc.abstractmethod
    def nbytes(self, count: int) -> int:
        """Return the bytes that ``count`` values take."""

    @abc.abstractmethod
    def encode(self, values: Float32, stream: RandomStream | None = None) -> Encoded:
        """Return (n,) float32 values in this format; an exact format may return a view of them.

        Raises:
            ConfigError: a random format without a stream.
        """

    @abc.abstractmethod
    def decode(self, data: Bytes, count: int) -> Float32:
        """Return the values in ``nbytes(count)`` bytes; an exact format may return a view."""

    @abc.abstractmethod
    def finite(self, data: Bytes, count: int) -> bool:
        """Tell whether no decoded value is Inf or NaN."""

    @abc.abstractmethod
    def part(self, data: Bytes, count: int, begin: int, end: int) -> Bytes:
        """Return the encoding of values [begin, end): multiples of ``alignment``, or the end."""

    def add(self, data: Bytes, count: int, total: Float32) -> None:
        """Add the values to ``total``, in float32."""
        kernels.add(total, self.decode(data, count), total)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, stream: RandomStream | None
    ) -> Encoded:
        """Encode ``residual + gradient`` and leave in ``acc`` what the rounding took away.

        ``acc`` may be ``gradient`` itself. Formats with a fused kernel override this.
        """
        kernels.add(residual, gradient, acc)
        encoded = self.encode(acc, stream)
        kernels.scale_add(encoded.decode(), -1.0, acc)
        return encoded


@dataclass(frozen=True)
class Encoded:
    """Values in a format.

    Attributes:
        format: how to read the bytes.
        count: number of values.
        data: (format.nbytes(count),) uint8.
    """

    format: ValueFormat
    count: int
    data: Bytes

    def __len__(self) -> int:
        return self.count

    @property
    def nbytes(self) -> int:
        """Bytes of the encoding."""
        return len(self.data)

    def decode(self) -> Float32:
        """Return the values: (count,) float32, perhaps a view of the bytes."""
        return self.format.decode(self.data, self.count)

    def lost(self, values: Float32) -> Float32:
        """Return what rounding took away of the ``values`` that were encoded: (count,) float32."""
        rest: Float32 = values.copy()
        kernels.scale_add(self.decode(), -1.0, rest)
        return rest

    def add_to(self, total: Float32) -> None:
        """Add the values to ``total``."""
        self.format.add(self.data, self.count, total)

    def finite(self) -> bool:
        """Tell whether no value is Inf or NaN."""
        return self.format.finite(self.data, self.count)

    def part(self, begin: int, end: int) -> Encoded:
        """Return values [begin, end): multiples of the format's alignment, or the end."""
        data = self.format.part(self.data, self.count, begin, end)
        return Encoded(self.format, end - begin, data)


def typed(data: Bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Reinterpret bytes, copying only where the buffer is not aligned for the dtype."""
    if data.ctypes.data % dtype.itemsize:
        data = data.copy()
    return data.view(dtype)
