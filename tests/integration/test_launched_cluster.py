"""scripts/emulate_cluster.py: real jobs on emulated hosts, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

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
SCRIPT = Path(__file__).parents[2] / "scripts" / "emulate_cluster.py"
CANNOT_EMULATE = 77
TIMEOUT = 150.0

SUM = """
import socket, sys, time
import numpy as np
from mpi4py import MPI

comm = MPI.COMM_WORLD
x = np.full(250_000, comm.rank + 1, np.float32)
total = np.empty_like(x)
comm.Barrier()
begin = time.perf_counter()
comm.Allreduce(x, total)
seconds = comm.allreduce(time.perf_counter() - begin, MPI.MAX)
for rank in range(comm.size):
    comm.Barrier()
    if rank == comm.rank:
        print("rank", rank, socket.gethostname(), int(total[0]), seconds, flush=True)
"""
NOTHING = [sys.executable, "-c", "pass"]
SLEEP = "import time; from mpi4py import MPI; print('here', flush=True); time.sleep(600)"


def namespaces() -> list[str]:
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name.startswith("gradwire")]


def emulate(*words: str) -> subprocess.CompletedProcess[str]:
    job = run([sys.executable, str(SCRIPT), *words], TIMEOUT)
    if job.returncode == CANNOT_EMULATE:
        pytest.skip(job.stdout.strip())
    return job


@pytest.mark.parametrize(("hosts", "ranks"), [(2, 2), (3, 3), (2, 4)])
def test_ranks_on_hosts_of_their_own(tmp_path: Path, hosts: int, ranks: int) -> None:
    program, counted = tmp_path / "sum.py", tmp_path / "links.json"
    program.write_text(SUM)
    size = ["--hosts", str(hosts), "--ranks", str(ranks), "--rate", "100mbit"]
    job = emulate(*size, "--json", str(counted), "--", sys.executable, str(program))
    assert job.returncode == 0, job.stdout
    lines = [line.split()[1:] for line in job.stdout.splitlines() if line.startswith("rank")]
    assert len(lines) == ranks, job.stdout
    assert {host for _, host, _, _ in lines} == {f"host{number}" for number in range(hosts)}
    assert {int(total) for _, _, total, _ in lines} == {ranks * (ranks + 1) // 2}
    # A million bytes and more leave each host at 12.5 MB/s; the first 128 KB may go at once.
    assert float(lines[0][3]) > (1e6 - 131_072) / 12.5e6
    content = json.loads(counted.read_text())
    assert (content["hosts"], content["rate"]) == (hosts, "100mbit")
    for link in content["links"]:
        assert 1e6 < link["sent"] < 1e7
        assert 1e6 < link["received"] < 1e7
    assert namespaces() == []


def test_exit_code_of_the_program_and_nothing_left() -> None:
    job = emulate("--hosts", "2", "--", sys.executable, "-c", "import sys; sys.exit(7)")
    assert job.returncode == 7, job.stdout
    assert namespaces() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hosts", "2"], "write it behind --"),
        (["--hosts", "0", "--", "true"], "--hosts must be in"),
        (["--hosts", "3", "--ranks", "2", "--", "true"], "--ranks must be at least --hosts"),
    ],
)
def test_wrong_arguments(words: list[str], message: str) -> None:
    job = run([sys.executable, str(SCRIPT), *words], TIMEOUT)
    assert job.returncode == 2
    assert message in job.stdout


def test_wrong_rates_are_refused_and_nothing_left() -> None:
    emulate("--hosts", "2", "--", *NOTHING)  # skips where hosts cannot be emulated
    job = run([sys.executable, str(SCRIPT), "--rate", "fast", "--", "true"], TIMEOUT)
    assert job.returncode == 2
    assert "fast" in job.stdout
    job = run([sys.executable, str(SCRIPT), "--rate", "0mbit", "--", "true"], TIMEOUT)
    assert job.returncode == CANNOT_EMULATE
    assert "0mbit" in job.stdout
    assert namespaces() == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_runs_leave_nothing(ending: signal.Signals) -> None:
    emulate("--hosts", "2", "--", *NOTHING)
    command = [sys.executable, str(SCRIPT), "--hosts", "2", "--", sys.executable, "-c", SLEEP]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_"))}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert "here" in process.stdout.readline()
        process.send_signal(ending)
        process.wait(TIMEOUT)
        if ending == signal.SIGKILL:  # nobody could clean up: the next run does
            assert namespaces()
            for name in namespaces():
                for job in _processes(name):
                    os.kill(job, signal.SIGKILL)
            emulate("--hosts", "2", "--", *NOTHING)
        deadline = time.monotonic() + 30
        while namespaces() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert namespaces() == []


def _processes(namespace: str) -> list[int]:
    done = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True
    )
    return [int(number) for number in done.stdout.split()]
