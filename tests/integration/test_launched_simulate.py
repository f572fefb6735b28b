"""``simulate --check`` as a job: its table comes from rank 0 alone, and its mistakes from all."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gradwire.testing.launch import is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size
from gradwire.wire import HEADER_BYTES

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("mpi4py") is None or not is_installed(mpirun(1)), reason="MPI is not installed"
    ),
]
TIMEOUT = 150.0  # seconds, for a machine with little time to spare
CHECK = [sys.executable, "-m", "gradwire", "simulate", "--check"]


def test_check_over_mpi(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    options = ["--n", "20000", "--steps", "3", "--schedules", "oktopk", "dense"]
    job = run([*mpirun(3), *CHECK, *options, "--json", str(path)], TIMEOUT)
    assert job.returncode == 0, job.stdout
    assert job.stdout.count("3 ranks over mpi") == 1, job.stdout
    result = json.loads(path.read_text())
    assert result["settings"]["transport"] == "mpi"
    assert result["link"]["alpha"] > 0 or result["link"]["beta"] > 0
    split = result["schedules"]["dense"]["phases"]["split"]
    assert split["bytes_sent"] == pytest.approx(2 * HEADER_BYTES + 4 * 20000 * 2 / 3, abs=8)
    assert result["schedules"]["oktopk"]["phases"]["gather"]["measured"] > 0


def test_check_takes_two_ranks() -> None:
    job = run([*mpirun(1), *CHECK], TIMEOUT)
    assert job.returncode == 2, job.stdout
    assert "needs at least 2 ranks, got 1" in job.stdout
