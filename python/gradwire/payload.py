"""What one rank has to say about one bucket, before it becomes bytes.

A payload has two parts, either of which may be empty:

* *entries*: strictly increasing ``indices`` into a space of ``numel`` elements, and their float32
  ``values``. Everything that is not listed is zero.
* ``dense``: a vector without indices. Small tensors, dense warm-up steps, casts and shared-seed
  sparsifiers travel in it. It holds float32, float16, or uint16 that are the bits of a bfloat16.

``budget`` is the number of entries that every rank may send and the number of winners that an exact
schedule keeps; it is the same on all ranks although the number of entries may be smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import ConfigError

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.uint32]
DenseValues = npt.NDArray[Any]

NO_INDICES: Indices = np.empty(0, np.uint32)
NO_VALUES: Float32 = np.empty(0, np.float32)


class ValueFormat(IntEnum):
    """How one value is written: the number is the code on the wire."""

    FLOAT32 = 0
    FLOAT16 = 1
    BFLOAT16 = 2


_DTYPES: dict[ValueFormat, np.dtype[Any]] = {
    ValueFormat.FLOAT32: np.dtype("<f4"),
    ValueFormat.FLOAT16: np.dtype("<f2"),
    ValueFormat.BFLOAT16: np.dtype("<u2"),
}


def format_of(values: DenseValues) -> ValueFormat:
    """Return the format that an array of dense values is in, told by its dtype."""
    for value_format, dtype in _DTYPES.items():
        if values.dtype == dtype:
            return value_format
    raise ConfigError(
        "Payload: dense values must be float32, float16 or uint16 (the bits of a bfloat16), "
        f"got {values.dtype}"
    )


def dtype_of(value_format: ValueFormat) -> np.dtype[Any]:
    """Return the NumPy dtype that holds values of a format."""
    return _DTYPES[value_format]


def to_format(values: Float32, value_format: ValueFormat) -> DenseValues:
    """Round float32 values to a format, to nearest even; a float32 array comes back as it is."""
    if value_format is ValueFormat.FLOAT32:
        return values
    if value_format is ValueFormat.BFLOAT16:
        rounded: DenseValues = kernels.to_bfloat16(values)
        return rounded
    with np.errstate(over="ignore"):  # beyond 65504 float16 has only Inf, as IEEE 754 says
        return values.astype(np.float16)


def from_format(values: DenseValues) -> Float32:
    """Return dense values as float32, exactly; a float32 array comes back as it is."""
    value_format = format_of(values)
    if value_format is ValueFormat.FLOAT32:
        return values
    if value_format is ValueFormat.BFLOAT16:
        widened: Float32 = kernels.from_bfloat16(values)
        return widened
    return values.astype(np.float32)


@dataclass(frozen=True)
class Payload:
    """Entries and dense values of one bucket (see the module's text).

    Attributes:
        numel: length of the space that the indices point into, in elements.
        indices: (count,) uint32, strictly increasing, each below ``numel``.
        values: (count,) float32.
        dense: (m,) float32, float16 or uint16 holding bfloat16.
        budget: largest number of entries on any rank.
    """

    numel: int = 0
    indices: Indices = field(default_factory=lambda: NO_INDICES)
    values: Float32 = field(default_factory=lambda: NO_VALUES)
    dense: DenseValues = field(default_factory=lambda: NO_VALUES)
    budget: int = 0

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
        format_of(self.dense)

    def finite(self) -> bool:
        """Tell whether no value is Inf or NaN."""
        if format_of(self.dense) is not ValueFormat.FLOAT32:
            dense_finite = bool(np.isfinite(from_format(self.dense)).all())
        else:
            dense_finite = kernels.finite_check(self.dense)
        return dense_finite and kernels.finite_check(self.values)

    def scaled(self, factor: float) -> Payload:
        """Return this payload with every value multiplied by ``float32(factor)``, in float32."""
        factor32 = np.float32(factor)
        dense = from_format(self.dense)
        if factor32 == 1:
            return Payload(self.numel, self.indices, self.values, dense, self.budget)
        values, dense = kernels.scale(self.values, factor32), kernels.scale(dense, factor32)
        return Payload(self.numel, self.indices, values, dense, self.budget)

    def with_tail(self, tail: Float32) -> Payload:
        """Return this payload with ``tail`` appended to its dense values, which become float32."""
        if not len(tail):
            return self
        dense = tail if not len(self.dense) else np.concatenate([from_format(self.dense), tail])
        return Payload(self.numel, self.indices, self.values, dense, self.budget)

    def split_tail(self, length: int) -> tuple[Payload, Float32]:
        """Undo :meth:`with_tail`: return the payload without its last dense values, and those."""
        cut = len(self.dense) - length
        head = Payload(self.numel, self.indices, self.values, self.dense[:cut], self.budget)
        return head, from_format(self.dense[cut:])
