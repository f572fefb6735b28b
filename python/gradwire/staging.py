"""Between a GPU's memory and the host's: long vectors stay where they are, entries travel.

Gradients, residuals and results may be in a GPU's memory, where kernels work on them. What ranks
send to each other is on the host: a payload's entries are copied there, and entries that come back
are copied to where the vector is that they go into. Of vectors on the host nothing is copied here.

Copies are made by the library whose arrays they are, torch or CuPy, in its current stream; the
kernels of a call run in that stream, too.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.errors import MissingDependencyError
from gradwire.kernels import native
from gradwire.kernels.arrays import Array, aligned, allocate, dtype_name, is_tensor, on_device


def has_kernels(array: object) -> bool:
    """Tell whether an array is in a GPU's memory and this build has the kernels to work there."""
    if not on_device(array):
        return False
    try:
        native.cuda()
    except MissingDependencyError:
        return False
    return True


def place(array: Array) -> int | None:
    """Return the number of the GPU whose memory an array is in, None for the host's."""
    return int(array.__dlpack_device__()[1]) if on_device(array) else None


def vector(numel: int, like: Array | None = None) -> Array:
    """Return uninitialised float32 where ``like`` is, if kernels work there; else on the host."""
    return allocate(numel, "float32", like) if has_kernels(like) else aligned(numel)


def to_host(array: Array) -> NDArray[Any]:
    """Return the values of an array on the host: itself if it is there, else a copy.

    Indices are uint32; numbers come as float32, whatever floating-point type they had.
    """
    copy: NDArray[Any]
    if type(array) is np.ndarray or not on_device(array):
        copy = array
        return copy
    floating = "float" in str(array.dtype)
    if is_tensor(array):
        torch = sys.modules["torch"]
        array = array.detach()
        copy = (array.to(torch.float32) if floating else array).cpu().numpy()
    else:
        with array.device:
            narrow = floating and dtype_name(array) != "float32"
            copy = (array.astype(np.float32) if narrow else array).get()
    return copy


def beside(memory: Array, *arrays: NDArray[Any]) -> tuple[Array, ...]:
    """Return arrays of the host where ``memory`` is: themselves, or copies in a GPU's memory."""
    if type(memory) is np.ndarray or not on_device(memory):
        return arrays
    copies = tuple(allocate(array.size, array.dtype.name, memory) for array in arrays)
    for copy, array in zip(copies, arrays, strict=True):
        put(copy, array)
    return copies


def put(out: Array, values: Array) -> None:
    """Set ``out[:] = values``, vectors of one length, each on the host or in a GPU's memory.

    Of vectors in a GPU's memory both are torch's, or both CuPy's.
    """
    if type(out) is np.ndarray or not on_device(out):
        out[:] = to_host(values)
    elif is_tensor(out):
        out.copy_(as_tensor(values))
    elif len(out):
        with out.device:
            if isinstance(values, np.ndarray):
                _send(out, values)
            else:
                out[:] = values


def _send(out: Array, values: NDArray[Any]) -> None:
    """Copy into an array of CuPy's, in order with what its current stream does; waits for it.

    Without a stream versions of CuPy differ in both.
    """
    stream = sys.modules["cupy"].cuda.get_current_stream()
    contiguous = np.ascontiguousarray(values)
    out.set(contiguous, stream=stream)
    stream.synchronize()


def fill(out: Array, value: float) -> None:
    """Set all elements of an array of any layout and type."""
    if is_tensor(out):
        with sys.modules["torch"].no_grad():
            out.fill_(value)
    elif isinstance(out, np.ndarray):
        out.fill(value)
    else:
        with out.device:
            out.fill(value)


def as_tensor(values: Array) -> Any:
    """Return an array as a torch tensor of the same memory; of read-only memory, as a copy."""
    torch = sys.modules["torch"]
    if isinstance(values, np.ndarray):
        return torch.from_numpy(values if values.flags.writeable else values.copy())
    return values if is_tensor(values) else torch.from_dlpack(values)
