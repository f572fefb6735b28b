"""Runs of bytes, as users hand them in and as they come from other ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradwire.errors import ConfigError, WireError

Bytes = npt.NDArray[np.uint8]
Buffer = bytes | bytearray | memoryview | Bytes


def as_bytes(buffer: Buffer, what: str) -> Bytes:
    """Return a flat uint8 view of a contiguous buffer; anything else is a ConfigError."""
    if isinstance(buffer, np.ndarray):
        if buffer.dtype != np.uint8 or not buffer.flags.c_contiguous:
            raise ConfigError(
                f"{what}: expected a contiguous uint8 array, got {buffer.dtype} with "
                f"strides {buffer.strides}; use np.ascontiguousarray(a).view(np.uint8)"
            )
        return buffer if buffer.ndim == 1 else buffer.reshape(-1)
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        raise ConfigError(
            f"{what}: expected bytes, memoryview or a uint8 array, got {type(buffer).__name__}"
        )
    view = memoryview(buffer)
    if not view.contiguous:
        raise ConfigError(f"{what}: expected contiguous bytes, got a strided memoryview")
    return np.frombuffer(view, np.uint8) if view.nbytes else np.empty(0, np.uint8)


def check_received(size: int, limit: int, peer: int, operation: str) -> None:
    """Raise WireError if a message from `peer` is longer than all ranks agreed on."""
    if size > limit:
        raise WireError(
            f"{operation}: rank {peer} sent at least {size} B, the limit is {limit} B; "
            "all ranks must pass the same limit"
        )
