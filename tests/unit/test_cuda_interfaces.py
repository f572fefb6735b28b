"""How the CUDA kernels read arrays of others: by what their CUDA array interface or DLPack says.

On the emulator, whose memory of a GPU is the host's.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulated_cuda import emulated_cuda

from gradwire.errors import ConfigError

CUDA = emulated_cuda()
pytestmark = pytest.mark.skipif(CUDA is None, reason="needs the emulated CUDA kernels")

X = np.arange(-8, 4, dtype=np.float32)


class Device:
    """An array with an interface of which some entries are others."""

    def __init__(self, memory: np.ndarray, **entries: Any) -> None:
        self.memory, self._entries = memory, entries

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.memory.__array_interface__, **self._entries}


def test_an_interface_is_read() -> None:
    assert CUDA.absmax(Device(X)) == 8
    assert CUDA.absmax(Device(X, strides=[4], stream=1, mask=None)) == 8
    assert CUDA.absmax(Device(X[8:9], strides=(400,))) == 0


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"mask": Device(X)}, "must not be masked"),
        ({"strides": (8,)}, "contiguous"),
        ({"strides": ()}, "by its CUDA array interface: "),
        ({"data": None}, "by its CUDA array interface: "),
        ({"data": (1,)}, "by its CUDA array interface: "),
        ({"data": (None, False)}, "by its CUDA array interface: "),
        ({"shape": (-3,)}, "by its CUDA array interface: "),
        ({"shape": (2.5,)}, "by its CUDA array interface: "),
        ({"shape": 3}, "by its CUDA array interface: "),
        ({"stream": "main"}, "by its CUDA array interface: "),
        ({"typestr": None}, "must have dtype .* got None"),
        ({"shape": (3, 4)}, "must have one dimension"),
        ({"typestr": "<i8"}, "must have dtype .* got <i8"),
        ({"typestr": ">f4"}, "must have dtype .* got >f4"),
        ({"typestr": "|V2"}, r"must have dtype .* got \|V2"),
        ({"data": (1, False)}, "contiguous and aligned"),
    ],
)
def test_what_an_interface_must_not_say(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"absmax: x .*{message}"):
        CUDA.absmax(Device(X, **entries))


def test_an_interface_that_is_none() -> None:
    for interface in (None, 3, {}, {"shape": (3,)}):
        with pytest.raises(ConfigError, match="absmax: x cannot be read by its CUDA array"):
            CUDA.absmax(SimpleNamespace(__cuda_array_interface__=interface))


def test_two_bytes_are_bfloat16_only_if_their_dtype_says_so() -> None:
    bits = np.array([0x3F80, 0xC040], np.uint16)  # 1 and -3
    pairs = Device(bits.view([("low", "u1"), ("high", "u1")]))
    with pytest.raises(ConfigError, match="absmax: x must have dtype"):
        CUDA.absmax(pairs)
    for typestr in ("<V2", "|V2"):
        array: Any = Device(bits, typestr=typestr)
        array.dtype = SimpleNamespace(name="bfloat16")
        assert CUDA.absmax(array) == 3


def test_arrays_that_are_read_only_are_no_outputs() -> None:
    read_only = Device(X, data=(X.ctypes.data, True))
    with pytest.raises(ConfigError, match="out must be writable"):
        CUDA.scale(X, 2.0, read_only)


def test_arrays_of_one_call_are_in_one_stream() -> None:
    with pytest.raises(ConfigError, match="belongs to another CUDA stream"):
        CUDA.scale(Device(X), 2.0, Device(X.copy(), stream=2))


def test_what_is_no_fault_of_an_array_passes_through() -> None:
    for error in (KeyboardInterrupt("stop"), MemoryError("full")):
        with pytest.raises(type(error)):
            CUDA.absmax(Unreadable(error))


class Unreadable:
    """What offers DLPack and does not keep to it."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def __dlpack_device__(self) -> Any:
        if isinstance(self._device, BaseException):
            raise self._device
        return self._device

    def __dlpack__(self, *arguments: Any, **options: Any) -> Any:
        raise BufferError("not today")


@pytest.mark.parametrize("device", [None, (), "ab", (None, 0), RuntimeError("no device"), (2, 0)])
def test_what_offers_dlpack_and_cannot_be_read(device: Any) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ConfigError, match="absmax: x cannot be read by DLPack: "):
        CUDA.absmax(Unreadable(device))
