"""Jobs that come to an end: all is well, or one rank's trouble ends all of them with a reason."""

import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gradwire.testing.launch import horovodrun_gloo, is_installed, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),  # the tests have deadlines of their own
    pytest.mark.skipif(find_spec("horovod") is None, reason="Horovod is not installed"),
]
PROGRAMS = Path(__file__).parent / "horovod_programs.py"
TIMEOUT = 280.0  # seconds, for a machine with little time to spare; a hang would last for ever
LAUNCHERS = [
    pytest.param(
        mpirun,
        marks=pytest.mark.skipif(
            find_spec("mpi4py") is None or not is_installed(mpirun(1)), reason="no MPI"
        ),
        id="mpi",
    ),
    pytest.param(horovodrun_gloo, id="gloo"),
]
launchers = pytest.mark.parametrize("launcher", LAUNCHERS)
# Starting a job takes ten seconds: what hardly depends on the transport is tried over Gloo, which
# takes longer still, in the deep tier only.
DEEP_GLOO = pytest.param(horovodrun_gloo, id="gloo", marks=pytest.mark.deep)
mostly_mpi = pytest.mark.parametrize("launcher", [LAUNCHERS[0], DEEP_GLOO])


def _run(launcher: object, program: str, *options: str, ranks: int = 2) -> CompletedProcess[str]:
    command = [*launcher(ranks), sys.executable, str(PROGRAMS), program, *options]  # type: ignore[operator]
    # gradwire's own deadline must not be what ends a job here.
    return run(command, TIMEOUT, {"GRADWIRE_DEADLINE": "100000"})


def _ends_well(job: CompletedProcess[str], line: str, times: int) -> None:
    assert job.returncode == 0, job.stdout
    assert job.stdout.count(line) == times, job.stdout
    for word in ("Traceback", "abort", "Exception ignored", "leak", "Warning"):
        assert word not in job.stdout, job.stdout


@mostly_mpi
@pytest.mark.parametrize("program", ["ends", "shuts_down", "joins_without_compression"])
def test_a_job_ends_cleanly(launcher: object, program: str) -> None:
    _ends_well(_run(launcher, program), " done\n", 2)


@pytest.mark.parametrize("launcher", LAUNCHERS[:1])
@pytest.mark.parametrize("program", ["ends", "shuts_down"])
def test_a_job_in_which_horovod_starts_mpi_ends_cleanly(launcher: object, program: str) -> None:
    """Then Horovod ends MPI too, before Python's objects are gone."""
    _ends_well(_run(launcher, program, "--horovod-first"), " done\n", 2)


@launchers
def test_reset_and_start_again(launcher: object) -> None:
    _ends_well(_run(launcher, "resets"), " done\n", 2)


@mostly_mpi
@pytest.mark.parametrize(
    ("program", "ranks", "words"),
    [
        ("raises", 2, "RuntimeError: the data of rank 1 are broken"),
        ("raises_before_step", 2, "RuntimeError: the loss of rank 1 is not finite"),
        ("raises_in_step", 3, "ConfigError: the residual of 'weight' has 7 elements"),
    ],
)
def test_an_exception_of_one_rank_ends_the_job(
    launcher: object, program: str, ranks: int, words: str
) -> None:
    job = _run(launcher, program, ranks=ranks)
    assert job.returncode != 0, job.stdout
    assert words in job.stdout, job.stdout


@launchers
def test_join_is_refused_with_the_reason(launcher: object) -> None:
    job = _run(launcher, "joins", ranks=3)
    assert job.returncode != 0, job.stdout
    assert "2 of 3 ranks take part in this step" in job.stdout, job.stdout
    assert "hvd.join() cannot be used with it" in job.stdout, job.stdout


@mostly_mpi
def test_other_settings_on_one_rank_end_the_job(launcher: object) -> None:
    job = _run(launcher, "disagrees")
    assert job.returncode != 0, job.stdout
    assert "AgreementError: ranks disagree about what they exchange" in job.stdout, job.stdout
    assert '"density": 0.2' in job.stdout, job.stdout
