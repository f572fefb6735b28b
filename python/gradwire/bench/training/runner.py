"""Trains a model by one method after the other, in turns, on all ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from time import perf_counter

from gradwire.bench.collectives.checks import Brought, count_unlike, count_wrong
from gradwire.bench.collectives.places import Place, link_bytes_sent
from gradwire.bench.method import Job
from gradwire.bench.training.char_lm import Text
from gradwire.bench.training.method import Gradients, Method, Reducer
from gradwire.bench.training.replica import Replica, flat
from gradwire.bench.training.result import Notes, Point, Result, combined
from gradwire.bench.training.settings import Settings
from gradwire.communicators import MpiCommunicator


@dataclass
class Subject:
    """A method on its way through a run, on one rank.

    Attributes:
        wrong: elements of checked reductions and of parameters, on rank 0.
        failure: why it was given up, on all ranks.
    """

    method: Method
    reducer: Reducer
    replica: Replica
    notes: Notes = field(default_factory=Notes)
    points: list[Point] = field(default_factory=list)
    wrong: int = 0
    failure: str = ""


class Runner:
    """Trains by all methods. Everything is collective.

    Args:
        methods: in the order of their turns.
        settings: of the run.
        job: the ranks, and the number of parameters.
        places: where they run.
        text: what is learnt.
        progress: shows what is being done.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        settings: Settings,
        job: Job,
        places: Sequence[Place],
        text: Text,
        progress: Callable[[str], None],
    ) -> None:
        self._settings, self._job, self._places, self._progress = settings, job, places, progress
        # Its waiting ranks sleep, and leave the cores to those that still compute.
        self._meeting = MpiCommunicator(job.comm)
        self._subjects = [
            Subject(method, method.prepare(job, settings), Replica(settings, job, text))
            for method in methods
        ]

    def run(self) -> list[Result]:
        """Return the results of all methods, with what is wrong on rank 0 only."""
        begin = 0
        for end in self._settings.round_ends():
            for subject in self._subjects:
                if not subject.failure:
                    self._progress(f"{subject.method.name}: steps {begin + 1} to {end}")
                    self._round(subject, begin, end)
            begin = end
        results = [self._result(subject) for subject in self._subjects]
        for subject in self._subjects:
            subject.reducer.close()
        self._meeting.close()
        return results

    def _round(self, subject: Subject, begin: int, end: int) -> None:
        """Train some steps by one method; give it up if a loss is not finite any more."""
        comm, notes = self._job.comm, subject.notes
        self._meeting.barrier()
        links, lost = link_bytes_sent(), math.inf
        for step in range(begin, end):
            loss = self._step(subject, step)
            lost = lost if math.isfinite(loss) else min(lost, step + 1)
        self._meeting.barrier()  # the others have sent everything, too
        if begin >= self._settings.settled:
            links_after = link_bytes_sent()
            if links is None or links_after is None or notes.links is None:
                notes.links = None
            else:
                notes.links += links_after - links
            notes.linked_steps += end - begin
        lost = min(comm.allgather(lost))
        if lost < math.inf:
            subject.failure = f"the training loss of step {lost:.0f} is not finite"
        elif self._settings.is_evaluated(end):
            self._evaluate(subject, end)

    def _step(self, subject: Subject, step: int) -> float:
        """Train one step, note what it cost this rank, and return its loss."""
        reducer, notes = subject.reducer, subject.notes

        def reduce(gradients: Gradients, number: int) -> float:
            if number == self._settings.checked_step and subject.method.reduces:
                return self._checked(subject, gradients, number)
            return _timed(reducer, gradients, number)

        before = reducer.bytes_sent()
        cost = subject.replica.step(step, reduce)
        notes.seconds.append(cost.compute_seconds + cost.reduce_seconds)
        notes.compute_seconds.append(cost.compute_seconds)
        notes.sent.append(reducer.bytes_sent() - before)
        return cost.loss

    def _checked(self, subject: Subject, gradients: Gradients, step: int) -> float:
        """Reduce, count what is wrong, and return the seconds of the reduction alone."""
        reducer = subject.reducer
        acc, kept = flat(gradients), reducer.residual()
        if kept is not None:
            acc += kept
        brought = Brought(self._job, acc)
        seconds = _timed(reducer, gradients, step)
        subject.wrong += count_wrong(
            self._job, brought, reducer.residual(), flat(gradients), True, reducer.rounding
        )
        return seconds

    def _evaluate(self, subject: Subject, step: int) -> None:
        loss = subject.replica.held_out_loss()
        if not math.isfinite(loss):
            subject.failure = f"the held-out loss after step {step} is not finite"
            return
        seconds, sent = zip(*self._job.comm.allgather(subject.notes.totals()), strict=True)
        subject.points.append(Point(step, loss, max(seconds), fmean(sent)))

    def _result(self, subject: Subject) -> Result:
        """Return what all ranks' notes make, and whether all replicas are the same."""
        method, settings = subject.method, self._settings
        wrong: int | None = None
        if method.reduces:
            wrong = subject.wrong + count_unlike(self._job, subject.replica.parameters())
        return combined(
            (method.name, settings.density if method.sparse else None),
            method.counts,
            self._job.comm.allgather(subject.notes),
            settings.settled,
            [place.network for place in self._places],
            subject.points,
            (wrong, subject.failure),
        )


def _timed(reducer: Reducer, gradients: Gradients, step: int) -> float:
    begin = perf_counter()
    reducer.reduce(gradients, step)
    return perf_counter() - begin
