"""Where the data of an array is: addresses of NumPy arrays and torch CPU tensors, checked.

No array is ever copied or converted. torch is never imported here; a tensor can only be met when
somebody else has imported it.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from gradwire.errors import ConfigError, MissingDependencyError

# A NumPy array or a torch tensor. torch must stay optional for type checkers too.
Array = Any

MAX_LENGTH = 2**32 - 1


class View(NamedTuple):
    """The memory of a checked array: first byte, number of elements and bytes per element.

    owner: the array itself, kept alive as long as its address is in use.
    """

    address: int
    size: int
    itemsize: int
    owner: object

    @property
    def end(self) -> int:
        """Address behind the last byte."""
        return self.address + self.size * self.itemsize


def is_tensor(array: object) -> bool:
    """Return whether array is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def view(who: str, array: Array, dtype: str) -> View:
    """Check that array is one-dimensional, contiguous, aligned and of dtype; return its memory.

    who: operation and argument, for messages ("topk: x"). dtype: NumPy's name, such as "float32".
    Raises ConfigError for anything else and MissingDependencyError for a tensor on another device.
    """
    if isinstance(array, np.ndarray):
        found = array.dtype.name if array.dtype.isnative else array.dtype.str
        dimensions = array.ndim
        contiguous = array.flags.c_contiguous and array.flags.aligned
    elif is_tensor(array):
        _require_cpu(who, array)
        found, dimensions = str(array.dtype).removeprefix("torch."), array.dim()
        contiguous = array.is_contiguous() and array.data_ptr() % array.element_size() == 0
        if array.is_neg():
            raise ConfigError(f"{who} must hold its own values: call its resolve_neg() first")
    else:
        raise ConfigError(
            f"{who} must be a NumPy array or a torch tensor, got {type(array).__name__}"
        )
    if found != dtype:
        raise ConfigError(f"{who} must have dtype {dtype}, got {found}: convert it first")
    if dimensions != 1:
        raise ConfigError(f"{who} must have one dimension, got {dimensions}: flatten it first")
    if not contiguous:
        raise ConfigError(f"{who} must be contiguous and aligned: make a copy of it first")
    size = len(array)
    if size > MAX_LENGTH:
        raise ConfigError(f"{who} must have fewer than 2**32 elements, got {size}: split it")
    return View(_address(array), size, np.dtype(dtype).itemsize, array)


def writable(who: str, array: Array, dtype: str, least: int | None = None) -> View:
    """Return view(who, array, dtype) of an output that can be written and has `least` elements."""
    out = view(who, array, dtype)
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise ConfigError(f"{who} must be writable, got a read-only array")
    if least is not None and out.size < least:
        raise ConfigError(f"{who} must have at least {least} elements, got {out.size}")
    return out


def require_length(who: str, array: View, expected: int, like: str) -> None:
    """Raise ConfigError unless array has as many elements as the argument `like`."""
    if array.size != expected:
        raise ConfigError(
            f"{who} must have as many elements as {like} ({expected}), got {array.size}"
        )


def require_disjoint(who: str, first: View, second: View, names: str) -> None:
    """Raise ConfigError if the two arrays share memory."""
    if first.address < second.end and second.address < first.end and first.size and second.size:
        raise ConfigError(f"{who}: {names} must not overlap")


def allocate(size: int, dtype: str, like: Array) -> Array:
    """Return an uninitialised array of the same kind (NumPy or torch CPU) as `like`."""
    if is_tensor(like):
        torch = sys.modules["torch"]
        return torch.empty(size, dtype=getattr(torch, dtype))
    return np.empty(size, dtype=dtype)


def _require_cpu(who: str, tensor: Array) -> None:
    if tensor.device.type != "cpu":
        raise MissingDependencyError(
            f"{who} is on {tensor.device}: the CUDA kernels are not in this build; "
            "move it to the CPU first"
        )


def _address(array: Array) -> int:
    if isinstance(array, np.ndarray):
        return int(array.ctypes.data)
    return int(array.data_ptr())
