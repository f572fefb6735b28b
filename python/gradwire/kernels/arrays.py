"""Arrays that kernels are called with, and outputs of the same kind.

torch is never imported here; a tensor can only be met when somebody else has imported it. What an
array must be is checked by the native code, which names the operation and the argument.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.errors import ConfigError
from gradwire.kernels.arguments import integer

# A NumPy array, a torch tensor or another array that offers DLPack. torch must stay optional for
# type checkers too.
Array = Any

MAX_LENGTH = 2**32 - 1
# Looking one up by name takes longer than making a small array.
_NUMPY_TYPES = {name: np.dtype(name) for name in ("float32", "uint8", "uint16", "uint32", "uint64")}

_DLPACK_CUDA = 2
_PAGE = 4096
_LARGE = 1 << 20  # bytes


def is_tensor(array: object) -> bool:
    """Return whether array is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def on_device(array: object) -> bool:
    """Return whether an array is in a GPU's memory."""
    if type(array) is np.ndarray:  # the usual case
        return False
    if is_tensor(array):
        return bool(getattr(array, "is_cuda", False))
    if hasattr(type(array), "__cuda_array_interface__"):
        return True
    try:
        return bool(array.__dlpack_device__()[0] == _DLPACK_CUDA)  # type: ignore[attr-defined]
    except Exception:  # of a class that is not ours; what is no array is refused later
        return False


def _as_numpy(array: Array) -> NDArray[Any]:
    """Return the memory of an array that is neither NumPy's nor torch's."""
    return array if isinstance(array, np.ndarray) else np.from_dlpack(array)


def is_cupy(array: object) -> bool:
    """Return whether array is CuPy's, without importing CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def overlap(first: Array, second: Array) -> bool:
    """Return whether two arrays, of any layout, may share memory, on the host or a GPU."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.may_share_memory(first, second)
    # The addresses of the host and of all GPUs are of one space.
    (begin, end), (other_begin, other_end) = _span(first), _span(second)
    return begin < other_end and other_begin < end


def _span(array: Array) -> tuple[int, int]:
    """Return the addresses between which an array's elements are; equal ones if it is empty."""
    strides: Any
    if is_tensor(array) and not (array.is_cuda or array.device.type == "cpu"):
        return 0, 0  # addresses of their own, or none
    if is_tensor(array):
        shape, itemsize, begin = tuple(array.shape), array.element_size(), array.data_ptr()
        strides = [stride * itemsize for stride in array.stride()]
    else:
        there = on_device(array)
        interface = array.__cuda_array_interface__ if there else array.__array_interface__
        shape, itemsize = interface["shape"], np.dtype(interface["typestr"]).itemsize
        begin, strides = interface["data"][0], interface.get("strides")
    if 0 in shape:
        return begin, begin
    if strides is None:
        return begin, begin + math.prod(shape) * itemsize
    reaches = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    first, last = sum(min(0, each) for each in reaches), sum(max(0, each) for each in reaches)
    return begin + first, begin + last + itemsize


def length(array: Array) -> int:
    """Return the number of elements of a vector; 0 for what is none, which is refused later."""
    if type(array) is np.ndarray:
        return array.size
    if is_tensor(array):
        size: int = array.numel()  # len() takes several times as long
        return size
    try:
        return int(array.size if on_device(array) else _as_numpy(array).size)
    except Exception:  # of a class that is not ours
        return 0


def trimmed(array: Array, size: int) -> Array:
    """Return the first elements of a vector; itself if it is no longer, or is no vector."""
    if type(array) is np.ndarray:  # the usual case; calls of Python add up
        return array if array.size <= size or array.ndim != 1 else array[:size]
    if length(array) <= size or getattr(array, "ndim", 1) != 1:
        return array
    return (array if is_tensor(array) or on_device(array) else _as_numpy(array))[:size]


def aligned(size: int, dtype: str = "float32") -> NDArray[Any]:
    """Return an uninitialised vector; a large one begins at a page.

    Processors first compare the low 12 bits of addresses: where a kernel writes a few cache lines
    ahead, in that sense, of what it reads, every read waits for a write that is none of its
    business, for up to a third of the time. Vectors that begin at pages never lie so.
    """
    kind = _NUMPY_TYPES.get(dtype) or np.dtype(dtype)
    nbytes = size * kind.itemsize
    if nbytes < _LARGE:
        return np.empty(size, kind)
    memory = np.empty(nbytes + _PAGE, np.uint8)
    begin = -memory.ctypes.data % _PAGE
    return memory[begin : begin + nbytes].view(kind)


def allocate(size: int, dtype: str, like: Array) -> Array:
    """Return an uninitialised array where `like` is: a torch tensor, or CuPy's, else NumPy's."""
    if type(like) is not np.ndarray:
        if is_tensor(like):
            torch = sys.modules["torch"]
            return torch.empty(size, dtype=getattr(torch, dtype), device=like.device)
        if on_device(like):
            return _allocate_on_device(size, dtype, like)
    return aligned(size, dtype)


def _allocate_on_device(size: int, dtype: str, like: Array) -> Array:
    """Return an array of CuPy, or of torch if only that is there, on the device of `like`."""
    device = like.__dlpack_device__()[1]
    if (cupy := sys.modules.get("cupy")) is not None:
        with cupy.cuda.Device(device):
            return cupy.empty(size, np.dtype(dtype))
    if (torch := sys.modules.get("torch")) is not None:
        return torch.empty(size, dtype=getattr(torch, dtype), device=f"cuda:{device}")
    raise ConfigError(
        f"a {type(like).__module__} array on a GPU needs outputs to be given, or CuPy or torch "
        "to be imported"
    )


def message(who: str, data: Array | bytes | bytearray | memoryview) -> Array:
    """Return what came over the wire as an array, without a copy.

    Raises:
        ConfigError: a memoryview whose bytes do not lie side by side.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return data
    try:
        return np.frombuffer(data, np.uint8)
    except (BufferError, ValueError) as error:
        raise ConfigError(f"{who}: {error}") from None


def decoded(who: str, out: Array | None, n: int, codes: Array) -> Array:
    """Return the first n elements of out, or n new float32 if it is None.

    Codes have a bit or more: an n that comes with them cannot decide a larger allocation.
    """
    n = integer(f"{who}: n", n, 0, MAX_LENGTH)
    if n > 8 * length(codes):
        raise ConfigError(
            f"{who}: codes must have a bit for each of {n}, got {length(codes)} bytes"
        )
    return _taken(who, out, n, "float32", codes)


def output(who: str, out: Array | None, n: int, dtype: str, like: Array) -> Array:
    """Return the first n elements of out, or a new array if it is None.

    Raises:
        ConfigError: n is no length, or out is shorter.
    """
    return _taken(who, out, integer(f"{who}: n", n, 0, MAX_LENGTH), dtype, like)


def _taken(who: str, out: Array | None, n: int, dtype: str, like: Array) -> Array:
    if out is None:
        return allocate(n, dtype, like)
    if length(out) < n:
        raise ConfigError(f"{who}: out must have at least {n} elements, got {length(out)}")
    return trimmed(out, n)


def dtype_name(array: Array) -> str:
    """Return the name of an array's floating-point dtype; "float32" for others."""
    name = str(getattr(array, "dtype", "")).removeprefix("torch.")
    return name if name in ("float32", "float16", "bfloat16", "float64") else "float32"
