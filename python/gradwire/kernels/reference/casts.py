"""float32 to and from the 16-bit types."""

from __future__ import annotations

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
