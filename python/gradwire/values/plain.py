"""Formats of one number after the other: float32 as it is, float16 and bfloat16 rounded to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream
from gradwire.staging import to_host
from gradwire.values.base import Bytes, Encoded, Float32, ValueFormat, typed

_NAMES = ("float32", "float16", "bfloat16")  # in the order of their codes


@dataclass(frozen=True)
class Plain(ValueFormat):
    """A type that NumPy knows; rounding is to nearest, ties to even.

    Attributes:
        name: of the type.
        dtype: what an element is in memory; uint16 for the bits of a bfloat16.
    """

    name: str
    dtype: np.dtype[Any]

    @property
    def code(self) -> int:
        """0, 1 and 2."""
        return _NAMES.index(self.name)

    @property
    def exact(self) -> bool:
        """Whether this is float32."""
        return self.name == "float32"

    def nbytes(self, count: int) -> int:
        """Return the bytes that ``count`` values take."""
        return self.dtype.itemsize * count

    def encode(self, values: Float32, stream: RandomStream | None = None) -> Encoded:
        """Return the rounded values; of float32 a view."""
        del stream
        rounded: npt.NDArray[Any]
        if self.exact:
            rounded = np.ascontiguousarray(values)
        elif self.name == "bfloat16":
            rounded = kernels.to_bfloat16(np.ascontiguousarray(values))
        else:
            rounded = kernels.to_float16(np.ascontiguousarray(values))
        return Encoded(self, len(values), rounded.view(np.uint8))

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, stream: RandomStream | None
    ) -> Encoded:
        """Encode ``residual + gradient`` and keep the error; nothing of float32."""
        if not self.exact:
            return super().compensate(gradient, residual, acc, stream)
        total = kernels.add(residual, gradient)  # not in acc, which is about to be cleared
        acc.fill(0.0)
        return self.encode(total)

    def decode(self, data: Bytes, count: int) -> Float32:
        """Return the values, exactly."""
        del count
        stored = typed(data, self.dtype)
        if self.exact:
            return stored
        widen = kernels.from_bfloat16 if self.name == "bfloat16" else kernels.from_float16
        widened: Float32 = widen(stored)
        return widened

    def add(self, data: Bytes, count: int, total: Float32) -> None:
        """Add the values to ``total``, in float32."""
        if self.name == "float16":  # widened on the way
            kernels.add(total, typed(data, self.dtype), total)
        else:
            super().add(data, count, total)

    def finite(self, data: Bytes, count: int) -> bool:
        """Tell whether no value is Inf or NaN."""
        if self.name == "float16":
            return kernels.finite_check(typed(data, self.dtype))
        return kernels.finite_check(self.decode(data, count))

    def part(self, data: Bytes, count: int, begin: int, end: int) -> Bytes:
        """Return a view of the bytes of some values."""
        del count
        return data[self.nbytes(begin) : self.nbytes(end)]


FLOAT32 = Plain("float32", np.dtype("<f4"))
FLOAT16 = Plain("float16", np.dtype("<f2"))
BFLOAT16 = Plain("bfloat16", np.dtype("<u2"))


def plain(values: Float32) -> Encoded:
    """Return float32 values as they are: a view of them; of a GPU's memory a copy on the host.

    Raises:
        ConfigError: not a contiguous float32 vector.
    """
    values = to_host(values)
    if not (
        isinstance(values, np.ndarray)
        and values.dtype == np.float32
        and values.ndim == 1
        and values.flags.c_contiguous
    ):
        kind = getattr(values, "dtype", type(values).__name__)
        raise ConfigError(f"plain: values must be a contiguous float32 vector, got {kind}")
    return Encoded(FLOAT32, len(values), values.view(np.uint8))


NO_VALUES: Float32 = np.empty(0, np.float32)
NOTHING = plain(NO_VALUES)
