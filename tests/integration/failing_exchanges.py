"""A job in which one rank misbehaves in an exchange; run by test_launched_failures.py.

Usage: failing_exchanges.py FOLDER END CASE...

A CASE is "SCHEDULE/FAULT/PHASE/CULPRIT". Cases that leave every process alive share a job; each has
a communicator of its own. Every rank writes what it saw of a case to FOLDER. END is what it does
with the error of the last case: "raise" it, "exit" with status 3, or "go on" as if nothing was.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradwire import sparse_allreduce
from gradwire.communicators import Communicator
from gradwire.communicators.polling import resolve_deadline
from gradwire.compressors import NoCompression, TopK
from gradwire.errors import AgreementError, ConfigError
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import get_schedule
from gradwire.testing import SHAPES
from gradwire.testing.faults import TAMPERINGS, FaultyCommunicator, Place, phases_noted

NUMEL = 2401
# topkdsa: a full region's message has no indices in which a flipped bit could be noticed.
DENSITIES = {"oktopk": 0.1, "allgather": 0.1, "gtopk": 0.1, "topkdsa": 0.02}
STEPS = 4
FAULTY_STEP = 2
OLDEST_STEP = 0  # regions are cut in the first exchange, and then not for a long time
LONGEST_WAIT = 120.0  # seconds, for reports of other ranks that never come

# What the culprit passes that the others do not. All find out, and the next call is a good one.
FUNCTION_DIFFERENCES: dict[str, dict[str, Any]] = {
    "other density": {"density": 0.2},
    "other shape": {"shape": (NUMEL // 7, 7)},
    "other size": {"shape": (NUMEL - 1,)},
    "other dtype": {"dtype": np.float64},
    "sum, not mean": {"average": False},
    "wrong argument": {"density": 1.5},
}
EXCHANGE_DIFFERENCES: dict[str, dict[str, Any]] = {
    "a step ahead": {"ahead": 1},
    "a step behind": {"ahead": -1},
    "other bucket": {"bucket": "another"},
    "wrong size": {"shape": (NUMEL - 1,)},
}
DIFFERENCES = {**FUNCTION_DIFFERENCES, **EXCHANGE_DIFFERENCES}


@dataclass(frozen=True)
class Case:
    """One fault, and where: "one call fewer" and differences do not depend on the phase."""

    schedule: str
    fault: str
    phase: str
    culprit: int

    def __str__(self) -> str:
        return f"{self.schedule}/{self.fault}/{self.phase}/{self.culprit}"

    @classmethod
    def parse(cls, text: str) -> Case:
        schedule, fault, phase, culprit = text.split("/")
        return cls(schedule, fault, phase, int(culprit))

    @property
    def step(self) -> int:
        return OLDEST_STEP if self.phase == "partition" else FAULTY_STEP


@dataclass
class Witness:
    """What one rank saw of one case.

    Attributes:
        rank: which rank.
        error: name of the class of what ended the case, or "".
        text: of that error, or of the one that the rank recovered from.
        seconds: from the beginning of the call that raised to its end.
        outs: hashes of the results of the exchanges that succeeded.
        residuals: hashes of the residual before the first one and after each of them.
        kept: whether a call that raised left residual and gradient as they were.
        hit: whether the fault happened on this rank.
        refused: names of the classes of errors after which the communicator was used on.
    """

    rank: int
    error: str = ""
    text: str = ""
    seconds: float = 0.0
    outs: list[str] = field(default_factory=list)
    residuals: list[str] = field(default_factory=list)
    kept: bool = True
    hit: bool = False
    refused: list[str] = field(default_factory=list)


class FunctionCalls:
    """``sparse_allreduce`` and its residual."""

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self.residual = np.zeros(NUMEL, np.float32)

    def call(self, gradient: np.ndarray, step: int, different: dict[str, Any]) -> np.ndarray:
        """Do one step; a rank with another size has another residual, too."""
        residual = np.resize(self.residual, gradient.shape) if different else self.residual
        return sparse_allreduce(
            gradient,
            different.get("density", DENSITIES["oktopk"]),
            self.communicator,
            residual,
            average=different.get("average", True),
        )


class ExchangeCalls:
    """An ``Exchange`` over another schedule, and its residual."""

    def __init__(self, communicator: Communicator, schedule: str) -> None:
        compressor = NoCompression() if schedule == "dense" else TopK(DENSITIES[schedule])
        self.exchange = Exchange(compressor, get_schedule(schedule), communicator)
        self.owned = OwnedResidual(NUMEL)

    @property
    def residual(self) -> np.ndarray:
        return self.owned.values

    def call(self, gradient: np.ndarray, step: int, different: dict[str, Any]) -> np.ndarray:
        """Do one step."""
        bucket = Bucket(different.get("bucket", "bucket"), "one tensor", NUMEL)
        number = step + different.get("ahead", 0)
        reduced = self.exchange.reduce(bucket, gradient, number, self.owned)
        return reduced.commit(self.owned, 1 / self.exchange.communicator.size)


def gradient_of(rank: int, step: int) -> np.ndarray:
    """Return a rank's (NUMEL,) float32 gradient."""
    return SHAPES["layered_laplace"](np.random.default_rng([rank, step]), NUMEL)


