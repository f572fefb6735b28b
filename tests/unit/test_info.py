"""``python -m gradwire info``: what it says of CUDA with and without kernels and devices."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulated_cuda import emulated_cuda

from gradwire import kernels
from gradwire.__main__ import main
from gradwire.errors import MissingDependencyError
from gradwire.info import cuda
from gradwire.kernels import native

H200 = {
    "name": "NVIDIA H200", "major": 9, "minor": 0, "processors": 132,
    "memory_bytes": 139 * 2**30, "cache_bytes": 50 * 2**20,
}  # fmt: skip


def use_module(monkeypatch: pytest.MonkeyPatch, driver: int, *devices: Any) -> None:
    module = SimpleNamespace(
        compiler="nvcc 13.0.88",
        architectures="80 90 120+PTX",
        devices=lambda: list(devices),
        driver_version=lambda: driver,
        runtime_version=lambda: 13000,
    )
    monkeypatch.setattr(native, "cuda", lambda: module)


def cuda_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "CUDA kernels" in line)
    return line


@pytest.mark.parametrize(
    ("driver", "words"),
    [(0, "no device: there is no NVIDIA driver"),
     (12040, "the driver knows CUDA 12.4, and these need 13.0"),
     (13010, "CUDA_VISIBLE_DEVICES")],
)  # fmt: skip
def test_kernels_without_a_device_are_no_error(
    driver: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_module(monkeypatch, driver)
    assert main(["info"]) == 0
    line = cuda_line(capsys)
    assert line.startswith("  [X]")
    assert "nvcc 13.0.88, for 80 90 120+PTX; no device" in line
    assert words in line


def refuse(cause: ImportError) -> Any:
    def load() -> Any:
        raise MissingDependencyError("CUDA arrays need gradwire's CUDA kernels") from cause

    return load


@pytest.mark.parametrize(
    ("cause", "words"),
    [(ImportError("cannot import name '_cuda' from 'gradwire'"),
      "not in this build: build gradwire where nvcc is found, with GRADWIRE_WITH_CUDA=1"),
     (ModuleNotFoundError("no _cuda", name="gradwire._cuda"), "GRADWIRE_WITH_CUDA=1"),
     (ModuleNotFoundError("No module named 'x'", name="x"), "not to be loaded here (No module"),
     (ImportError("a.so: no such file", name="gradwire._cuda"), "here (a.so: no such file)")],
)  # fmt: skip
def test_builds_without_kernels_say_what_to_do(
    cause: ImportError,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(native, "cuda", refuse(cause))
    assert main(["info"]) == 0
    line = cuda_line(capsys)
    assert line.startswith("  [ ]")
    assert words in line
    assert "build gradwire" in line


@pytest.mark.parametrize("agrees", [True, False])
def test_a_device_is_tried(
    agrees: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_module(monkeypatch, 13000, H200)
    monkeypatch.setattr(cuda, "_library", lambda: (np.copy, np.copy))
    if not agrees:
        monkeypatch.setattr(kernels, "dequantize", lambda *_: np.zeros(100_000, np.float32))
    assert main(["info", "--json"]) == 1 - agrees
    info = json.loads(capsys.readouterr().out)
    assert info["devices"] == [H200]
    assert "NVIDIA H200 (9.0, 139 GiB)" in info["parts"]["CUDA kernels"]["details"]
    assert info["device_round_trip"]["ok"] is agrees
    assert ("DIFFERENT" in info["device_round_trip"]["details"]) is not agrees
    assert main(["info"]) == 1 - agrees
    assert capsys.readouterr().out.splitlines()[-1] == ("OK" if agrees else "FAILED")


def test_a_failing_device_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> Any:
        raise RuntimeError("CUDA error: no kernel image\nand more")

    use_module(monkeypatch, 13000, H200)
    monkeypatch.setattr(cuda, "_library", lambda: (fail, np.copy))
    assert main(["info"]) == 1
    assert "on the GPU:  RuntimeError: CUDA error: no kernel image\n" in capsys.readouterr().out


def test_a_device_without_arrays_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise ImportError("cupy")

    use_module(monkeypatch, 13000, H200)
    monkeypatch.setattr(cuda, "_library", none)
    trip = cuda.device_round_trip()
    assert trip is not None
    assert trip["ok"]
    assert "not tried" in trip["details"]


EMULATED = emulated_cuda()


@pytest.mark.skipif(EMULATED is None, reason="needs the emulated CUDA kernels")
def test_the_module_tells_what_it_is() -> None:
    assert EMULATED.devices() == []
    assert (EMULATED.compiler, EMULATED.architectures) == ("emulated", "")
    assert (EMULATED.driver_version(), EMULATED.runtime_version()) == (0, 0)
