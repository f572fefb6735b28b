"""Arrays as if they were in a GPU's memory, of CuPy and of torch, and kernels that take only these.

Their memory is the host's, but nobody gets at it except through what the real ones offer: implicit
conversions to NumPy raise, kernels refuse to mix them with arrays of the host, and copies from and
to the host are counted.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from emulated_cuda import emulated_cuda

from gradwire.kernels import native

CUDA = 2  # in DLPack
_EMULATED = emulated_cuda()


@dataclass
class Traffic:
    """Bytes that have crossed."""

    to_host: int = 0
    to_device: int = 0


class Refused(TypeError):
    """The host must not look into a GPU's memory."""


class FakeArray:
    """An array of what takes CuPy's place."""

    traffic = Traffic()

    def __init__(self, memory: np.ndarray, number: int = 0) -> None:
        self._memory = memory
        self.device = FakeDevice(number)

    dtype = property(lambda self: self._memory.dtype)
    size = property(lambda self: self._memory.size)
    ndim = property(lambda self: self._memory.ndim)
    shape = property(lambda self: self._memory.shape)
    flags = property(lambda self: self._memory.flags)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return dict(self._memory.__array_interface__)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device.id

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise Refused("implicit conversion to NumPy")

    def __bool__(self) -> bool:
        raise Refused("a look at a value")

    __float__ = __int__ = __iter__ = __bool__

    def __len__(self) -> int:
        return len(self._memory)

    def __getitem__(self, key: Any) -> FakeArray:
        assert isinstance(key, slice)
        return self._like(self._memory[key])

    def __setitem__(self, key: Any, values: FakeArray) -> None:
        assert isinstance(values, FakeArray) and self.device.is_current()
        with np.errstate(over="ignore"):
            self._memory[key] = values._memory

    def get(self) -> np.ndarray:
        assert self.device.is_current()
        self.traffic.to_host += self._memory.nbytes
        return self._memory.copy()

    def set(self, values: np.ndarray, stream: FakeStream | None = None) -> None:
        assert self.device.is_current() and self.flags.c_contiguous
        assert values.flags.c_contiguous
        if stream is not None:
            stream.waits_for.append(values)
        assert values.dtype == self.dtype and values.shape == self.shape
        self.traffic.to_device += values.nbytes
        self._memory[...] = values

    def fill(self, value: float) -> None:
        assert self.device.is_current()
        self._memory.fill(value)

    def reshape(self, *shape: Any) -> FakeArray:
        return self._like(self._memory.reshape(*shape))

    def astype(self, dtype: Any) -> FakeArray:
        assert self.device.is_current()
        with np.errstate(over="ignore"):
            return self._like(self._memory.astype(dtype))

    def _like(self, memory: np.ndarray) -> FakeArray:
        return FakeArray(memory, self.device.id)


class FakeDevice:
    """A GPU that can be made current, as in CuPy."""

    current: ClassVar[list[int]] = [0]

    def __init__(self, number: int) -> None:
        self.id = number

    def __enter__(self) -> None:
        FakeDevice.current.append(self.id)

    def __exit__(self, *error: Any) -> None:
        FakeDevice.current.pop()

    def is_current(self) -> bool:
        return FakeDevice.current[-1] == self.id


class FakeStream:
    """The current stream. Whoever copies in it has to wait for it."""

    waits_for: ClassVar[list[np.ndarray]] = []

    def synchronize(self) -> None:
        self.waits_for.clear()


def _fake_cupy() -> Any:
    stream = FakeStream()

    def empty(shape: Any, dtype: Any) -> FakeArray:
        return FakeArray(np.full(shape, 0xA5, np.uint8).astype(dtype), FakeDevice.current[-1])

    def asarray(values: Any) -> FakeArray:
        if isinstance(values, FakeArray):
            return values
        made = empty(values.shape, values.dtype)
        made.set(values)
        return made

    cupy: Any = types.ModuleType("cupy")
    cupy.ndarray, cupy.empty, cupy.asarray = FakeArray, empty, asarray
    cupy.ascontiguousarray = lambda a: a._like(np.ascontiguousarray(a._memory))
    cupy.cuda = types.SimpleNamespace(Device=FakeDevice, get_current_stream=lambda: stream)
    return cupy


