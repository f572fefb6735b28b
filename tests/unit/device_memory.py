"""Lets tests that hand over arrays of the host run on kernels that want theirs in other memory.

`DeviceTable` stands in for the operations of a native module. Every call copies the arrays that it
is given into another memory, calls the module with arrays that lie there as the caller's lie here
(overlaps, alignment, strides and all), and copies back what the call changed. Around each stretch
of memory lie bytes that must not change.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Bytes = np.ndarray

_ALIGNED = 512  # bytes; a GPU's memory comes so
_AROUND = 1024
_UNTOUCHED = 0xA5


class Memory(Protocol):
    """Where the kernels want their arrays."""

    def upload(self, image: Bytes) -> Any:
        """Return memory with these bytes that begins at a multiple of _ALIGNED."""

    def download(self, memory: Any) -> Bytes:
        """Return its bytes."""

    def array(self, memory: Any, first: int, like: Any) -> Any:
        """Return what lies `first` bytes behind the beginning, as an array like one of the host."""

    def address(self, array: Any) -> int | None:
        """Return where an array begins; None for what is no array of this memory."""


class HostMemory:
    """Memory of the host, for the kernels that an emulator runs."""

    def upload(self, image: Bytes) -> Bytes:
        room = np.empty(image.size + _ALIGNED, np.uint8)
        begin = -room.ctypes.data % _ALIGNED
        memory = room[begin : begin + image.size]
        np.copyto(memory, image)
        return memory

    def download(self, memory: Bytes) -> Bytes:
        return memory

    def array(self, memory: Bytes, first: int, like: Any) -> Any:
        if not isinstance(like, np.ndarray):
            return _tensor(sys.modules["torch"].from_numpy(memory), first, like)
        array = np.ndarray(like.shape, like.dtype, memory, first, like.strides)
        array.flags.writeable = like.flags.writeable
        return array

    def address(self, array: Any) -> int | None:
        return _address(array) if _is_array(array) else None


class CudaMemory:
    """Memory of a GPU, by torch; NumPy's arrays get the array interface that others have, too."""

    def __init__(self) -> None:
        self._torch = __import__("torch")

    def upload(self, image: Bytes) -> Any:
        return self._torch.from_numpy(image).cuda()

    def download(self, memory: Any) -> Bytes:
        found: Bytes = memory.cpu().numpy()
        return found

    def array(self, memory: Any, first: int, like: Any) -> Any:
        if isinstance(like, np.ndarray):
            return CudaArray(memory, memory.data_ptr() + first, like)
        return _tensor(memory, first, like)

    def address(self, array: Any) -> int | None:
        if isinstance(array, CudaArray):
            return array.address
        return array.data_ptr() if isinstance(array, self._torch.Tensor) else None


@dataclass
class CudaArray:
    """What a GPU's memory looks like to others: an address, and what NumPy would say of it."""

    owner: Any
    address: int
    like: np.ndarray

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "data": (self.address, not self.like.flags.writeable),
            "shape": self.like.shape,
            "strides": None if self.like.flags.c_contiguous else self.like.strides,
            "typestr": self.like.dtype.str,
            "version": 3,
        }

    def __getitem__(self, part: slice) -> CudaArray:
        assert part.start in (None, 0)
        return CudaArray(self.owner, self.address, self.like[part])

    @property
    def size(self) -> int:
        return int(self.like.size)

    @property
    def dtype(self) -> Any:
        return self.like.dtype


@dataclass
class _Stretch:
    """Bytes [begin, end) of the host and their copy."""

    begin: int
    end: int
    writable: bool
    memory: Any = None
    before: Bytes | None = None

    @property
    def first(self) -> int:
        """Where the copy begins in its memory: as far from a multiple of _ALIGNED as here."""
        return _AROUND + self.begin % _ALIGNED

    def host(self) -> Bytes:
        words = (ctypes.c_uint8 * (self.end - self.begin)).from_address(self.begin)
        return np.frombuffer(words, np.uint8)


