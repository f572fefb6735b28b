"""Dense arithmetic in float32; NumPy has no bfloat16: uint16 arrays are taken for the bits of one.

`dtype` is that of the result; the first argument's when None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gradwire.kernels.reference.casts import narrow, widen

Vector = NDArray[Any]


def add(a: Vector, b: Vector, dtype: DTypeLike | None = None) -> Vector:
    """Return a + b."""
    with np.errstate(all="ignore"):
        return narrow(widen(a) + widen(b), np.dtype(dtype or a.dtype))


def scale(x: Vector, factor: float, dtype: DTypeLike | None = None) -> Vector:
    """Return x * float32(factor)."""
    with np.errstate(all="ignore"):
        return narrow(widen(x) * np.float32(factor), np.dtype(dtype or x.dtype))


def scale_add(x: Vector, factor: float, out: Vector) -> Vector:
    """Return out + x * float32(factor), in out's type; out is left as it is."""
    with np.errstate(all="ignore"):
        return narrow(widen(out) + widen(x) * np.float32(factor), out.dtype)
