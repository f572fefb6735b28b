"""NumPy views of what users hand over, and results in the form that they came in."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gradwire.errors import ConfigError
from gradwire.payload import Float32


def is_torch(array: Any) -> bool:
    """Tell whether ``array`` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def as_float32(array: Any, name: str) -> Float32:
    """Return the values of a floating-point array as a flat float32 vector in host memory.

    A view where the array allows it (float32, contiguous, on the host), else a copy. The order is
    that of the logical indices, whatever the strides.

    Raises:
        ConfigError: not a NumPy array or torch tensor of a floating-point type.
    """
    if is_torch(array):
        return _torch_as_float32(array, name)
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise ConfigError(f"{name} must be a NumPy array or a torch tensor, got {type(array)}")
    if array.dtype not in (np.float32, np.float16, np.float64):
        raise ConfigError(f"{name} must be float32, float16 or float64, got {array.dtype}")
    array = np.asarray(array)  # a matrix would stay two-dimensional
    with np.errstate(over="ignore"):  # Inf is found, and reported, where all values are checked
        flat: Float32 = np.ascontiguousarray(array, np.float32).reshape(-1)
    return flat


def _torch_as_float32(tensor: Any, name: str) -> Float32:
    import torch

    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    _require_plain(tensor, name)
    if not tensor.is_floating_point():
        raise ConfigError(
            f"{name} must be a dense floating-point tensor, got {tensor.dtype}, {tensor.layout}"
        )
    host = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
    flat: Float32 = host.view(-1).numpy()
    return flat


def _require_plain(tensor: Any, name: str) -> None:
    """Refuse torch tensors whose memory does not hold their values one by one."""
    import torch

    if tensor.layout != torch.strided or tensor.device.type == "meta" or tensor.is_neg():
        raise ConfigError(
            f"{name} must be a dense floating-point tensor that holds its own values, "
            f"got {tensor.dtype}, {tensor.layout} on {tensor.device}"
        )


def require_writable(array: Any, name: str) -> None:
    """Check that a result can be written into an array, whatever its layout.

    Raises:
        ConfigError: not a NumPy array or torch tensor of a floating-point type, or read-only.
    """
    if is_torch(array):
        _require_plain(array, name)
        if not array.is_floating_point():
            raise ConfigError(f"{name} must be a floating-point tensor, got {array.dtype}")
        if any(
            n > 1 and stride == 0 for n, stride in zip(array.shape, array.stride(), strict=True)
        ):
            raise ConfigError(
                f"{name} must not have elements that share memory (an expanded tensor)"
            )
        return
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{name} must be a NumPy array or a torch tensor, got {type(array)}")
    if array.dtype not in (np.float32, np.float16, np.float64):
        raise ConfigError(f"{name} must be float32, float16 or float64, got {array.dtype}")
    if not array.flags.writeable:
        raise ConfigError(f"{name} must be writable, got a read-only array")


def overlaps(values: Float32, array: Any) -> bool:
    """Tell whether an array of any layout may share host memory with ``values``."""
    if not is_torch(array):
        return np.may_share_memory(values, array)
    if array.device.type != "cpu" or not array.numel():
        return False
    reach = sum((n - 1) * stride for n, stride in zip(array.shape, array.stride(), strict=True))
    begin, end = array.data_ptr(), array.data_ptr() + (reach + 1) * array.element_size()
    own: int = values.ctypes.data
    return bool(begin < own + values.nbytes and own < end)


def writable_float32(array: Any, name: str) -> Float32 | None:
    """Return a flat view through which ``array`` can be written, or None where that takes a copy.

    Raises:
        ConfigError: not an array that can be written.
    """
    if is_torch(array):
        if array.device.type != "cpu" or str(array.dtype) != "torch.float32":
            return None
        return array.detach().view(-1).numpy() if array.is_contiguous() else None
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{name} must be a NumPy array or a torch tensor, got {type(array)}")
    if not array.flags.writeable:
        raise ConfigError(f"{name} must be writable, got a read-only array")
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        return None
    return np.asarray(array).reshape(-1)


def write_back(values: Float32, target: Any) -> None:
    """Copy a flat float32 vector into an array or tensor of any layout, dtype and device."""
    if is_torch(target):
        import torch

        with torch.no_grad():
            target.copy_(torch.from_numpy(values).view(target.shape))
    else:
        with np.errstate(over="ignore"):  # beyond its range float16 has only Inf
            np.copyto(target, values.reshape(target.shape), casting="same_kind")


def fill_nan(target: Any) -> None:
    """Make every element NaN, in an array or tensor of any layout, dtype and device."""
    if is_torch(target):
        import torch

        with torch.no_grad():
            target.fill_(float("nan"))
    else:
        target.fill(float("nan"))


def empty_like(array: Any) -> Any:
    """Return an uninitialised contiguous array of the same kind, shape, dtype and device."""
    if is_torch(array):
        import torch

        return torch.empty(array.shape, dtype=array.dtype, device=array.device)
    return np.empty(array.shape, array.dtype)
