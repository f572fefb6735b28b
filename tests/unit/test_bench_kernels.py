"""``bench kernels``: real runs on short vectors, and what must be noticed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradwire import kernels
from gradwire.__main__ import main
from gradwire.bench import allocator
from gradwire.bench.inputs import Inputs
from gradwire.bench.report import read_report
from gradwire.bench.row import Row
from gradwire.bench.rows import ROWS
from gradwire.bench.runner import Plan, Runner
from gradwire.kernels import Selected, native

SHORT = ["bench", "kernels", "--n", "20000", "--repetitions", "2"]


def run_short(*arguments: str) -> int:
    return main([*SHORT, *arguments])


def test_all_rows_and_peers_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "all.json"
    assert run_short("--json", str(path)) == 0
    output, errors = capsys.readouterr()
    found = read_report(path)
    own = [each for each in found.measurements if each.peer is None]
    assert [each.row for each in own] == [row.name for row in ROWS]
    assert all(each.wrong == 0 for each in own)
    assert not any(each.wrong for each in found.measurements)
    assert {each.isa for each in own} == {native.current_isa()}
    assert all(len(each.seconds) == len(each.copy_seconds) == 2 for each in found.measurements)
    assert all(0 < each.floor < 4 for each in found.measurements)
    if "torch" in sys.modules:
        assert found.notes == []
        named = [(row.name, each.name) for row in ROWS for each in row.peers]
        assert [(each.row, each.peer) for each in found.measurements if each.peer] == named
    assert output.splitlines()[-1] == f"# OK: {len(ROWS)} rows, none wrong"
    assert [line.split()[1] for line in errors.splitlines()] == [row.name for row in ROWS]


def test_json_tells_where_it_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_short("--rows", "finite_check", "--no-peers", "--json", str(tmp_path / "f")) == 0
    content = json.loads((tmp_path / "f").read_text())
    environment = content["environment"]
    assert environment["machine"]["processor"]
    assert environment["machine"]["cores"] >= 1
    assert environment["native"]["compiler"]
    assert environment["native"]["isas"] == list(native.isas())
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["date"].endswith("+00:00")
    assert environment["peak_memory_bytes"] > 2**20
    assert {"MALLOC_MMAP_MAX_", "OMP_NUM_THREADS"} <= set(environment["variables"])
    assert {"commit"} <= set(environment)
    assert content["settings"]["k"] == 200


@pytest.mark.parametrize("density", [0.00001, 0.3, 1.0])
def test_other_densities(density: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT[:2], "--n", "3001", "--repetitions", "1", "--density", str(density)]) == 0


def test_one_element(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT[:2], "--n", "1", "--repetitions", "1"]) == 0


def test_a_row_for_each_isa(capsys: pytest.CaptureFixture[str]) -> None:
    before = native.current_isa()
    assert run_short("--rows", "select", "--no-peers", "--isa", *native.isas()) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line[0] != "#"]
    assert [line.split()[:2] for line in lines] == [["select", isa] for isa in native.isas()]
    assert native.current_isa() == before


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run_short("--rows", "topk", "kth*") == 0
    output = capsys.readouterr().out
    assert "# torch is not installed: its peers are left out" in output
    assert "np.argpartition" in output
    assert "torch.topk" not in output


def test_rows_of_bfloat16_need_torch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run_short("--rows", "topk*") == 0
    output = capsys.readouterr().out
    assert "# torch is not installed: topk/bfloat16 is left out" in output
    assert output.splitlines()[-1] == "# OK: 1 row, none wrong"


def test_a_failing_peer_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise MemoryError("no room\nat all")

    monkeypatch.setattr(np, "argpartition", refuse)
    assert run_short("--rows", "topk") == 0
    assert "# topk: np.argpartition(|x|) failed: no room" in capsys.readouterr().out


def wrong_value(right: Any) -> Any:
    def topk(*arguments: Any) -> Selected:
        found: Selected = right(*arguments)
        found.values[7] *= np.float32(1.5)
        return found

    return topk


def one_short(right: Any) -> Any:
    def topk(*arguments: Any) -> Selected:
        found: Selected = right(*arguments)
        return found._replace(indices=found.indices[:-1], values=found.values[:-1])

    return topk


def right_at_first(right: Any) -> Any:
    """A kernel that trips over what its previous calls left in a buffer."""
    calls = []

    def topk(*arguments: Any) -> Selected:
        calls.append(None)
        return wrong_value(right)(*arguments) if len(calls) > 2 else right(*arguments)

    return topk


@pytest.mark.parametrize(
    ("fault", "wrong"), [(wrong_value, 1), (one_short, 2), (right_at_first, 1)]
)
def test_wrong_kernels_are_counted(
    fault: Any,
    wrong: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kernels, "topk", fault(kernels.topk))
    assert run_short("--rows", "topk", "select", "--no-peers") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line[0] != "#"] == ["0", str(wrong)]
    assert lines[-1] == "# FAILED: wrong results in topk"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_notices_kernels_that_do_nothing(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {*kernels.__all__} - TYPES_AND_SIZES:
        monkeypatch.setattr(kernels, name, lambda *_, **__: Selected(NONE, NONE, 0, 0.0))
    runner = Runner(Plan([row], [native.current_isa()], repetitions=1, peers=False), INPUTS)
    ((measured,),) = runner.run(lambda _: None)
    assert measured.wrong


TYPES_AND_SIZES = {"Quantized", "RandomStream", "Selected", "max_encoded_size"}
NONE = np.empty(0, np.uint32)
INPUTS = Inputs(5000, 0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "cuda", "--isa", "generic"], ["--isa and --threads are the CPU's"]),
        (["--device", "cuda", "--threads", "1"], ["--isa and --threads are the CPU's"]),
        (["--rows", "nothing*"], ["no row matches 'nothing*'", "compensate_topk"]),
        (["--rows", "queued/*"], ["queued/* needs --device cuda"]),
        (["--isa", "sve"], ["--isa sve", "generic"]),
        (["--n", "0"], ["--n must be in"]),
        (["--density", "1.5"], ["--density must be in (0, 1], got 1.5"]),
        (["--repetitions", "0"], ["--repetitions must be at least 1"]),
        (["--threads", "0"], ["--threads must be in [1, 64], got 0"]),
        (["--threads", "65"], ["--threads must be in [1, 64], got 65"]),
        (["--n", "4294967295"], ["--n 4294967295 needs at least", "GiB", "smaller"]),
        (["--json", "/nowhere/at/all.json"], ["cannot write /nowhere/at/all.json"]),
        (["--json", "/"], ["cannot write /"]),
    ],
)
def test_what_cannot_run_is_refused(
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gradwire.bench.environment.memory_bytes", lambda: 2**36)
    assert main(["bench", "kernels", *arguments]) == 2
    errors = capsys.readouterr().err
    assert all(word in errors for word in words)


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "--list"]) == 0
    output = capsys.readouterr().out
    for row in ROWS:
        assert row.name in output
        assert all(each.name in output for each in row.peers)


def test_list_of_chosen_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "--list", "--rows", "merge*"]) == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "}
    assert names == {"merge/4", "merge/8"}


def test_restart_with_a_warm_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(allocator, "_is_glibc", lambda: True)
    monkeypatch.setattr(allocator.os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "gradwire", "bench", "kernels"])
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    allocator.restart_with_warm_allocator()
    ((program, command, environment),) = started
    assert program == command[0] == sys.executable
    assert command[1:] == ["-m", "gradwire", "bench", "kernels"]
    assert environment["MALLOC_MMAP_MAX_"] == "0"
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "-1"
    for name, value in allocator.WARM.items():
        monkeypatch.setenv(name, value)
    allocator.restart_with_warm_allocator()  # the process that was started
    assert len(started) == 1
    assert allocator.is_warm()
