"""What one rank has to say about one bucket, before it becomes messages.

A payload has three parts, each of which may be empty:

* *entries*: strictly increasing ``indices`` into a space of ``numel`` elements, and their float32
  ``values``. Everything that is not listed is zero. They are rounded to ``value_format`` when they
  are put into a message, and what that takes away is the business of whoever sends them.
* ``dense``: a vector without indices, in its format already. Dense warm-up steps, quantised
  gradients and shared-seed sparsifiers travel in it.
* ``tail``: float32 that travel as they are. Small tensors, in which every element counts.

``budget`` is the number of entries that every rank may send and the number of winners that an exact
schedule keeps; it is the same on all ranks although the number of entries may be smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import RandomStream
from gradwire.values import (
    FLOAT32,
    NO_VALUES,
    NOTHING,
    Encoded,
    Float32,
    ValueFormat,
    plain,
)

__all__ = ["NO_INDICES", "Float32", "Indices", "Payload"]

Indices = npt.NDArray[np.uint32]

NO_INDICES: Indices = np.empty(0, np.uint32)


@dataclass(frozen=True)
class Payload:
    """Entries, dense values and a tail of one bucket (see the module's text).

    Attributes:
        numel: length of the space that the indices point into, in elements.
        indices: (count,) uint32, strictly increasing, each below ``numel``.
        values: (count,) float32.
        dense: m values in a format.
        tail: (t,) float32.
        budget: largest number of entries on any rank.
        value_format: how the entries' values are written.
        stream: for formats that round at random, and for sums that are rounded again.
    """

    numel: int = 0
    indices: Indices = field(default_factory=lambda: NO_INDICES)
    values: Float32 = field(default_factory=lambda: NO_VALUES)
    dense: Encoded = NOTHING
    budget: int = 0
    value_format: ValueFormat = FLOAT32
    tail: Float32 = field(default_factory=lambda: NO_VALUES)
    stream: RandomStream | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        if self.indices.dtype != np.uint32 or self.values.dtype != np.float32:
            raise ConfigError(
                "Payload: indices must be uint32 and values float32, got "
                f"{self.indices.dtype} and {self.values.dtype}"
            )
        if len(self.indices) != len(self.values):
            raise ConfigError(
                f"Payload: {len(self.indices)} indices do not go with {len(self.values)} values"
            )
        if not len(self.indices) <= self.budget <= self.numel:
            raise ConfigError(
                "Payload: expected entries <= budget <= numel, got "
                f"{len(self.indices)}, {self.budget} and {self.numel}"
            )
        if not isinstance(self.dense, Encoded):
            raise ConfigError(
                "Payload: dense must be values in a format, such as plain(x) of a float32 "
                f"vector, got {type(self.dense).__name__}"
            )

    def finite(self) -> bool:
        """Tell whether no value is Inf or NaN."""
        return (
            self.dense.finite()
            and kernels.finite_check(self.values)
            and kernels.finite_check(self.tail)
        )

    def scaled(self, factor: float) -> Payload:
        """Return this payload with every value multiplied by ``float32(factor)``, in float32."""
        if np.float32(factor) == 1:
            return self
        dense = (
            NOTHING if not len(self.dense) else plain(kernels.scale(self.dense.decode(), factor))
        )
        return replace(
            self,
            values=kernels.scale(self.values, factor),
            dense=dense,
            tail=kernels.scale(self.tail, factor),
        )

    def with_tail(self, tail: Float32) -> Payload:
        """Return this payload with a tail."""
        return replace(self, tail=tail) if len(tail) else self

    def in_format(self, value_format: ValueFormat) -> Payload:
        """Return this payload with its entries' values written in another format."""
        return replace(self, value_format=value_format)

    def received(self) -> Payload:
        """Return what a receiver of the whole payload in one message gets: the rounded values."""
        if self.value_format.exact:
            return self
        values = self.value_format.encode(self.values, self.stream).decode()
        return replace(self, values=values, value_format=FLOAT32)
