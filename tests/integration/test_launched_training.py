"""``bench training`` as a job: real runs of tiny models, and what must be noticed."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from gradwire.bench.training.methods import METHODS
from gradwire.testing.launch import is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

missing = [module for module in ("mpi4py", "torch") if find_spec(module) is None]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.skipif(not is_installed(mpirun(1)), reason="mpirun is not installed"),
]
HERE = Path(__file__).parent
EMULATE = HERE.parents[1] / "scripts" / "emulate_cluster.py"
CANNOT_EMULATE = 77
TIMEOUT = 200.0  # seconds, for a machine with little time to spare
BENCH = [sys.executable, "-m", "gradwire", "bench", "training"]
SMALL = ["--model", "mlp", "--parameters", "0.1", "--context", "2"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}


def bench(ranks: int, *words: str) -> CompletedProcess[str]:
    return run([*mpirun(ranks), *BENCH, *words], TIMEOUT, ONE_THREAD)


def tried(path: Path, *cases: str) -> CompletedProcess[str]:
    program = [sys.executable, str(HERE / "wrong_training.py"), str(path), *cases]
    return run([*mpirun(2), *program], TIMEOUT, ONE_THREAD)


@dataclass(frozen=True)
class Tried:
    """A job that has trained by methods that are wrong in one way each."""

    job: CompletedProcess[str]
    rows: dict[str, Any]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    path = tmp_path_factory.mktemp("wrong") / "f.json"
    job = tried(path, "Right", "Loses", "Forgets", "Differs", "Explodes")
    assert path.exists(), job.stdout
    return Tried(job, {row["method"]: row for row in json.loads(path.read_text())["rows"]})


def test_curves_of_all_methods(tmp_path: Path) -> None:
    model = ["--width", "32", "--layers", "1", "--context", "16"]
    words = ["--steps", "30", "--every", "10", "--warmup-steps", "4", "--ramp-steps", "5"]
    path, picture = tmp_path / "f.json", tmp_path / "f.svg"
    has_plot = find_spec("matplotlib") is not None
    plot = ["--plot", str(picture)] if has_plot else []
    job = bench(2, *model, *words, "--json", str(path), *plot)
    assert job.returncode == 0, job.stdout
    assert f"# OK: {len(METHODS)} lines, none wrong" in job.stdout
    assert job.stdout.count("# method") == job.stdout.count("# held-out loss") == 1  # rank 0 only
    if has_plot:
        assert all(method.name in picture.read_text() for method in METHODS)
    content = json.loads(path.read_text())
    assert (content["benchmark"], content["settings"]["settled"]) == ("training", 12)
    rows = {row["method"]: row for row in content["rows"]}
    assert list(rows) == [method.name for method in METHODS]
    for name, row in rows.items():
        _check_row(row)
        assert row["wrong"] == (None if name == "local" else 0)
        assert row["points"][-1]["loss"] < row["points"][0]["loss"] < math.log(128)
    _check_bytes(rows, content["settings"]["numel"])
    # Gradwire's float32 and MPI's are the same sum of two numbers.
    losses = [[point["loss"] for point in rows[n]["points"]] for n in ("dense/mpi", "dense/none")]
    assert losses[0] == losses[1]
    assert losses[0] != [point["loss"] for point in rows["oktopk/topk"]["points"]]


def _check_row(row: dict[str, Any]) -> None:
    assert not row["failure"]
    assert len(row["seconds"]) == len(row["compute_seconds"]) == 30 - 12
    assert len(row["median_seconds_of_ranks"]) == 2
    assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["max_seconds"]
    assert 0 < row["median_compute_seconds"] <= row["median_seconds"]
    points = row["points"]
    assert [point["step"] for point in points] == [10, 20, 30]
    seconds = [point["seconds"] for point in points]
    assert seconds == sorted(set(seconds))


def _check_bytes(rows: dict[str, Any], numel: int) -> None:
    # What moves is known: 2 n (P - 1) / P numbers, and messages' headers.
    assert rows["local"]["bytes_sent"] == 0
    assert rows["dense/mpi"]["bytes_sent"] == 4 * numel
    for name, size in (("dense/none", 4), ("dense/fp16", 2), ("dense/bf16", 2)):
        assert size * numel <= rows[name]["bytes_sent"] <= size * numel + 1000
    assert rows["split_gather/int8"]["bytes_sent"] < 1.2 * numel
    assert rows["oktopk/topk"]["bytes_sent"] < numel / 2
    # The first steps are dense.
    sparse = rows["oktopk/topk"]["points"]
    assert sparse[0]["bytes_sent"] > 4 * 4 * numel
    assert sparse[2]["bytes_sent"] - sparse[1]["bytes_sent"] < 10 * numel / 2


@pytest.mark.deep
def test_times_without_curves_on_one_rank(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    job = bench(1, *SMALL, "--steps", "6", "--methods", "oktopk/topk", "--json", str(path))
    assert job.returncode == 0, job.stdout
    assert "held-out loss" not in job.stdout
    rows = json.loads(path.read_text())["rows"]
    assert [row["method"] for row in rows] == ["local", "dense/mpi", "oktopk/topk"]
    assert all(len(row["seconds"]) == 3 and not row["points"] for row in rows)


def test_wrong_options_are_said_once() -> None:
    job = bench(2, *SMALL, "--density", "2")
    assert job.returncode == 2, job.stdout
    assert job.stdout.count("--density must be in (0, 1), got 2") == 1
    job = bench(2, *SMALL, "--json", "/nowhere/f.json")
    assert job.returncode == 2, job.stdout
    assert job.stdout.count("cannot write /nowhere/f.json") == 1


def test_right_reductions_pass(wrong: Tried) -> None:
    assert wrong.rows["dense/mpi"]["wrong"] == 0
    right = wrong.rows["Right"]
    assert (right["wrong"], right["failure"], len(right["points"])) == (0, "", 4)


@pytest.mark.parametrize(("case", "least"), [("Loses", 100), ("Forgets", 100), ("Differs", 3)])
def test_wrong_reductions_are_counted(wrong: Tried, case: str, least: int) -> None:
    assert wrong.rows[case]["wrong"] >= least
    assert not wrong.rows[case]["failure"]


def test_a_loss_that_is_not_finite_ends_its_method_only(wrong: Tried) -> None:
    row = wrong.rows["Explodes"]
    assert row["failure"] == "the training loss of step 8 is not finite"
    assert [point["step"] for point in row["points"]] == [2, 4, 6]
    assert row["median_seconds"] is not None


def test_the_verdict_names_what_is_wrong(wrong: Tried) -> None:
    assert wrong.job.returncode == 1
    assert "# given up: Explodes: the training loss of step 8 is not" in wrong.job.stdout
    verdict = [line for line in wrong.job.stdout.splitlines() if "FAILED" in line]
    assert verdict == ["# FAILED: wrong results of Loses, Forgets, Differs"]


@pytest.mark.deep
def test_a_rank_that_fails_ends_the_job(tmp_path: Path) -> None:
    job = tried(tmp_path / "f.json", "FailsOnce")
    assert job.returncode != 0
    assert "the disk is full" in job.stdout


@pytest.mark.deep
def test_bytes_of_emulated_links(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    words = [*SMALL, "--steps", "9", "--json", str(path)]
    cluster = [sys.executable, str(EMULATE), "--hosts", "2", "--rate", "1gbit", "--"]
    job = run([*cluster, *BENCH, *words], TIMEOUT, ONE_THREAD)
    if job.returncode == CANNOT_EMULATE:
        pytest.skip(job.stdout.strip())
    assert job.returncode == 0, job.stdout
    assert "2 ranks on 2 hosts" in job.stdout
    for row in json.loads(path.read_text())["rows"][1:]:
        assert row["bytes_sent"] < row["link_bytes"] < 1.2 * row["bytes_sent"] + 20_000
