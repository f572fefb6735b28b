"""The schedule that a prediction favours, bucket by bucket.

At the first exchange of a communicator all ranks measure the links of the job and how fast their
kernels are, and share what they found: the slowest rank's rates and times count. From these numbers
and the sizes of a bucket `gradwire.cost` predicts what each possible schedule would take; the same
numbers give the same choice on every rank. Which it is, and why, goes to the logger "gradwire".

Results may depend on the choice: "oktopk" keeps the k largest sums, "allgather" and "topkdsa" every
sum. Schedules that prune sums before they are complete ("gtopk", "hierarchical") are only taken by
name.
"""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradwire.communicators.base import Communicator
from gradwire.cost import Case, Link, Rates, measure_link, measure_rates, predict
from gradwire.payload import Payload
from gradwire.recent import Recent
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.allgather import Allgather
from gradwire.schedules.base import Outcome, Report, Schedule
from gradwire.schedules.dense import Dense
from gradwire.schedules.oktopk import OkTopk
from gradwire.schedules.split_gather import SplitGather
from gradwire.schedules.topkdsa import TopkDsa
from gradwire.values import ValueFormat

_log = logging.getLogger("gradwire")

# Rates per element hardly depend on the length beyond the caches.
LARGEST_MEASURED = 1 << 21  # elements


@dataclass(frozen=True)
class Choice:
    """A schedule, and the seconds that each possible one was predicted to take."""

    schedule: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        times = ", ".join(f"{name} {1e3 * each:.3g} ms" for name, each in self.seconds.items())
        return f"{self.schedule} of {times}"


@dataclass
class Auto(Schedule):
    """Predicts what each schedule would take on this job, and takes the quickest.

    Attributes:
        choices: what was chosen for each (elements, budget, dense values, formats) that came along.
    """

    choices: Recent[tuple[int, int, int, ValueFormat, ValueFormat], Choice] = field(
        default_factory=Recent, init=False, repr=False
    )

    id: ClassVar[str] = "auto"

    def __post_init__(self) -> None:
        """Make one of each."""
        made: tuple[Schedule, ...] = (OkTopk(), Allgather(), TopkDsa(), Dense(), SplitGather())
        self._schedules = {schedule.id: schedule for schedule in made}
        self._links: weakref.WeakKeyDictionary[Communicator, Link] = weakref.WeakKeyDictionary()
        self._rates: Recent[float, Rates] = Recent()

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        dense = payload.dense
        key = (payload.numel, payload.budget, len(dense), payload.value_format, dense.format)
        if key not in self.choices:
            self.choices[key] = self._choose(payload, communicator)
            if communicator.rank == 0:
                _log.info("schedule for %s elements, %s entries: %s", *key[:2], self.choices[key])
        chosen = self._schedules[self.choices[key].schedule]
        return chosen.reduce(payload, agreement, communicator, report)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}

    def _choose(self, payload: Payload, communicator: Communicator) -> Choice:
        if communicator.size == 1:  # nothing to send, nothing to measure
            return Choice(_possible(payload)[0], {})
        if communicator not in self._links:
            with communicator.counters.paused():  # what a measurement moves is no exchange's
                self._links[communicator] = measure_link(communicator)
            communicator.byte_seconds = self._links[communicator].beta
        link, sparse = self._links[communicator], payload.budget > 0
        numel = payload.numel if sparse else max(1, len(payload.dense) + len(payload.tail))
        budget = payload.budget if sparse else numel
        rates = self._rates_of(numel, budget / numel, communicator)
        form = payload.value_format if sparse else payload.dense.format
        value_bytes = form.nbytes(budget) / budget
        case = Case(numel, budget, communicator.size, value_bytes, communicator.byte_seconds)
        seconds = {name: predict(name, case, link, rates).seconds for name in _possible(payload)}
        return Choice(min(seconds, key=lambda name: seconds[name]), seconds)

    def _rates_of(self, numel: int, density: float, communicator: Communicator) -> Rates:
        """Return the ranks' rates for a density, measured once."""
        if density not in self._rates:
            measured = measure_rates(min(numel, LARGEST_MEASURED), density)
            self._rates[density] = measured.shared(communicator)
        return self._rates[density]


def _possible(payload: Payload) -> list[str]:
    """Return the schedules that can move a payload, those first that win ties."""
    if payload.budget:
        return [OkTopk.id, Allgather.id, TopkDsa.id]
    if payload.dense.format.exact:
        return [Dense.id, Allgather.id]
    return [SplitGather.id, Allgather.id]
