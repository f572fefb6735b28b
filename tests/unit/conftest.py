"""Fixtures of the unit tests."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from device_memory import CudaMemory, DeviceTable, HostMemory
from emulated_cuda import EMULATED, emulated_cuda

from gradwire.kernels import native

# With "1" the tests of kernels run on a GPU, too; with "emulated" they do as if, on the emulator.
ON_DEVICE_VARIABLE = "GRADWIRE_TEST_CUDA"
ON_DEVICE = "cuda"
ABOUT_HOST_ARRAYS = "test_kernels_arguments"
ABOUT_HOST_THREADS = "test_threads"


def on_device() -> Any:
    """Return the CUDA kernels for tests with arrays of the host, or None if nobody asks for them.

    Raises:
        RuntimeError: somebody asks for them, and there are none.
    """
    asked = os.environ.get(ON_DEVICE_VARIABLE)
    if asked not in ("1", "emulated"):
        return None
    if asked == "emulated":
        return DeviceTable(CUDA, HostMemory())
    try:
        import torch

        torch.zeros(1, device="cuda")
        return DeviceTable(native.cuda(), CudaMemory())
    except (ImportError, RuntimeError, AssertionError) as error:
        raise RuntimeError(f"{ON_DEVICE_VARIABLE}=1: {error}") from error


# An error while this file is read would come with pytest's own lines around it.
CUDA = GPU = TROUBLE = None
try:
    CUDA = emulated_cuda()
    GPU = on_device()
except (FileNotFoundError, RuntimeError) as trouble:
    TROUBLE = trouble
TABLES = {name: table for name, table in {EMULATED: CUDA, ON_DEVICE: GPU}.items() if table}


def pytest_configure() -> None:
    """End a run that was asked for kernels that are not there."""
    if TROUBLE is not None:
        raise pytest.UsageError(str(TROUBLE))


class Watched:
    """The emulated kernels, of which no call may wait, take bytes of the host's or take memory."""

    __name__ = "cuda"

    def __getattr__(self, name: str) -> Any:
        operation = getattr(CUDA, name)

        def call(*arguments: Any) -> Any:
            before = CUDA.host_dealings()
            try:
                return operation(*arguments)
            finally:
                assert CUDA.host_dealings() == before, name

        return call


@pytest.fixture(params=[*TABLES] or ["nothing"])
def each_queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test of queued kernels with arrays of the host: emulated and watched, or on a GPU."""
    if request.param == "nothing":
        pytest.skip("needs the emulated CUDA kernels")
    table = Watched() if request.param == EMULATED else TABLES[request.param]
    monkeypatch.setattr(native, "cuda", lambda: table)
    return str(request.param)


@pytest.fixture(scope="module", params=[*native.isas(), *TABLES])
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests once with each instruction set that this processor has.

    And with the CUDA kernels: emulated, the same functions for arrays on the host; on a GPU, on
    copies of those.
    """
    module = request.module.__name__
    if module == ABOUT_HOST_THREADS and request.param in TABLES:
        pytest.skip("about threads of the host")
    if module == ABOUT_HOST_ARRAYS and request.param == ON_DEVICE:
        pytest.skip("about arrays of the host")
    before = native.cpu
    if request.param in TABLES:
        native.cpu = TABLES[request.param]
    else:
        native.use_isa(request.param)
    yield request.param
    native.cpu = before
