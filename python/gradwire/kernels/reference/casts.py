"""float32 to and from the 16-bit types, and from float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.kernels.reference.selection import INFINITY, Floats, magnitude


def to_bfloat16(x: Floats) -> NDArray[np.uint16]:
    """Return the bits of x rounded to bfloat16, to nearest, ties to even; NaN stays NaN."""
    bits = x.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    quiet = (bits >> np.uint64(16)) | np.uint64(0x40)
    halves: NDArray[np.uint16] = np.where(magnitude(x) > INFINITY, quiet, rounded).astype(np.uint16)
    return halves


def from_bfloat16(bits: NDArray[np.uint16]) -> Floats:
    """Return the float32 values of bfloat16 bits."""
    widened: Floats = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return widened


def to_float16(x: Floats) -> NDArray[np.float16]:
    """Return x rounded to float16, to nearest, ties to even; NaN stays NaN and becomes quiet."""
    bits = x.view(np.uint32)
    with np.errstate(all="ignore"):
        halves: NDArray[np.float16] = x.astype(np.float16)
    quiet = ((bits >> np.uint32(16)) & np.uint32(0x8000)) | np.uint32(0x7E00)
    quiet |= (bits >> np.uint32(13)) & np.uint32(0x3FF)
    halves.view(np.uint16)[np.isnan(x)] = quiet[np.isnan(x)]
    return halves


def from_float16(x: NDArray[np.float16]) -> Floats:
    """Return the float32 values of float16; NaN becomes quiet."""
    return widen(x)


def widen(x: NDArray[Any]) -> NDArray[Any]:
    """Return x in the type it is computed in: float16 and bits of bfloat16 (uint16) as float32.

    NaN of float16 becomes quiet, as IEEE 754 wants it; bfloat16 is float32's first half.
    """
    if x.dtype == np.uint16:
        return from_bfloat16(x)
    if x.dtype != np.float16:
        return x
    wide = x.astype(np.float32)
    wide.view(np.uint32)[np.isnan(wide)] |= np.uint32(0x400000)
    return wide


def to_float32(x: NDArray[np.float64]) -> Floats:
    """Return x rounded to float32, to nearest even; infinite beyond its range, NaN made quiet."""
    with np.errstate(all="ignore"):
        return x.astype(np.float32)


def narrow(x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what `widen` gave in the type it had, rounded to nearest even."""
    if dtype == np.uint16:
        return to_bfloat16(x)
    with np.errstate(all="ignore"):
        return x.astype(dtype)
