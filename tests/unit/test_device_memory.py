"""The stand-in that brings arrays of the host to kernels on a GPU: itself tested on the host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from device_memory import CudaArray, DeviceTable, HostMemory
from emulated_cuda import emulated_cuda

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import native

CUDA = emulated_cuda()


def table(operation: Any) -> Any:
    return DeviceTable(SimpleNamespace(run=operation, version="1"), HostMemory())


def test_arrays_come_back_changed_in_place() -> None:
    x, out = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    seen = []

    def double(x: Any, factor: float, out: Any) -> Any:
        seen.extend([x, out])
        np.multiply(x, factor, out=out)
        return out, x.size

    result = table(double).run(x, 2.0, out)
    assert out.tolist() == [0, 2, 4, 6, 8]
    assert result[0] is out
    assert result[1] == 5
    assert not any(np.shares_memory(each, mine) for each in seen for mine in (x, out))
    assert table(double).version == "1"


def test_parts_of_outputs_come_back_as_parts() -> None:
    x, out = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)

    def run(chunks: Any, out: Any) -> Any:
        np.copyto(out[:3], chunks[0][1:4])
        return out[:3]

    result = table(run).run([x], out)
    assert result.tolist() == [1, 2, 3]
    assert np.shares_memory(result, out)


def test_arrays_overlap_where_the_callers_do() -> None:
    memory = np.arange(100, dtype=np.uint32)
    flags = []

    def run(*arrays: Any) -> None:
        for each in arrays[1:]:
            flags.append(np.shares_memory(arrays[0], each))
        arrays[0][5] = 77

    table(run).run(memory[:50], memory[5:7], memory[50:], memory[:50].copy())
    assert flags == [True, False, False]
    assert memory[5] == 77


@pytest.mark.parametrize("first", [0, 1, 4, 6])
def test_arrays_lie_as_the_callers_do(first: int) -> None:
    bytes_ = np.zeros(64, np.uint8)
    arrays = [bytes_[first : first + 32].view(np.float32), np.zeros(9)[::-2], np.zeros((2, 3)).T]
    arrays[1].flags.writeable = False

    def run(*copies: Any) -> None:
        for each, copy in zip(arrays, copies, strict=True):
            assert copy.ctypes.data % 512 == each.ctypes.data % 512
            assert (copy.strides, copy.shape) == (each.strides, each.shape)
            assert copy.flags.aligned == each.flags.aligned
            assert copy.flags.writeable == each.flags.writeable

    table(run).run(*arrays)


def test_torch_tensors_stay_such() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(6, dtype=torch.bfloat16)[1:]

    def run(x: Any) -> Any:
        x.mul_(2)
        return x[:2]

    result = table(run).run(x)
    assert x.tolist() == [2, 4, 6, 8, 10]
    assert (result.dtype, result.data_ptr()) == (torch.bfloat16, x.data_ptr())


def test_empty_arrays_of_one_address_are_told_apart() -> None:
    torch = pytest.importorskip("torch")
    x, codes = torch.empty(0, dtype=torch.bfloat16), torch.empty(0, dtype=torch.uint8)
    assert x.data_ptr() == codes.data_ptr()
    assert table(lambda x, codes: codes).run(x, codes) is codes
    codes = torch.zeros(5, dtype=torch.uint8)
    none = table(lambda x, codes: codes[:0]).run(x, codes)
    assert (none.numel(), none.dtype) == (0, torch.uint8)


def test_other_memory_must_not_be_written_to() -> None:
    x = np.zeros(8, np.float32)

    def beyond(x: Any) -> None:
        np.lib.stride_tricks.as_strided(x, (9,))[8] = 1

    with pytest.raises(AssertionError, match="bytes around an array"):
        table(beyond).run(x)
    x.flags.writeable = False

    def despite(x: Any) -> None:
        np.copyto(x.base[x.ctypes.data - x.base.ctypes.data :][:4], 1)

    with pytest.raises(AssertionError, match="a read-only array"):
        table(despite).run(x)


def test_what_a_failing_operation_wrote_comes_back() -> None:
    x = np.zeros(8, np.float32)

    def run(x: Any) -> None:
        x[3] = 1
        raise ConfigError("no")

    with pytest.raises(ConfigError):
        table(run).run(x)
    assert x[3] == 1


def test_arrays_of_a_gpu_say_what_they_are() -> None:
    x = np.arange(6, dtype=np.float32)
    array = CudaArray(None, 4096, x)
    assert array.__cuda_array_interface__ == {
        "data": (4096, False), "shape": (6,), "strides": None, "typestr": "<f4", "version": 3,
    }  # fmt: skip
    assert array[:2].__cuda_array_interface__["shape"] == (2,)
    assert CudaArray(None, 0, x[::2]).__cuda_array_interface__["strides"] == (8,)


@pytest.mark.skipif(CUDA is None, reason="needs the emulated CUDA kernels")
def test_kernels_run_on_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    x, out = np.arange(2000, dtype=np.float32), np.zeros(2001, np.float32)[1:]
    monkeypatch.setattr(native, "cpu", DeviceTable(CUDA, HostMemory()))
    assert kernels.add(x, x, out) is out
    assert np.array_equal(out, 2 * x)
    with pytest.raises(ConfigError, match="must have dtype float32"):
        kernels.add(x.astype(np.int32), x)
