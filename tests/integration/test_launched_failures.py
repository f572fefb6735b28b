"""Processes that are killed, stopped, interrupted or send bad messages: every rank of the job ends.

Each with a gradwire error that says what happened, with its residual as it was, in time; or, where
all ranks refuse alike, goes on with the right results. `failing_exchanges.py` is what the jobs run;
`tests/unit/test_failing_exchanges.py` has more cases on simulated ranks.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from failing_exchanges import (
    DIFFERENCES,
    EXCHANGE_DIFFERENCES,
    FUNCTION_DIFFERENCES,
    STEPS,
    Case,
    Witness,
    exchanged,
)

from gradwire.communicators import Simulation
from gradwire.testing.faults import HEADED_PHASES, LAST_PHASES, PHASES_OF, TAMPERINGS
from gradwire.testing.launch import is_installed, is_open_mpi, mpirun, run
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] > 1:
    pytest.skip("starts jobs, so it is not part of one", allow_module_level=True)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("mpi4py") is None or not is_installed(mpirun(1)), reason="MPI is not installed"
    ),
]
PROGRAM = Path(__file__).parent / "failing_exchanges.py"
TIMEOUT = 200.0  # seconds
PATIENT = 60.0  # seconds, the deadline where nobody should have to wait for it
DEADLINE = 2.0  # seconds, where somebody will
MARGIN = 30.0  # seconds that a busy machine may need in addition

PHASES = PHASES_OF["oktopk"]
# Of 2,401 values three ranks own 800, 800 and 801; all others get messages that are alike.
SWAPPED, LARGER_SLICE = "of another rank", 2


@dataclass(frozen=True)
class Job:
    """What became of a job: its end, and what each rank that could report saw of each case."""

    process: CompletedProcess[str]
    cases: dict[Case, dict[int, Witness]]


def start(
    folder: Path, ranks: int, cases: Sequence[Case], end: str, deadline: float, *options: str
) -> Job:
    """Run the cases on that many ranks."""
    launcher = [*mpirun(ranks), *options]
    words = [sys.executable, str(PROGRAM), str(folder), end, *map(str, cases)]
    process = run([*launcher, *words], TIMEOUT, {"GRADWIRE_DEADLINE": str(deadline)})
    reports = {
        case: {
            rank: Witness(**json.loads(path.read_text(encoding="utf-8")))
            for rank in range(ranks)
            if (path := folder / f"{number}.{rank}.json").exists()
        }
        for number, case in enumerate(cases)
    }
    return Job(process, reports)


@cache
def undisturbed(schedule: str, ranks: int) -> list[Witness]:
    """Return what ranks see of a case in which nothing happens."""
    nothing = Case(schedule, "nothing", "agree", -1)
    return Simulation(ranks).run(lambda c: exchanged(c, nothing, lambda: None))


def check_results(case: Case, seen: dict[int, Witness], ranks: int, allowed: set[int]) -> None:
    """Whatever succeeded gave the right bits, and what failed changed nothing."""
    for rank, own in seen.items():
        expected = undisturbed(case.schedule, ranks)[rank]
        done = len(own.outs)
        assert own.kept, (case, own)
        assert done in allowed, (case, own)
        assert own.outs == expected.outs[:done], (case, own)
        assert own.residuals == expected.residuals[: done + 1], (case, own)


def committed(case: Case) -> set[int]:
    """Return how many exchanges can have succeeded on a rank when the fault has ended the case.

    In its last phase an exchange can succeed on some ranks only, and a rank that fails in the first
    phase of the next one may overtake the others' last messages.
    """
    fewer, more = case.phase == "agree", case.phase in LAST_PHASES
    return {case.step - fewer, case.step, case.step + more}


def tampered(schedule: str, ranks: int) -> list[Case]:
    """Return the bad messages that a schedule can send; a reduction of MPI's has none."""
    cases = []
    for phase in PHASES_OF[schedule]:
        for number, fault in enumerate(TAMPERINGS):
            culprit = (number + ranks) % ranks
            no_indices = schedule == "dense" and fault == "flipped in the indices"
            if phase not in HEADED_PHASES or no_indices:
                continue
            if phase in ("merge", "broadcast"):  # in a tree not all of them send anything
                culprit = ranks - 1 if phase == "merge" else 0
            if fault == SWAPPED:
                if phase != "split":
                    continue  # all get the same, or only one gets any
                culprit = LARGER_SLICE - 1
            cases.append(Case(schedule, fault, phase, culprit))
    return cases


def unwilling(schedule: str, ranks: int) -> list[Case]:
    """Return ranks that raise or are interrupted in every phase."""
    return [
        Case(schedule, fault, phase, (number + len(fault)) % ranks)
        for number, phase in enumerate(PHASES_OF[schedule])
        for fault in ("raises", "interrupted")
    ]