def digest(array: np.ndarray) -> str:
    """Return a few characters that stand for all bits of an array."""
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def exchanged(communicator: Communicator, case: Case | None, act: Callable[[], None]) -> Witness:
    """Do the steps of one case, or of none; return what this rank saw."""
    mine = case is not None and case.culprit == communicator.rank
    faulty = _with_fault(communicator, case, act) if case and mine else communicator
    witness = Witness(communicator.rank)
    schedule = case.schedule if case else "oktopk"
    # Bytes that cost nothing travel as u32, where a flipped bit is an index out of range.
    faulty.byte_seconds = 0.0
    work = FunctionCalls(faulty) if schedule == "oktopk" else ExchangeCalls(faulty, schedule)
    witness.residuals.append(digest(work.residual))
    for step in range(STEPS):
        gradient = gradient_of(communicator.rank, step)
        if case and mine and step == case.step:
            if case.fault == "one call fewer":
                break
            if case.fault in DIFFERENCES:
                _attempt(work, gradient, step, witness, DIFFERENCES[case.fault])
        done = _attempt(work, gradient, step, witness, {})
        if case and case.fault in DIFFERENCES and step == case.step and not mine:
            assert not done, "the difference went unnoticed"
            done = _attempt(work, gradient, step, witness, {})
        if not done:
            break
    witness.hit = isinstance(faulty, FaultyCommunicator) and faulty.hit
    return witness


def _attempt(
    work: FunctionCalls | ExchangeCalls,
    gradient: np.ndarray,
    step: int,
    witness: Witness,
    different: dict[str, Any],
) -> bool:
    """Do one exchange and note what became of it; return whether it succeeded."""
    if different:
        gradient = np.resize(gradient, different.get("shape", gradient.shape))
        gradient = gradient.astype(different.get("dtype", np.float32))
    before = work.residual.tobytes(), gradient.tobytes()
    begin = time.monotonic()
    try:
        out = work.call(gradient, step, different)
    except BaseException as error:
        witness.seconds = time.monotonic() - begin
        witness.kept &= before == (work.residual.tobytes(), gradient.tobytes())
        witness.text = str(error)
        if isinstance(error, (AgreementError, ConfigError)):
            witness.refused.append(type(error).__name__)
        else:
            witness.error = type(error).__name__
        return False
    witness.outs.append(digest(out))
    witness.residuals.append(digest(work.residual))
    return True


def _with_fault(
    communicator: Communicator, case: Case, act: Callable[[], None]
) -> FaultyCommunicator:
    place = Place(case.step, case.phase)
    if case.fault in TAMPERINGS:
        return FaultyCommunicator(communicator, place, tamper=TAMPERINGS[case.fault])
    if case.fault in DIFFERENCES or case.fault == "one call fewer":
        return FaultyCommunicator(communicator)
    return FaultyCommunicator(communicator, place, act=act)


# ---- what a process does to itself ---------------------------------------------------------------


def act_of(fault: str, reports: list[Path]) -> Callable[[], None]:
    """Return what the culprit does; ``reports`` are the files that the other ranks will write."""

    def raises() -> None:
        raise MemoryError("no room for the gradients")

    def sleeps_until(condition: str) -> None:
        """Stop this process, with another one that wakes it up."""
        me = os.getpid()
        over = f"{condition} || [ $n -gt 1200 ] || ! kill -0 {me}"
        wait = f"n=0; until {over}; do sleep 0.1; n=$((n+1)); done"
        subprocess.Popen(["sh", "-c", f"{wait}; kill -CONT {me}"], stderr=subprocess.DEVNULL)
        os.kill(me, signal.SIGSTOP)

    others_reported = " && ".join(f"[ -e '{path}' ]" for path in reports)
    acts: dict[str, Callable[[], None]] = {
        "raises": raises,
        "interrupted": lambda: signal.raise_signal(signal.SIGINT),
        "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "stopped": lambda: sleeps_until(others_reported),
        "stopped for good": lambda: sleeps_until("false"),
        "late": lambda: sleeps_until("[ $n -ge 5 ]"),
    }
    return acts.get(fault, lambda: None)


def main(folder: Path, end: str, cases: list[Case]) -> None:
    """Run the cases one after the other on the ranks of this job."""
    from mpi4py import MPI

    from gradwire.communicators import MpiCommunicator

    world = MPI.COMM_WORLD

    def report_of(number: int, rank: int) -> Path:
        return folder / f"{number}.{rank}.json"

    for number, case in enumerate(cases):
        reports = [report_of(number, rank) for rank in range(world.size) if rank != case.culprit]
        communicator = MpiCommunicator(world)
        world.Barrier()  # lest the culprit fail while others still make theirs
        witness = exchanged(communicator, case, act_of(case.fault, reports))
        path = report_of(number, world.rank)
        path.with_suffix(".part").write_text(json.dumps(asdict(witness)), encoding="utf-8")
        path.with_suffix(".part").rename(path)
        _wait_for(reports)
        if number + 1 < len(cases):
            world.Barrier()
            communicator.close()
    if end == "raise" and (witness.error or witness.refused):
        raise RuntimeError(f"rank {world.rank}: {witness.error}: {witness.text}")
    if end == "exit" and (witness.error or witness.refused):
        sys.exit(3)


def _wait_for(reports: list[Path]) -> None:
    """Wait until every rank that can has reported, lest the end of this one ends them."""
    give_up = time.monotonic() + min(LONGEST_WAIT, 5 * resolve_deadline(None))
    while not all(path.exists() for path in reports) and time.monotonic() < give_up:
        time.sleep(0.02)


if __name__ == "__main__":
    with phases_noted():
        main(Path(sys.argv[1]), sys.argv[2], [Case.parse(text) for text in sys.argv[3:]])
