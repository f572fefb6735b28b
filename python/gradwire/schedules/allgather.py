"""Allgather: every rank gets every rank's payload and adds them up itself ("TopkA").

Volume b k (P - 1) bytes per rank for b bytes per entry: it grows with P, and so does the number of
entries of the result, up to k P. Nothing that was sent is lost, so every entry is delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.payload import Payload, format_of
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Outcome, Report, Schedule, not_finite
from gradwire.schedules.ownership import add_dense
from gradwire.wire import Expected, Kind, Message, decode, encode, largest_message


@dataclass
class Allgather(Schedule):
    """Sums any payloads by sending all of them everywhere."""

    id: ClassVar[str] = "allgather"

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the payloads of all ranks (see :meth:`Schedule.exchange`)."""
        report = Report(selected=len(payload.indices))
        with report.phase("agree", communicator):
            if not agree(agreement, payload.finite(), communicator):
                return not_finite(report)
        message = Message(
            Kind.PAYLOAD,
            agreement.tag,
            agreement.step,
            payload.indices,
            payload.values,
            payload.dense,
        )
        dense_format = format_of(payload.dense)
        limit = largest_message(payload.budget, len(payload.dense), dense_format)
        expected = Expected(
            Kind.PAYLOAD,
            agreement.tag,
            agreement.step,
            0,
            payload.numel,
            dense_format,
            len(payload.dense),
            payload.budget,
        )
        with report.phase("gather", communicator):
            received = communicator.allgatherv(encode(message, 0, payload.numel), limit)
        messages = [decode(data, expected, rank) for rank, data in enumerate(received)]
        indices, values = kernels.merge(
            [each.indices for each in messages], [each.values for each in messages]
        )
        dense = add_dense([each.dense for each in messages])
        budget = min(payload.numel, payload.budget * communicator.size)
        reduced = Payload(payload.numel, indices, values, dense, budget)
        report.reduced = report.winners = len(indices)
        if not reduced.finite():
            return not_finite(report)
        return Outcome(True, reduced, payload.indices, report)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}
