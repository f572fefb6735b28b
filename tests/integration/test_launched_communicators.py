"""Jobs started for their communicators: Horovod under both launchers, stuck and failing ranks."""

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gradwire.testing.launch import horovodrun_gloo, is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
TIMEOUT = 150.0  # seconds, for a machine with little time to spare

Launcher = Callable[[int], list[str]]
horovod = pytest.mark.skipif(find_spec("horovod") is None, reason="Horovod is not installed")
mpi = pytest.mark.skipif(
    find_spec("mpi4py") is None or not is_installed(mpirun(1)), reason="MPI is not installed"
)
TRANSPORTS = [
    pytest.param("mpi", mpirun, marks=mpi, id="mpi"),
    pytest.param("horovod", mpirun, marks=(mpi, horovod), id="horovod-mpi"),
    pytest.param("horovod", horovodrun_gloo, marks=horovod, id="horovod-gloo"),
]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize(
    "launcher", [pytest.param(p.values[1], marks=p.marks, id=p.id) for p in TRANSPORTS[1:]]
)
def test_horovod_communicator(launcher: Launcher, ranks: int) -> None:
    suite = HERE / "test_communicators_horovod.py"
    options = ["-q", "-m", "integration", "-p", "no:cacheprovider", str(suite)]
    job = run([*launcher(ranks), sys.executable, "-m", "pytest", *options], TIMEOUT)
    assert job.returncode == 0, job.stdout
    assert " passed" in job.stdout, job.stdout


@pytest.mark.parametrize(("transport", "launcher"), TRANSPORTS)
def test_stuck_peer_ends_in_a_deadline_error(transport: str, launcher: Launcher) -> None:
    job = _run_failing(transport, launcher, "stuck")
    assert "rank 0 caught allgatherv: rank 0 of 2" in job.stdout, job.stdout
    assert "for 1 s" in job.stdout or "waited 1 s" in job.stdout, job.stdout
    if transport == "mpi":
        assert "ranks [1] to send" in job.stdout, job.stdout


@pytest.mark.parametrize(("transport", "launcher"), TRANSPORTS)
def test_uncaught_deadline_error_ends_the_job(transport: str, launcher: Launcher) -> None:
    job = _run_failing(transport, launcher, "stuck_uncaught")
    assert "DeadlineError: allgatherv: rank 0 of 2" in job.stdout, job.stdout


@pytest.mark.parametrize(("transport", "launcher"), TRANSPORTS)
def test_failing_rank_takes_the_job_down_with_its_words(transport: str, launcher: Launcher) -> None:
    job = _run_failing(transport, launcher, "fails")
    assert "OSError: the disk is full" in job.stdout, job.stdout
    if transport == "mpi":  # elsewhere the launcher may be faster than the peer's traceback
        # The words may reach a rank that has not left the barrier yet.
        words = r"PeerError: (allgatherv|barrier): rank 1 gave up: OSError: the disk is full"
        assert re.search(words, job.stdout), job.stdout


@mpi
@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("stuck_in_group", "DeadlineError: allgatherv: rank 0 of 2 made no progress for 1 s"),
        ("without_group", "DeadlineError: subgroup: rank 0 of 2 made no progress for 1 s"),
    ],
)
def test_ranks_that_groups_wait_for(scenario: str, words: str) -> None:
    job = _run_failing("mpi", mpirun, scenario)
    assert words in job.stdout, job.stdout


@mpi
def test_rank_that_makes_no_communicator_ends_in_a_deadline_error() -> None:
    job = _run_failing("mpi", mpirun, "absent")
    assert "DeadlineError: MpiCommunicator: rank 0 of 2 waited 1 s" in job.stdout, job.stdout


def _run_failing(transport: str, launcher: Launcher, scenario: str) -> CompletedProcess[str]:
    program = [sys.executable, str(HERE / "failing_ranks.py"), transport, scenario]
    job = run([*launcher(2), *program], TIMEOUT)
    assert job.returncode != 0, job.stdout
    return job