class DeviceTable:
    """The operations of a module whose arrays lie in a memory, for callers with other arrays."""

    __name__ = "cuda"

    def __init__(self, module: Any, memory: Memory) -> None:
        self._module, self._memory = module, memory

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        return self._on_device(found) if callable(found) else found

    def _on_device(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            given = [(each, _as_array(each)) for each in _leaves(arguments)]
            arrays = [(each, array) for each, array in given if _is_array(array)]
            stretches = _stretches([array for _, array in arrays])
            for each in stretches:
                self._upload(each)
            pairs = [(array, self._copy(array, stretches)) for _, array in arrays]
            copies = {id(each): copy for (each, _), (_, copy) in zip(arrays, pairs, strict=True)}
            try:
                result = operation(*_replaced(arguments, copies))
            finally:
                for each in stretches:
                    self._download(each)
            return self._returned(result, pairs)

        return call

    def _upload(self, stretch: _Stretch) -> None:
        image = np.full(stretch.first + stretch.end - stretch.begin + _AROUND, _UNTOUCHED, np.uint8)
        if stretch.end > stretch.begin:
            image[stretch.first : stretch.first + stretch.end - stretch.begin] = stretch.host()
        stretch.before = image
        stretch.memory = self._memory.upload(image)

    def _download(self, stretch: _Stretch) -> None:
        assert stretch.before is not None
        after = self._memory.download(stretch.memory)
        inside = slice(stretch.first, stretch.first + stretch.end - stretch.begin)
        changed = after != stretch.before
        outside = changed.copy()
        outside[inside] = False
        assert not outside.any(), "bytes around an array were written to"
        if changed.any():
            assert stretch.writable, "a read-only array was written to"
            np.copyto(stretch.host(), after[inside])

    def _copy(self, array: Any, stretches: list[_Stretch]) -> Any:
        address = _address(array)
        for each in stretches:
            if each.begin <= address <= each.end and _bounds(array)[1] <= each.end:
                return self._memory.array(each.memory, each.first + address - each.begin, array)
        raise AssertionError("an array lies in no stretch")

    def _returned(self, result: Any, pairs: list[tuple[Any, Any]]) -> Any:
        """Return the caller's arrays where the module returned their copies, or parts of them."""
        if isinstance(result, tuple):
            return tuple(self._returned(each, pairs) for each in result)
        address = self._memory.address(result)
        if address is None:
            return result
        size = _size(result)
        for host, copy in pairs:
            # Empty tensors are all at one address, which is none.
            alike = type(copy) is type(result) and copy.dtype == result.dtype
            here = self._memory.address(copy) == address or size == 0
            if alike and here and _size(host) >= size:
                return host if _size(host) == size else host[:size]
        raise AssertionError("the result is no part of an argument")


def _leaves(value: Any) -> list[Any]:
    if type(value) in (list, tuple):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _replaced(value: Any, copies: dict[int, Any]) -> Any:
    if type(value) in (list, tuple):
        return type(value)(_replaced(each, copies) for each in value)
    return copies.get(id(value), value)


def _as_array(value: Any) -> Any:
    """Return the memory of an object of the host that offers DLPack and nothing else."""
    if _is_array(value) or not hasattr(value, "__dlpack_device__"):
        return value
    try:
        return np.from_dlpack(value)
    except Exception:  # the operation is to refuse it
        return value


def _is_array(value: Any) -> bool:
    if type(value) is np.ndarray:
        return value.dtype.kind in "fiub"
    torch = sys.modules.get("torch")
    return (
        torch is not None
        and type(value) is torch.Tensor
        and value.device.type != "meta"
        and value.layout == torch.strided
        and not value.is_neg()
    )


def _strides(array: Any) -> tuple[int, ...]:
    if isinstance(array, np.ndarray):
        return array.strides
    return tuple(each * array.element_size() for each in array.stride())


def _size(array: Any) -> int:
    return int(array.numel() if hasattr(array, "numel") else array.size)


def _address(array: Any) -> int:
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    return int(array.data_ptr())


def _bounds(array: Any) -> tuple[int, int]:
    """Return the first byte of an array and the one behind its last, whatever its strides."""
    begin = end = _address(array)
    if _size(array) == 0:
        return begin, end
    for length, stride in zip(array.shape, _strides(array), strict=True):
        reach = (length - 1) * stride
        begin, end = begin + min(reach, 0), end + max(reach, 0)
    itemsize = array.itemsize if isinstance(array, np.ndarray) else array.element_size()
    return begin, end + itemsize


def _stretches(arrays: list[Any]) -> list[_Stretch]:
    """Return what memory the arrays take: one stretch for those that overlap."""
    found: list[_Stretch] = []
    for array in sorted(arrays, key=lambda each: _bounds(each)):
        begin, end = _bounds(array)
        writable = not isinstance(array, np.ndarray) or bool(array.flags.writeable)
        if found and (begin < found[-1].end or begin == found[-1].begin):
            found[-1].end = max(found[-1].end, end)
            found[-1].writable |= writable
        else:
            found.append(_Stretch(begin, end, writable))
    return found


def _tensor(memory: Any, first: int, like: Any) -> Any:
    """Return the tensor like one of the host that begins at a byte of a tensor of bytes."""
    begin, end = _bounds(like)
    inside = memory[first : first + end - begin].view(like.dtype)
    return inside.as_strided(like.shape, like.stride())
