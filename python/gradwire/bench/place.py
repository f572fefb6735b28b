"""Where vectors lie, calls run and time is taken: on the host, or on a GPU.

A place knows nothing of rows; rows know nothing of places but `put` and `room` of their inputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.bench.allocator import is_warm
from gradwire.errors import MissingDependencyError
from gradwire.kernels import native
from gradwire.kernels.arrays import aligned

Array = Any  # NumPy's on the host, else torch's or CuPy's

CUDA = "cuda"
_TO_FLUSH = 2  # caches: reading one cache's worth of other data may leave some of the old


class Host:
    """This machine's memory and its clock.

    Attributes:
        name: "cpu" or "cuda".
        line: bytes that are read and written together where single entries change.
        mark: takes the time, for `seconds`.
    """

    name = "cpu"
    line = 64
    mark: Callable[[], Any] = staticmethod(perf_counter_ns)

    def seconds(self, begin: Any, end: Any) -> float:
        """Return the time between two marks, once everything before the second is done."""
        return float(end - begin) * 1e-9

    def flush(self) -> None:
        """Empty the caches of a GPU; on the host the copy before each call does that."""

    def allocator(self) -> str:
        """Return who hands out memory, for the report."""
        return "warm" if is_warm() else "default"

    def put(self, x: NDArray[Any]) -> Array:
        """Return a vector that nobody changes where the calls run: itself if it is there."""
        return x

    def room(self, size: int, dtype: str = "float32") -> Array:
        """Return an uninitialised vector."""
        return aligned(size, dtype)

    def assign(self, target: Array, source: Array) -> None:
        """Copy all elements."""
        np.copyto(target, source)

    def fetch(self, result: Any) -> Any:
        """Return what a call returned with all arrays on the host, torch's as tensors."""
        return result

    def tensor(self, x: NDArray[Any]) -> Any:
        """Return a vector for torch, which shares memory with x on the host.

        Raises:
            ImportError: torch is not there.
        """
        return importlib.import_module("torch").from_numpy(x)

    def factories(self) -> AbstractContextManager[Any]:
        """Return a context in which torch makes new tensors where they belong."""
        return nullcontext()

    def generator(self) -> Any:
        """Return a new random number generator of torch."""
        return importlib.import_module("torch").Generator()


HOST = Host()


class TorchPlace(Host):
    """torch's device; of any type, so that all but its clock and caches can be tried on a CPU."""

    name = CUDA
    line = 32  # a sector

    def __init__(self, device: str) -> None:
        self._torch = importlib.import_module("torch")
        self.device = device

    def allocator(self) -> str:
        """Return torch, which keeps what is freed."""
        return f"torch {self._torch.__version__}"

    def put(self, x: NDArray[Any]) -> Array:
        """Return a copy there."""
        writable = np.require(x, requirements="W")  # torch warns of others
        return self._torch.from_numpy(writable).to(self.device, copy=True)

    def room(self, size: int, dtype: str = "float32") -> Array:
        """Return an uninitialised vector there."""
        return self._torch.empty(size, dtype=getattr(self._torch, dtype), device=self.device)

    def assign(self, target: Array, source: Array) -> None:
        """Copy all elements on the device."""
        target.copy_(source)

    def fetch(self, result: Any) -> Any:
        """Return copies on the host."""
        if isinstance(result, (tuple, list)):
            return tuple(self.fetch(each) for each in result)
        return result.cpu() if isinstance(result, self._torch.Tensor) else result

    def tensor(self, x: NDArray[Any]) -> Any:
        """Return a copy there."""
        return self.put(x)

    def factories(self) -> AbstractContextManager[Any]:
        """Return torch's context of a default device."""
        return self._torch.device(self.device)  # type: ignore[no-any-return]

    def generator(self) -> Any:
        """Return a generator of the device."""
        return self._torch.Generator(device=self.device)


class CudaByTorch(TorchPlace):
    """torch's current CUDA device and stream, timed by events between which nothing else runs."""

    def __init__(self, cache_bytes: int) -> None:
        super().__init__("cuda")
        self._other = self.room(_TO_FLUSH * cache_bytes, "uint8")

    def mark(self) -> Any:
        """Record an event."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, begin: Any, end: Any) -> float:
        """Wait for the events, and return the time between them."""
        end.synchronize()
        return float(begin.elapsed_time(end)) * 1e-3

    def flush(self) -> None:
        """Overwrite the L2 cache. That keeps the GPU busy while the host launches what follows."""
        self._other.zero_()


class CudaByCupy(Host):
    """CuPy's current CUDA device and stream; without torch there are no peers of torch's either."""

    name = CUDA
    line = 32

    def __init__(self, cache_bytes: int) -> None:
        self._cupy = importlib.import_module("cupy")
        self._other = self.room(_TO_FLUSH * cache_bytes, "uint8")

    def allocator(self) -> str:
        """Return CuPy, which keeps what is freed."""
        return f"CuPy {self._cupy.__version__}"

    def put(self, x: NDArray[Any]) -> Array:
        """Return a copy there."""
        return self._cupy.asarray(x)

    def room(self, size: int, dtype: str = "float32") -> Array:
        """Return an uninitialised vector there."""
        return self._cupy.empty(size, dtype)

    def assign(self, target: Array, source: Array) -> None:
        """Copy all elements on the device."""
        self._cupy.copyto(target, source)

    def fetch(self, result: Any) -> Any:
        """Return copies on the host, as NumPy's."""
        if isinstance(result, (tuple, list)):
            return tuple(self.fetch(each) for each in result)
        return self._cupy.asnumpy(result) if isinstance(result, self._cupy.ndarray) else result

    def tensor(self, x: NDArray[Any]) -> Any:
        """Refuse: torch, if it is here, has no CUDA."""
        raise ImportError("torch with CUDA")

    def mark(self) -> Any:
        """Record an event."""
        event = self._cupy.cuda.Event()
        event.record()
        return event

    def seconds(self, begin: Any, end: Any) -> float:
        """Wait for the events, and return the time between them."""
        end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(begin, end)) * 1e-3

    def flush(self) -> None:
        """Overwrite the L2 cache."""
        self._other.fill(0)


def cuda_place(who: str) -> Host:
    """Return the place of CUDA arrays, torch's if it can make them, else CuPy's.

    Raises:
        MissingDependencyError: there are no CUDA kernels, no device or no such library.
    """
    try:
        devices = native.cuda().devices()
    except MissingDependencyError as error:
        raise MissingDependencyError(f"{who}: {error}") from error
    if not devices:
        raise MissingDependencyError(
            f"{who}: no CUDA device was found; 'python -m gradwire info' says why"
        )
    cache_bytes = int(devices[0]["cache_bytes"])
    try:
        if importlib.import_module("torch").cuda.is_available():
            return CudaByTorch(cache_bytes)
    except ImportError:
        pass
    try:
        return CudaByCupy(cache_bytes)
    except ImportError as error:
        raise MissingDependencyError(
            f"{who}: CUDA arrays come from torch with CUDA or from CuPy, and neither is installed"
        ) from error
