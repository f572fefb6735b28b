"""``bench allreduce`` as a job: real runs on short vectors, and what must be noticed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from gradwire.bench.collectives.methods import METHODS
from gradwire.bench.collectives.places import MCA_PREFIX, TUNED
from gradwire.testing.launch import is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("mpi4py") is None or not is_installed(mpirun(1)), reason="MPI is not installed"
    ),
]
HERE = Path(__file__).parent
EMULATE = HERE.parents[1] / "scripts" / "emulate_cluster.py"
CANNOT_EMULATE = 77
TIMEOUT = 200.0  # seconds, for a machine with little time to spare
BENCH = [sys.executable, "-m", "gradwire", "bench", "allreduce"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}


def bench(ranks: int, *words: str, **environment: str) -> CompletedProcess[str]:
    variables = {**ONE_THREAD, **environment}
    return run([*mpirun(ranks), *BENCH, "--repetitions", "2", *words], TIMEOUT, variables)


def table(output: str) -> list[list[str]]:
    """Return the words of the lines between the table's header and the next line with #."""
    lines = output.splitlines()
    (begin,) = [at for at, line in enumerate(lines) if line.startswith("# method")]
    rows = []
    for line in lines[begin + 1 :]:
        if line.startswith("#"):
            break
        rows.append(line.split())
    return rows


def test_all_methods_are_right(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    job = bench(2, "--n", "20000", "--density", "0.01", "0.1", "--json", str(path))
    assert job.returncode == 0, job.stdout
    torch = find_spec("torch") is not None
    expected = [
        [method.name, density]
        for method in METHODS
        if torch or "torch" not in method.needs
        for density in (["0.01", "0.1"] if method.sparse else ["-"])
    ]
    assert [row[:2] for row in table(job.stdout)] == expected, job.stdout
    assert all(row[-1] == "0" for row in table(job.stdout)), job.stdout
    assert job.stdout.count("# method") == 1  # rank 0 only
    assert f"# OK: {len(expected)} lines, none wrong" in job.stdout
    content = json.loads(path.read_text())
    _check_content(content)
    rows = {(row["method"], row["density"]): row for row in content["rows"]}
    # What moves is known: 2 n (P - 1) / P numbers, and messages' headers.
    for name, size in (("dense/none", 4), ("dense/fp16", 2), ("dense/bf16", 2)):
        assert size * 20_000 <= rows[name, None]["bytes_sent"] <= size * 20_000 + 1000
    for density, k in ((0.01, 200), (0.1, 2000)):
        found = rows["oktopk/topk", density]
        assert found["entries"] == k
        assert found["bytes_sent"] == pytest.approx(sum(found["phase_bytes"].values()))
        assert 4 * k < found["bytes_sent"] < 8 * k + 9000


def _check_content(content: dict[str, Any]) -> None:
    assert content["settings"]["numel"] == 20_000
    mpi = content["environment"]["mpi"]
    assert mpi["ranks"] == len(mpi["places"]) == 2
    assert mpi["one_clock"]
    assert [len(each) for each in content["copy_seconds"]] == [2, 2]
    for row in content["rows"]:
        assert len(row["seconds"]) == 2
        assert [len(each) for each in row["own_seconds"]] == [2, 2]
        slowest = map(max, *row["own_seconds"])
        assert all(s >= o > 0 for s, o in zip(row["seconds"], slowest, strict=True))


@pytest.mark.deep
def test_phases_and_one_rank() -> None:
    job = bench(1, "--n", "1000", "--methods", "oktopk/*", "--phases", "--no-peers")
    assert job.returncode == 0, job.stdout
    assert "phase" in job.stdout
    for name in ("local", "split", "gather", "commit", "total"):
        assert f" {name} " in job.stdout


@pytest.mark.deep
def test_tuned_launches_are_told_from_others() -> None:
    tuned = {MCA_PREFIX + name: value for name, value in TUNED.items()}
    job = bench(2, "--n", "10", "--methods", "dense/mpi", **tuned)
    assert job.returncode == 0, job.stdout
    if "Open MPI" in job.stdout:
        assert "# dense/mpi: ring" in job.stdout
        assert "NOT TUNED" in bench(2, "--n", "10", "--methods", "dense/mpi").stdout


def test_wrong_options_are_said_once() -> None:
    job = bench(2, "--n", "0")
    assert job.returncode == 2, job.stdout
    assert job.stdout.count("--n must be in [1, 2**32), got 0") == 1
    job = bench(2, "--n", "10", "--json", "/nowhere/f.json")
    assert job.returncode == 2, job.stdout
    assert job.stdout.count("cannot write /nowhere/f.json") == 1


def tried(case: str, path: Path) -> CompletedProcess[str]:
    program = [sys.executable, str(HERE / "wrong_reductions.py"), case, str(path)]
    return run([*mpirun(2), *program], TIMEOUT, ONE_THREAD)


@pytest.mark.parametrize(
    ("case", "count"), [("Right", 0), ("Loses", 1), ("Differs", 3), ("Forgets", 1)]
)
def test_wrong_reductions_are_counted(tmp_path: Path, case: str, count: int) -> None:
    job = tried(case, tmp_path / "f.json")
    rows = json.loads((tmp_path / "f.json").read_text())["rows"]
    assert rows[0]["wrong"] == 0
    assert (rows[1]["wrong"] >= count) if count else (rows[1]["wrong"] == 0)
    assert job.returncode == (1 if count else 0), job.stdout
    assert ("FAILED: wrong results of tried" in job.stdout) == bool(count)


def test_a_method_must_start_the_clock(tmp_path: Path) -> None:
    job = tried("NeverStarts", tmp_path / "f.json")
    assert job.returncode != 0
    assert "tried never started the clock" in job.stdout


def test_a_rank_that_fails_ends_the_job(tmp_path: Path) -> None:
    job = tried("FailsOnce", tmp_path / "f.json")
    assert job.returncode != 0
    assert "the disk is full" in job.stdout


def test_a_peer_that_cannot_run_is_left_out(tmp_path: Path) -> None:
    job = tried("CannotBegin", tmp_path / "f.json")
    assert job.returncode == 0, job.stdout
    assert "# tried failed: no such network" in job.stdout
    assert [row[0] for row in table(job.stdout)] == ["dense/mpi"]


@pytest.mark.deep
def test_bytes_of_emulated_links(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    words = ["--n", "250000", "--repetitions", "2", "--json", str(path)]
    cluster = [sys.executable, str(EMULATE), "--hosts", "2", "--rate", "1gbit", "--"]
    job = run([*cluster, *BENCH, *words], TIMEOUT, ONE_THREAD)
    if job.returncode == CANNOT_EMULATE:
        pytest.skip(job.stdout.strip())
    assert job.returncode == 0, job.stdout
    assert "2 ranks on 2 hosts" in job.stdout
    content = json.loads(path.read_text())
    if find_spec("torch") is not None:
        assert len(content["rows"]) == len(METHODS), job.stdout
    for row in content["rows"]:
        if row["bytes_sent"]:
            assert row["bytes_sent"] < row["link_bytes"] < 1.2 * row["bytes_sent"] + 20_000
    assert 1e6 < content["rows"][0]["link_bytes"] < 1.2e6