def differing(schedule: str, ranks: int) -> list[Case]:
    """Return ranks that call with something else than the others."""
    differences = FUNCTION_DIFFERENCES if schedule == "oktopk" else EXCHANGE_DIFFERENCES
    return [
        Case(schedule, fault, "agree", number % ranks) for number, fault in enumerate(differences)
    ]


def check_bad_message(case: Case, seen: dict[int, Witness]) -> None:
    """Those who got it refuse it, and the others know from them."""
    assert seen[case.culprit].hit, case
    assert any(own.error == "WireError" for own in seen.values()), (case, seen)
    senders = {case.culprit}
    if case.phase == "broadcast" and len(seen) > 4:
        senders.add(4)  # whom rank 0 sends to first, and who passes it on before reading it
    for own in seen.values():
        assert own.error in ("WireError", "PeerError"), (case, own)
        named = any(f"rank {sender}" in own.text for sender in senders)
        assert named or case.fault == "flipped in the indices", (case, own)


def check_unwilling(case: Case, seen: dict[int, Witness]) -> None:
    """Its peers have its words."""
    kind = "MemoryError" if case.fault == "raises" else "KeyboardInterrupt"
    for rank, own in seen.items():
        assert own.error == (kind if rank == case.culprit else "PeerError"), (case, own)
        assert rank == case.culprit or f"rank {case.culprit} gave up: {kind}" in own.text


def check_difference(case: Case, seen: dict[int, Witness]) -> None:
    """All refuse, and nobody is worse off for it."""
    for rank, own in seen.items():
        alone = case.fault.startswith("wrong") and rank == case.culprit
        assert own.refused == ["ConfigError" if alone else "AgreementError"], (case, own)
        assert alone or f"rank {case.culprit}" in own.text or case.culprit == 0, (case, own)
        assert not own.error, (case, own)


@pytest.mark.parametrize(
    ("schedule", "ranks"),
    [
        ("oktopk", 3),
        ("oktopk", 4),
        ("allgather", 3),
        ("dense", 3),
        ("gtopk", 3),
        pytest.param("topkdsa", 3, marks=pytest.mark.deep),
        pytest.param("gtopk", 7, marks=pytest.mark.deep),
        pytest.param("allgather", 4, marks=pytest.mark.deep),
        pytest.param("oktopk", 2, marks=pytest.mark.deep),
        pytest.param("oktopk", 7, marks=pytest.mark.deep),
    ],
)
def test_faults_that_leave_processes_alive(schedule: str, ranks: int, tmp_path: Path) -> None:
    """Bad messages, exceptions, interrupts and differences, one after the other in one job.

    Nobody has to wait for the deadline, and a new communicator works after every failure.
    """
    bad = tampered(schedule, ranks) if ranks > 2 else []
    cases = [*bad, *unwilling(schedule, ranks), *differing(schedule, ranks)]
    job = start(tmp_path, ranks, cases, "go on", PATIENT)
    assert job.process.returncode == 0, job.process.stdout
    for case, seen in job.cases.items():
        assert len(seen) == ranks, case
        assert all(own.error != "DeadlineError" for own in seen.values()), (case, seen)
        if case.fault in DIFFERENCES:
            check_difference(case, seen)
            check_results(case, seen, ranks, {STEPS})
            continue
        check_results(case, seen, ranks, committed(case))
        (check_bad_message if case.fault in TAMPERINGS else check_unwilling)(case, seen)


# In the tree of gtopk rank 1 waits for rank 0, which waits for rank 2.
IN_TREE = Case("gtopk", "stopped", "merge", 2)
SLOW = [Case("oktopk", "stopped", phase, rank % 3) for rank, phase in enumerate(PHASES)]
SLOW += [Case("dense", "stopped", "split", 0), Case("allgather", "stopped", "gather", 1)]
SLOW += [Case("topkdsa", "stopped", "partition", 0), Case("topkdsa", "stopped", "gather", 1)]
SLOW += [Case("gtopk", "stopped", "broadcast", 0)]


@pytest.mark.parametrize(
    "case",
    [
        SLOW[0],
        SLOW[4],
        IN_TREE,
        *(pytest.param(case, marks=pytest.mark.deep) for case in [*SLOW[1:4], *SLOW[5:]]),
    ],
    ids=str,
)
def test_rank_that_stops_for_longer_than_the_deadline(case: Case, tmp_path: Path) -> None:
    """The others name it in time; when it goes on it learns that they have given up."""
    job = start(tmp_path, 3, [case], "raise", DEADLINE)
    assert job.process.returncode != 0, job.process.stdout
    seen = job.cases[case]
    assert set(seen) >= {0, 1, 2} - {case.culprit}
    check_results(case, seen, 3, committed(case))
    for rank, own in seen.items():
        assert own.error in ("DeadlineError", "PeerError"), own
        assert f"made no progress for {DEADLINE:g} s" in own.text, own
        assert f"waiting for ranks [{case.culprit}]" in own.text, own
        assert rank == case.culprit or own.seconds < DEADLINE + MARGIN, own
    assert any(own.error == "DeadlineError" for own in seen.values()), seen


