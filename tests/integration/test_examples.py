"""The examples and the convergence study, run as their pages say, for a few steps."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from gradwire.testing.launch import is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

NEEDED = ("horovod", "mpi4py", "torch", "sklearn")
missing = [module for module in NEEDED if find_spec(module) is None]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.skipif(not is_installed(mpirun(1)), reason="mpirun is not installed"),
]
ROOT = Path(__file__).parents[2]
SHARED_CORES = {"OMP_NUM_THREADS": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}
TIMEOUT = 240.0  # seconds, for a machine with little time to spare
SHORT_WARMUP = ["--warmup-steps", "5", "--ramp-steps", "5"]
PARAMETERS = {"pytorch_digits.py": 994_570, "pytorch_char_lm.py": 636_160}


def launch(script: Path, arguments: list[str], ranks: int = 2) -> CompletedProcess[str]:
    program = [sys.executable, str(script), *arguments]
    launcher = mpirun(ranks) if ranks > 1 else []
    return run([*launcher, *program], TIMEOUT, SHARED_CORES)


def summary_of(
    folder: Path, example: str, compressor: str, steps: int, ranks: int = 2
) -> dict[str, Any]:
    path = folder / f"{compressor}.json"
    arguments = ["--compressor", compressor, "--steps", str(steps), "--summary", str(path)]
    job = launch(ROOT / "examples" / example, [*arguments, *SHORT_WARMUP], ranks)
    assert job.returncode == 0, job.stdout
    summary: dict[str, Any] = json.loads(path.read_text())
    assert (summary["compressor"], summary["ranks"]) == (compressor, ranks)
    assert (summary["steps"], summary["parameters"]) == (steps, PARAMETERS[example])
    assert summary["dense_bytes_per_step"] == 8 * PARAMETERS[example] * (ranks - 1) / ranks
    return summary


@pytest.mark.parametrize("compressor", ["none", "randomk", "oktopk"])
def test_digits_are_learnt(tmp_path: Path, compressor: str) -> None:
    summary = summary_of(tmp_path, "pytorch_digits.py", compressor, steps=40)
    floor = 0.3 if compressor == "randomk" else 0.7  # guessing gives 0.1
    assert summary["accuracy"] > floor
    dense, sent = summary["dense_bytes_per_step"], summary["wire_bytes_per_step_after_warmup"]
    assert sent == dense if compressor == "none" else 0 < sent < dense / 20


def test_characters_are_learnt(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, "pytorch_char_lm.py", "oktopk", steps=20)
    assert summary["loss"] < 4.0  # guessing gives ln 128 = 4.85


def test_one_rank_sends_nothing(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, "pytorch_digits.py", "oktopk", steps=15, ranks=1)
    assert summary["wire_bytes_per_step"] == 0


def test_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    summaries = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        summary = summary_of(tmp_path / name, "pytorch_digits.py", "oktopk", steps=15)
        summaries.append({key: summary[key] for key in summary if key != "step_seconds"})
    assert summaries[0] == summaries[1]


def test_study_compares_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    script = ROOT / "scripts" / "study_convergence.py"
    warmup = ["--warmup-steps", "1", "--ramp-steps", "1"]
    arguments = ["digits", "--folds", "2", "--steps", "3", "--json", str(path), *warmup]

    assert launch(script, [*arguments, "--seeds", "1"]).returncode == 0
    first = json.loads(path.read_text())
    assert first["result"]["accuracy_difference_points"]["low"] is None  # of one seed

    job = launch(script, [*arguments, "--seeds", "2"])
    assert job.returncode == 0, job.stdout
    study = json.loads(path.read_text())
    assert study["runs"][:4] == first["runs"]  # kept, not trained again
    key = [(run["seed"], run["fold"], run["compressor"]) for run in study["runs"]]
    assert key == [(s, f, c) for s in (0, 1) for f in (0, 1) for c in ("none", "oktopk")]

    difference = study["result"]["accuracy_difference_points"]
    correct = {True: [0, 0], False: [0, 0]}
    for one in study["runs"]:
        correct[one["compressor"] == "none"][one["seed"]] += one["accuracy"] * one["held_out"]
    points = [100 * (correct[False][s] - correct[True][s]) / 1797 for s in (0, 1)]
    half = 12.706205 * abs(points[0] - points[1]) / 2  # Student's t, 1 degree of freedom, 97.5 %
    assert difference["mean"] == pytest.approx(sum(points) / 2)
    assert difference["high"] - difference["mean"] == pytest.approx(half)

    job = launch(script, [*arguments, "--seeds", "2"], ranks=1)
    assert job.returncode != 0
    assert "other settings" in job.stdout, job.stdout
