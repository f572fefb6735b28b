"""The contract of a schedule: how payloads of all ranks become one reduced payload.

A schedule moves payloads over a communicator and adds them; it knows nothing of how they were
selected. The order of all additions is fixed, so the reduced payload has the same bits on every
rank whatever the order of arrival. It keeps no state that a result depends on.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import NO_INDICES, Float32, Indices, Payload
from gradwire.schedules.agreement import Agreement, agree
from gradwire.staging import beside
from gradwire.values import NO_VALUES


@dataclass
class PhaseCount:
    """What one phase of an exchange cost this rank."""

    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    seconds: float = 0.0


@dataclass
class Report:
    """What one exchange did, for people and tests.

    Attributes:
        phases: name of the phase -> what it cost this rank.
        selected: entries this rank brought.
        reduced: entries this rank owned after reduction.
        winners: entries of the reduced payload.
        imbalance: largest number of entries that any owner received, over the mean.
    """

    phases: dict[str, PhaseCount] = field(default_factory=dict)
    selected: int = 0
    reduced: int = 0
    winners: int = 0
    imbalance: float = 1.0

    @contextmanager
    def phase(self, name: str, communicator: Communicator) -> Iterator[None]:
        """Book what happens inside the ``with`` block under a phase's name."""
        counters = communicator.counters
        sent, received = counters.bytes_sent, counters.bytes_received
        messages, start = counters.messages_sent, time.perf_counter()
        try:
            yield
        finally:
            count = self.phases.setdefault(name, PhaseCount())
            count.bytes_sent += counters.bytes_sent - sent
            count.bytes_received += counters.bytes_received - received
            count.messages_sent += counters.messages_sent - messages
            count.seconds += time.perf_counter() - start

    @property
    def bytes_sent(self) -> int:
        """Bytes that this rank sent in all phases."""
        return sum(count.bytes_sent for count in self.phases.values())

    @property
    def messages_sent(self) -> int:
        """Messages that this rank sent in all phases."""
        return sum(count.messages_sent for count in self.phases.values())


@dataclass(frozen=True)
class Correction:
    """What did not get through of what a rank sent or added up; it goes into the residual.

    Attributes:
        entries: pairs of (count,) uint32, increasing, and (count,) float32: what rounding took away
            of what this rank sent and was delivered, and of sums that it owns; sums that it pruned.
        begin: where, among the dense values,
        dense: float32, of the sums that this rank owns, lies; which elements of the bucket these
            are is the compressor's to say (`Compressor.take_back`).
    """

    entries: tuple[tuple[Indices, Float32], ...] = ()
    begin: int = 0
    dense: Float32 = field(default_factory=lambda: NO_VALUES)

    def add_entries_to(self, acc: Float32) -> None:
        """Add the entries to an accumulator from which what got through has been taken out."""
        for indices, values in self.entries:
            kernels.scatter_add(acc, *beside(acc, indices, values))


@dataclass(frozen=True)
class Outcome:
    """What an exchange gives back.

    Attributes:
        finite: False if any rank brought, or any sum became, Inf or NaN; then nothing else counts.
        reduced: sums over the ranks; the same bits on every rank; dense values are float32.
        delivered: those of this rank's own indices that are no longer its own to keep, increasing:
            the reduced payload contains them, or another rank pruned them and keeps the sum.
        report: what it cost.
        correction: what this rank adds to its residual beside that.
    """

    finite: bool
    reduced: Payload
    delivered: Indices
    report: Report
    correction: Correction = field(default_factory=Correction)


def not_finite(report: Report) -> Outcome:
    """Return the outcome of an exchange that met Inf or NaN."""
    return Outcome(False, Payload(), NO_INDICES, report)


class Schedule(abc.ABC):
    """Base of all schedules; subclasses are dataclasses whose fields are the configuration.

    Class attributes:
        id: name of the schedule.
        needs: the compressor's trait without which it cannot work, or None.
        instead: the schedule to name in the error for compressors without that trait.
    """

    id: ClassVar[str]
    needs: ClassVar[str | None] = None
    instead: ClassVar[str] = "allgather"

    @property
    def moves_dense(self) -> bool:
        """Whether it moves whole gradients, and no entries."""
        return False

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that this schedule cannot serve.

        Raises:
            ConfigError: naming the schedule that can.
        """
        if self.needs and not getattr(compressor.traits, self.needs):
            raise ConfigError(
                f"schedule {self.id!r} needs a {self.needs} compressor, got {compressor!r}; "
                f"use schedule {self.instead!r}"
            )

    def check_ranks(self, communicator: Communicator) -> None:
        """Refuse ranks, the same ones on all of them, with which this schedule cannot work.

        Raises:
            ConfigError: saying why.
        """
        del communicator  # most schedules work with any

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the payloads of all ranks; collective.

        Raises:
            AgreementError: on all ranks, if they are not about to do the same.
            WireError, CommunicationError: a message was bad or did not come.
        """
        report = Report(selected=len(payload.indices))
        with report.phase("agree", communicator):
            if not agree(agreement, payload.finite(), communicator):
                return not_finite(report)
        outcome = self.reduce(payload, agreement, communicator, report)
        return outcome if outcome.reduced.finite() else not_finite(report)

    @abc.abstractmethod
    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on; collective. Sums may turn out not to be finite."""

    @abc.abstractmethod
    def config(self) -> dict[str, Any]:
        """Return the configuration, which all ranks must share."""