def _fake_tensors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a class of torch tensors that say that they are on a GPU; torch.empty makes them."""
    import torch

    def refuse(*arguments: Any) -> Any:
        raise Refused("a look at values")

    class FakeTensor(torch.Tensor):
        device = property(lambda self: torch.device("cuda", 0))
        is_cuda = property(lambda self: True)
        is_cpu = property(lambda self: False)
        numpy = tolist = item = __array__ = __bool__ = __float__ = refuse

        def __dlpack_device__(self) -> tuple[int, int]:
            return CUDA, 0

        def cpu(self) -> Any:
            FakeArray.traffic.to_host += self.numel() * self.element_size()
            return self.as_subclass(torch.Tensor).clone()

        def to(self, *arguments: Any, device: Any = None, **options: Any) -> Any:
            if device is None:
                return super().to(*arguments, **options)
            assert device == "cpu"
            return self.cpu().to(*arguments, **options)

        def copy_(self, source: Any) -> Any:
            if not isinstance(source, FakeTensor):
                FakeArray.traffic.to_device += source.numel() * source.element_size()
            self.as_subclass(torch.Tensor).copy_(source.as_subclass(torch.Tensor))
            return self

    real = torch.empty

    def empty(*shape: Any, device: Any = None, **options: Any) -> Any:
        if device is None or torch.device(device).type != "cuda":
            return real(*shape, device=device, **options)
        made = real(*shape, **options)
        made.view(-1).view(torch.uint8)[:] = 0xA5
        return made.as_subclass(FakeTensor)

    monkeypatch.setattr(torch, "empty", empty)
    return FakeTensor


class Kernels:
    """The kernels for such arrays: the emulated ones where there are any, else the processor's."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(_EMULATED or native.cpu, name)

        def call(*arguments: Any) -> Any:
            assert not FakeStream.waits_for, "nobody waited for a copy"
            return self._wrapped(kernel(*(self._unwrapped(each) for each in arguments)))

        return call

    def _unwrapped(self, argument: Any) -> Any:
        import torch

        if isinstance(argument, np.ndarray):
            raise Refused("an array of the host among a GPU's")
        if isinstance(argument, FakeArray):
            return argument._memory
        if isinstance(argument, torch.Tensor):
            if not isinstance(argument, self._tensor):
                raise Refused("a tensor of the host among a GPU's")
            return argument.as_subclass(torch.Tensor)
        return argument

    def _wrapped(self, result: Any) -> Any:
        import torch

        if isinstance(result, tuple):
            return tuple(self._wrapped(each) for each in result)
        if isinstance(result, torch.Tensor):
            return result.as_subclass(self._tensor)
        return FakeArray(result) if isinstance(result, np.ndarray) else result


@dataclass
class Library:
    """Arrays of CuPy or torch on a GPU.

    Attributes:
        send: makes one of a NumPy array; not counted.
        look: returns what is in one, as float32 if NumPy does not have its type; not counted.
        dtypes: types that gradients may have.
        counts: whether it counts what crosses.
    """

    send: Callable[..., Any]
    look: Callable[[Any], np.ndarray]
    dtypes: tuple[str, ...]
    counts: bool = True

    @contextmanager
    def counting(self) -> Iterator[Traffic]:
        """Begin to count anew."""
        if not self.counts:
            pytest.skip("real arrays do not count")
        FakeArray.traffic = Traffic()
        yield FakeArray.traffic


def fake_library(name: str, monkeypatch: pytest.MonkeyPatch, kernels: bool = True) -> Library:
    """Return a library for the rest of a test, in a build with CUDA kernels or without."""
    pytest.importorskip("torch")
    import torch

    tensors = _fake_tensors(monkeypatch)
    if kernels:
        table = Kernels(tensors)
        monkeypatch.setattr(native, "cuda", lambda: table)
    monkeypatch.setattr(FakeArray, "traffic", Traffic())
    if name == "cupy":
        monkeypatch.setitem(sys.modules, "cupy", _fake_cupy())

        def send(values: np.ndarray, dtype: str = "float32") -> FakeArray:
            with np.errstate(over="ignore"):
                return FakeArray(values.astype(dtype))

        def look(array: FakeArray) -> np.ndarray:
            return array._memory.copy()

        return Library(send, look, ("float32", "float16", "float64"))

    def send_tensor(values: np.ndarray, dtype: str = "float32") -> Any:
        tensor = torch.from_numpy(values.copy()).to(getattr(torch, dtype))
        return tensor.as_subclass(tensors)

    def look_tensor(tensor: Any) -> np.ndarray:
        host = tensor.detach().as_subclass(torch.Tensor).clone()
        return (host.float() if host.dtype == torch.bfloat16 else host).numpy()

    return Library(send_tensor, look_tensor, ("float32", "float16", "bfloat16", "float64"))
