"""``bench kernels --device cuda``: all of it but the GPU, on the emulated kernels."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulated_cuda import emulated_cuda

from gradwire import _cpu, kernels
from gradwire.__main__ import main
from gradwire.bench import command
from gradwire.bench.inputs import Inputs
from gradwire.bench.place import CudaByCupy, CudaByTorch, Host, TorchPlace, cuda_place
from gradwire.bench.report import read_report
from gradwire.bench.row import Case, Row
from gradwire.bench.rows import CUDA_ROWS
from gradwire.bench.rows.queued import QUEUED
from gradwire.bench.runner import Plan, Runner
from gradwire.bench.timing import measure
from gradwire.errors import MissingDependencyError
from gradwire.kernels import native, queued

CUDA = emulated_cuda()
SHORT = ["bench", "kernels", "--device", "cuda", "--n", "5000", "--repetitions", "2"]
OPERATIONS = [name for name in dir(_cpu.generic) if not name.startswith("_")]
GPU = {
    "name": "NVIDIA Test", "major": 9, "minor": 0, "processors": 2,
    "memory_bytes": 2**30, "cache_bytes": 4096,
}  # fmt: skip

needs_emulator = pytest.mark.skipif(CUDA is None, reason="needs the emulated CUDA kernels")


class Module:
    """The emulated kernels, with a GPU for those who ask."""

    __name__ = "cuda"

    def __getattr__(self, name: str) -> Any:
        return getattr(CUDA, name)

    def devices(self) -> list[Any]:
        return [GPU]


class Event:
    """CUDA's events, for time that passes when it is told to."""

    now = 0.0  # milliseconds

    def __init__(self, **_: Any) -> None:
        self.at = -1.0

    def record(self) -> None:
        self.at = Event.now = Event.now + 1.0

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Event) -> float:
        return end.at - self.at


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Module()
    monkeypatch.setattr(native, "cpu", module)
    monkeypatch.setattr(native, "cuda", lambda: module)


def fake_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = SimpleNamespace(
        __version__="0", ndarray=np.ndarray, empty=np.empty, asarray=np.copy, asnumpy=np.copy,
        copyto=np.copyto,
        cuda=SimpleNamespace(Event=Event, get_elapsed_time=lambda a, b: a.elapsed_time(b)),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "torch", None)


@needs_emulator
def test_there_is_every_operation() -> None:
    assert [name for name in OPERATIONS if not hasattr(CUDA, name)] == []


@needs_emulator
@pytest.mark.usefixtures("emulated")
def test_all_rows_and_peers_run_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(command, "cuda_place", lambda _: TorchPlace("cpu"))
    path = tmp_path / "cuda.json"
    assert main([*SHORT, "--json", str(path)]) == 0
    report = read_report(path)
    measured = [(each.row, each.peer) for each in report.measurements]
    torch_peers = [
        (row, each) for row in CUDA_ROWS for each in row.peers if each.library == "torch"
    ]
    assert [each for each in measured if each[1] is None] == [(row.name, None) for row in CUDA_ROWS]
    assert {each for each in measured if each[1]} == {(row.name, p.name) for row, p in torch_peers}
    assert not any(each.wrong for each in report.measurements)
    assert {each.isa for each in report.measurements if each.peer is None} == {"cuda"}
    assert report.notes == []
    assert report.environment["device"]["name"] == "NVIDIA Test"
    assert report.settings["device"] == "cuda"
    assert report.settings["allocator"].startswith("torch")
    assert capsys.readouterr().out.splitlines()[0].endswith("NVIDIA Test")
    assert main(["bench", "compare", str(path), str(path)]) == 0


@needs_emulator
@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("row", QUEUED, ids=lambda row: row.name)
def test_rows_notice_kernels_that_are_queued_and_do_nothing(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    name = row.name.split("/")[1]
    monkeypatch.setattr(queued, name, lambda *_: None)
    inputs = Inputs(5000, 0.01, place=TorchPlace("cpu"))
    runner = Runner(Plan([row], ["cuda"], repetitions=1, peers=False), inputs)
    ((measured,),) = runner.run(lambda _: None)
    assert measured.wrong


def test_rows_that_only_a_gpu_has_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "--list", "--device", "cuda"]) == 0
    listed = capsys.readouterr().out
    assert "queued/topk " in listed
    assert "against torch." in listed
    assert "against np." not in listed
    assert main(["bench", "kernels", "--list"]) == 0
    assert "queued" not in capsys.readouterr().out


@needs_emulator
@pytest.mark.usefixtures("emulated")
def test_cupy_is_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cupy(monkeypatch)
    assert main([*SHORT, "--rows", "add", "absmax", "histogram", "scale_add"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line[0] != "#"] == [
        [row, "cuda"] for row in ("absmax", "histogram", "add", "scale_add")
    ]
    assert "CuPy 0 allocator" in lines[1]
    assert "# torch is not installed: its peers are left out" in lines


@needs_emulator
@pytest.mark.usefixtures("emulated")
def test_a_failing_kernel_costs_its_row_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("CUDA: an illegal memory access\nwas encountered")

    fake_cupy(monkeypatch)
    monkeypatch.setattr(kernels, "absmax", fail)
    assert main([*SHORT, "--rows", "add", "absmax"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "# absmax FAILED: RuntimeError: CUDA: an illegal memory access" in lines
    assert lines[-1] == "# FAILED: no results of absmax"
    assert any(line.startswith("add") for line in lines)
    assert main([*SHORT, "--rows", "absmax"]) == 1


@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_events_take_the_time(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "torch":
        pytest.importorskip("torch")
        place: Host = CudaByTorch.__new__(CudaByTorch)
        place._torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event))  # type: ignore[attr-defined]
        place._other = SimpleNamespace(zero_=lambda: steps.append("flush"))  # type: ignore[attr-defined]
    else:
        fake_cupy(monkeypatch)
        place = CudaByCupy(64)
        place._other = SimpleNamespace(fill=lambda _: steps.append("flush"))  # type: ignore[attr-defined]
    steps: list[str] = []

    def call() -> str:
        steps.append("call")
        Event.now += 4.0
        return "result"

    def copy() -> None:
        steps.append("copy")
        Event.now += 1.0

    case = Case(call, None, lambda: steps.append("reset"))
    samples, result = measure(case, copy, 2, place)
    assert steps == ["reset", "flush", "copy", "flush", "call"] * 2
    assert samples.seconds == pytest.approx([5e-3, 5e-3])
    assert samples.copy_seconds == pytest.approx([2e-3, 2e-3])
    assert result == "result"


def test_single_entries_count_as_sectors() -> None:
    pytest.importorskip("torch")
    indices = np.array([0, 7, 8, 9, 40], np.uint32)
    assert Inputs(64, 0.1).line_bytes(indices) == 2 * 64
    assert Inputs(64, 0.1, place=TorchPlace("cpu")).line_bytes(indices) == 3 * 32


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise MissingDependencyError("not in this build")

    monkeypatch.setattr(native, "cuda", refuse)
    with pytest.raises(MissingDependencyError, match="bench: not in this build"):
        cuda_place("bench")
    monkeypatch.setattr(native, "cuda", lambda: SimpleNamespace(devices=lambda: []))
    with pytest.raises(MissingDependencyError, match="bench: no CUDA device was found"):
        cuda_place("bench")
    monkeypatch.setattr(native, "cuda", lambda: SimpleNamespace(devices=lambda: [GPU]))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingDependencyError, match="torch with CUDA or from CuPy"):
        cuda_place("bench")
    fake_cupy(monkeypatch)
    assert isinstance(cuda_place("bench"), CudaByCupy)