def test_rank_that_is_late_and_in_time(tmp_path: Path) -> None:
    """A stop that is shorter than the deadline changes nothing."""
    cases = [Case("oktopk", "late", phase, rank % 3) for rank, phase in enumerate(PHASES)]
    job = start(tmp_path, 3, cases, "go on", PATIENT)
    assert job.process.returncode == 0, job.process.stdout
    for case, seen in job.cases.items():
        assert seen[case.culprit].hit, case
        assert not any(own.error for own in seen.values()), (case, seen)
        check_results(case, seen, 3, {STEPS})


def test_rank_that_does_not_call(tmp_path: Path) -> None:
    """Whether it makes one call fewer or its peers one more: they name it."""
    case = Case("oktopk", "one call fewer", "agree", 1)
    job = start(tmp_path, 4, [case], "go on", DEADLINE)
    assert job.process.returncode == 0, job.process.stdout
    seen = job.cases[case]
    check_results(case, seen, 4, {case.step})
    for rank in (0, 2, 3):
        assert seen[rank].error in ("DeadlineError", "PeerError"), seen
        assert "waiting for ranks [1]" in seen[rank].text, seen


@pytest.mark.parametrize("end", ["raise", pytest.param("exit", marks=pytest.mark.deep)])
def test_job_ends_although_a_rank_is_stuck(end: str, tmp_path: Path) -> None:
    """Whether the error is raised to the end or caught: nobody waits in MPI_Finalize for ever."""
    case = Case("oktopk", "stopped for good", "gather", 1)
    job = start(tmp_path, 3, [case], end, DEADLINE)
    assert job.process.returncode != 0, job.process.stdout
    seen = {rank: own for rank, own in job.cases[case].items() if rank != case.culprit}
    assert set(seen) == {0, 2}
    assert all("waiting for ranks [1] to send" in own.text for own in seen.values()), seen
    assert all(own.seconds < DEADLINE + MARGIN for own in seen.values())


@pytest.mark.parametrize("fault", ["raises", pytest.param("interrupted", marks=pytest.mark.deep)])
def test_uncaught_error_ends_the_job(fault: str, tmp_path: Path) -> None:
    case = Case("oktopk", fault, "split", 2)
    job = start(tmp_path, 3, [case], "raise", PATIENT)
    assert job.process.returncode != 0, job.process.stdout
    assert set(job.cases[case]) == {0, 1, 2}
    check_unwilling(case, job.cases[case])


@pytest.mark.parametrize(
    ("schedule", "phase", "ranks"),
    [
        ("oktopk", "agree", 3),
        ("oktopk", "gather", 4),
        *(pytest.param("oktopk", phase, 3, marks=pytest.mark.deep) for phase in PHASES[1:]),
        pytest.param("topkdsa", "gather", 3, marks=pytest.mark.deep),
        pytest.param("gtopk", "merge", 3, marks=pytest.mark.deep),
        pytest.param("gtopk", "broadcast", 4, marks=pytest.mark.deep),
    ],
)
def test_rank_that_is_killed(schedule: str, phase: str, ranks: int, tmp_path: Path) -> None:
    """The launcher ends the others, who cannot have gone further."""
    case = Case(schedule, "killed", phase, 1)
    job = start(tmp_path, ranks, [case], "raise", PATIENT)
    assert job.process.returncode != 0, job.process.stdout
    for own in job.cases[case].values():
        assert len(own.outs) in committed(case), own
        assert own.kept and own.error, own


@pytest.mark.skipif(not is_open_mpi(), reason="only Open MPI's launcher can let the others live")
@pytest.mark.parametrize("phase", [pytest.param("agree", marks=pytest.mark.deep), "gather"])
def test_rank_that_is_killed_is_named_where_mpi_survives(phase: str, tmp_path: Path) -> None:
    """With fault tolerance in MPI the others live to say who has died."""
    case = Case("oktopk", "killed", phase, 1)
    job = start(tmp_path, 3, [case], "raise", PATIENT, "--with-ft", "ulfm")
    assert job.process.returncode != 0, job.process.stdout
    seen = job.cases[case]
    assert set(seen) == {0, 2}
    check_results(case, seen, 3, committed(case))
    for own in seen.values():
        assert own.error in ("CommunicationError", "PeerError"), own
        assert "ranks [1] have died" in own.text, own
