"""Starting a few ranks on this machine from a test."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

# Set by a launcher, or by MPI in a process that was not launched; they would confuse a new one.
LAUNCHER_PREFIXES = ("OMPI_", "PMIX_", "PRTE_", "PMI_", "HOROVOD_", "MPI4PY_")
VERSION_SECONDS = 60.0  # for a launcher to say its version, on a busy machine


def mpirun(ranks: int, launcher: str = "mpirun") -> list[str]:
    """Return the start of a command that runs the rest on `ranks` ranks that may share cores.

    Open MPI has to be told that they may; MPICH takes it for granted.
    """
    sharing = ["--oversubscribe", "--bind-to", "none"] if is_open_mpi(launcher) else []
    return [launcher, *sharing, "-np", str(ranks)]


@functools.cache
def is_open_mpi(launcher: str = "mpirun") -> bool:
    """Say whether a launcher is Open MPI's; False if there is none."""
    if not is_installed([launcher]):
        return False
    return "Open MPI" in run([launcher, "--version"], VERSION_SECONDS).stdout


def horovodrun_gloo(ranks: int) -> list[str]:
    """Return the start of a command that runs the rest under Horovod without MPI."""
    return ["horovodrun", "--gloo", "-np", str(ranks)]


def is_installed(command: Sequence[str]) -> bool:
    """Say whether the first word of a command is a program on PATH or beside Python."""
    return shutil.which(command[0], path=_search_path()) is not None


def run(
    command: Sequence[str], timeout: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` as a job of its own and return its output, stderr within stdout.

    Args:
        command: a launcher and what it starts.
        timeout: seconds, after which the job is killed and subprocess.TimeoutExpired raised.
        environment: variables in addition to the present ones.
    """
    variables = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_PREFIXES)}
    variables["PATH"] = _search_path()
    if os.geteuid() == 0:
        variables |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    variables |= environment or {}
    with subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            os.killpg(process.pid, signal.SIGKILL)
            expired.output, _ = process.communicate()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def _search_path() -> str:
    return os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
