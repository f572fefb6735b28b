"""Runs methods in turn on all ranks: every one is prepared, checked, warmed up and timed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from gradwire.bench.collectives.checks import Brought, count_wrong
from gradwire.bench.collectives.gradients import GradientRing
from gradwire.bench.collectives.method import Case, Method, nothing
from gradwire.bench.collectives.places import Place, link_bytes_sent, share_a_clock
from gradwire.bench.collectives.result import Notes, Result, combined
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job, absent, described
from gradwire.errors import GradwireError
from gradwire.kernels.arrays import aligned

# Up to so many elements a second check, after the last repetition, takes no time to speak of.
MODERATE = 1 << 22


@dataclass(frozen=True)
class Plan:
    """What to measure: which methods, at which densities, how often.

    warmup: steps of each method that are not timed; the first one is checked.
    untimed: steps of a method right before each one that is timed.
    """

    methods: Sequence[Method]
    densities: Sequence[float]
    repetitions: int
    warmup: int
    untimed: int = 0

    @property
    def lines(self) -> list[tuple[Method, float | None]]:
        """Methods, the sparse ones with each density."""
        return [
            (method, density)
            for method in self.methods
            for density in (self.densities if method.sparse else (None,))
        ]


@dataclass
class Subject:
    """A method at a density, on its way through a run."""

    method: Method
    density: float | None
    case: Case
    steps: int = 0
    wrong: int = 0
    notes: Notes = field(default_factory=Notes)

    @property
    def name(self) -> str:
        """Method and density, for people."""
        return described(self.method.name, self.density)


class Clock:
    """Lets all ranks begin a step together and notes when this one did."""

    def __init__(self, job: Job) -> None:
        self._comm = job.comm
        self.begin: float | None = None

    def start(self) -> None:
        """Wait for all ranks; time counts from here."""
        self._comm.Barrier()
        self.begin = perf_counter()


class Runner:
    """Runs a plan; collects notes on what was left out and why. Everything is collective."""

    def __init__(
        self, plan: Plan, job: Job, places: Sequence[Place], progress: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.job = job
        self.notes: list[str] = []
        self.copy_seconds: list[float] = []
        self._places = places
        self._progress = progress
        self._gradients = GradientRing(job.numel, job.rank, job.seed)
        # To every method's first step, when nothing has been kept.
        self._brought_first = Brought(job, self._gradients[0])

    def run(self) -> list[Result]:
        """Return the results on rank 0, and nothing on the others."""
        subjects = []
        for method, density in self.plan.lines:
            self._progress(f"preparing and checking {described(method.name, density)}")
            subject = self._ready(method, density)
            if subject:
                subjects.append(subject)
        with _no_collection():
            self._measure(subjects)
        if self.job.numel <= MODERATE:
            for subject in subjects:
                subject.wrong += self._checked_step(subject)
        results = [self._result(subject) for subject in subjects]
        for subject in subjects:
            subject.case.close()
        return results if self.job.rank == 0 else []

    def _ready(self, method: Method, density: float | None) -> Subject | None:
        """Prepare a method and check its first step; None, on all ranks, if a peer cannot run."""
        lacking = self.job.comm.allgather(absent(method.needs))
        missing = sorted({name for names in lacking for name in names})
        if missing:
            self._note(f"{' and '.join(missing)} is not installed: {method.name} is left out")
            return None
        failure, subject = "", None
        try:
            case = method.prepare(self.job, 1.0 if density is None else density)
            subject = Subject(method, density, case)
            subject.wrong = self._checked_step(subject)
        except Exception as error:  # a peer that cannot run must not end the benchmark
            if not method.peer:
                raise
            failure = f"{method.name} failed: {str(error).splitlines()[0]}"
        failures = [each for each in self.job.comm.allgather(failure) if each]
        if not failures:
            return subject
        self._note(failures[0])
        return None

    def _checked_step(self, subject: Subject) -> int:
        """Return how many elements of a step's result are wrong, on rank 0."""
        case, brought = subject.case, self._brought_first
        if subject.steps:
            before, gradient = case.residual(), self._gradients[subject.steps]
            brought = Brought(self.job, gradient if before is None else before + gradient)
        result = self._step(subject, nothing)
        return count_wrong(self.job, brought, case.residual(), result, case.divides, case.rounding)

    def _measure(self, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            self._progress(f"warming up {subject.name}")
            for _ in range(1, self.plan.warmup):
                self._step(subject, nothing)
        copied: Floats = aligned(self.job.numel)
        copied.fill(0.0)  # its pages are there before the first copy
        for repetition in range(self.plan.repetitions):
            self._progress(f"repetition {repetition + 1} of {self.plan.repetitions}")
            self._time_copy(copied, self._gradients[repetition])
            for subject in subjects:
                self._time(subject)

    def _time_copy(self, target: Floats, source: Floats) -> None:
        clock = Clock(self.job)
        clock.start()
        begin = perf_counter()
        np.copyto(target, source)
        self.copy_seconds.append(perf_counter() - begin)

    def _time(self, subject: Subject) -> None:
        """Time one step of one method, and note what it cost this rank."""
        for _ in range(self.plan.untimed):
            self._step(subject, nothing)
        clock, case, notes = Clock(self.job), subject.case, subject.notes
        sent, links = case.bytes_sent(), link_bytes_sent()
        self._step(subject, clock.start)
        end = perf_counter()
        if clock.begin is None:
            raise GradwireError(f"bench allreduce: {subject.name} never started the clock")
        notes.begins.append(clock.begin)
        notes.ends.append(end)
        notes.phases.append(dict(case.phases()))
        entries, sent_after = case.entries(), case.bytes_sent()
        if entries is not None:
            notes.entries.append(entries)
        if sent is not None and sent_after is not None:
            notes.sent.append(sent_after - sent)
        self.job.comm.Barrier()  # the others have sent everything, too
        links_after = link_bytes_sent()
        if links is not None and links_after is not None:
            notes.links.append(links_after - links)

    def _step(self, subject: Subject, start: Callable[[], None]) -> Floats:
        gradient = self._gradients[subject.steps]
        subject.steps += 1
        return subject.case.step(gradient, start)

    def _result(self, subject: Subject) -> Result:
        """Return what all ranks' notes make; collective."""
        notes = self.job.comm.allgather(subject.notes)
        return combined(
            subject.method.name,
            subject.density,
            subject.method.peer,
            notes,
            [place.network for place in self._places],
            share_a_clock(self._places),
            subject.wrong,
        )

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of what is timed."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
