"""Flat views of what users hand over, and results in the form that they came in."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gradwire.errors import ConfigError
from gradwire.kernels.arrays import Array, is_cupy, on_device
from gradwire.kernels.arrays import is_tensor as is_torch
from gradwire.payload import Float32
from gradwire.staging import as_tensor, fill, has_kernels, to_host

_KINDS = "a NumPy array, a torch tensor or a CuPy array"
_FLOATS = ("float32", "float16", "float64")
_READ_BY_KERNELS = ("torch.float32", "torch.float16", "torch.bfloat16", "float32", "float16")


def as_float32(array: Any, name: str) -> Float32:
    """Return the values of a floating-point array as a flat float32 vector in host memory.

    A view where the array allows it (float32, contiguous, on the host), else a copy. The order is
    that of the logical indices, whatever the strides.

    Raises:
        ConfigError: not a NumPy or CuPy array or torch tensor of a floating-point type.
    """
    if is_torch(array):
        return _torch_as_float32(array, name)
    if isinstance(array, np.ma.MaskedArray):
        raise ConfigError(f"{name} must be {_KINDS}, got {type(array)}")
    _require_floating(array, name)
    array = np.asarray(to_host(array))  # a matrix would stay two-dimensional
    with np.errstate(over="ignore"):  # Inf is found, and reported, where all values are checked
        flat: Float32 = np.ascontiguousarray(array, np.float32).reshape(-1)
    return flat


def as_vector(array: Any, name: str) -> Array:
    """Return the values of a floating-point array as a flat vector where kernels can read it.

    In a GPU's memory that is there if this build has kernels for it: float32, float16 or bfloat16,
    a view where that is what it is and it is contiguous. Else as `as_float32`.

    Raises:
        ConfigError: not a NumPy or CuPy array or torch tensor of a floating-point type.
    """
    if not has_kernels(array):
        return as_float32(array, name)
    if is_torch(array):
        flat = _checked_tensor(array, name).contiguous().view(-1)
        return flat if str(flat.dtype) in _READ_BY_KERNELS else flat.float()
    _require_floating(array, name)
    with array.device:
        flat = sys.modules["cupy"].ascontiguousarray(array).reshape(-1)
        return flat if str(flat.dtype) in _READ_BY_KERNELS else flat.astype(np.float32)


def _require_floating(array: Any, name: str) -> None:
    """Refuse what is no array of NumPy or CuPy, or has no floating-point type."""
    if not (isinstance(array, np.ndarray) or is_cupy(array)):
        raise ConfigError(f"{name} must be {_KINDS}, got {type(array)}")
    if array.dtype not in _FLOATS:
        raise ConfigError(f"{name} must be float32, float16 or float64, got {array.dtype}")


def _torch_as_float32(tensor: Any, name: str) -> Float32:
    import torch

    tensor = _checked_tensor(tensor, name)
    host = tensor.to(device="cpu", dtype=torch.float32).contiguous()
    flat: Float32 = host.view(-1).numpy()
    return flat


def _checked_tensor(tensor: Any, name: str) -> Any:
    """Return a dense tensor of a floating-point type, without its history."""
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    _require_plain(tensor, name)
    if not tensor.is_floating_point():
        raise ConfigError(
            f"{name} must be a dense floating-point tensor, got {tensor.dtype}, {tensor.layout}"
        )
    return tensor.detach()


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
        ConfigError: not a NumPy or CuPy array or torch tensor of a floating-point type, or
            read-only.
    """
    if is_torch(array):
        _require_plain(array, name)
        if not array.is_floating_point():
            raise ConfigError(f"{name} must be a floating-point tensor, got {array.dtype}")
        strides = zip(array.shape, array.stride(), strict=True)
        if array.numel() and any(n > 1 and stride == 0 for n, stride in strides):
            raise ConfigError(
                f"{name} must not have elements that share memory (an expanded tensor)"
            )
        return
    _require_floating(array, name)
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise ConfigError(f"{name} must be writable, got a read-only array")


def writable_float32(array: Any) -> Array | None:
    """Return a flat view through which kernels can write an array that `require_writable` let pass.

    None where that takes a copy: of another type or layout, or in a GPU's memory in a build that
    has no kernels for it.
    """
    if on_device(array) and not has_kernels(array):
        return None
    if is_torch(array):
        here = array.is_cuda or array.device.type == "cpu"
        plain = here and str(array.dtype) == "torch.float32" and array.is_contiguous()
        flat = array.detach().view(-1) if plain else None
        return flat if flat is None or array.is_cuda else flat.numpy()
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        return None
    return array.reshape(-1) if is_cupy(array) else np.asarray(array).reshape(-1)


def write_back(values: Array, target: Any) -> None:
    """Copy a flat float32 vector into an array or tensor of any layout, dtype and device."""
    if is_torch(target):
        import torch

        with torch.no_grad():
            target.copy_(as_tensor(values).view(target.shape))
    elif is_cupy(target):
        with target.device:
            target[...] = sys.modules["cupy"].asarray(values).reshape(target.shape)
    else:
        with np.errstate(over="ignore"):  # beyond its range float16 has only Inf
            np.copyto(target, to_host(values).reshape(target.shape), casting="same_kind")


def fill_nan(target: Any) -> None:
    """Make every element NaN, in an array or tensor of any layout, dtype and device."""
    fill(target, float("nan"))


def empty_like(array: Any) -> Any:
    """Return an uninitialised contiguous array of the same kind, shape, dtype and device."""
    if is_torch(array):
        import torch

        return torch.empty(array.shape, dtype=array.dtype, device=array.device)
    if is_cupy(array):
        with array.device:
            return sys.modules["cupy"].empty(array.shape, array.dtype)
    return np.empty(array.shape, array.dtype)
