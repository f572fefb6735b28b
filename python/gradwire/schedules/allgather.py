"""Allgather: every rank gets every rank's payload and adds them up itself ("TopkA").

Volume b k (P - 1) bytes per rank for b bytes per entry: it grows with P, and so does the number of
entries of the result, up to k P. Nothing that was sent is lost, so every entry is delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.index_codecs import choose_codec
from gradwire.payload import Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Correction, Outcome, Report, Schedule
from gradwire.schedules.ownership import add_encoded
from gradwire.values import FLOAT32, plain
from gradwire.wire import Expected, Kind, Message, decode, encode


@dataclass
class Allgather(Schedule):
    """Sums any payloads by sending all of them everywhere."""

    id: ClassVar[str] = "allgather"

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        expected = Expected(
            Kind.PAYLOAD,
            agreement.tag,
            agreement.step,
            0,
            payload.numel,
            payload.budget,
            payload.value_format,
            payload.dense.format,
            len(payload.dense),
            len(payload.tail),
        )
        values = payload.value_format.encode(payload.values, payload.stream)
        with report.phase("gather", communicator):
            message = Message(
                Kind.PAYLOAD, agreement.tag, agreement.step, payload.indices, values,
                payload.dense, payload.tail,
            )  # fmt: skip
            count, length = len(payload.indices), payload.numel
            codec = choose_codec(count, length, communicator.byte_seconds)
            data = encode(message, 0, length, codec)
            received = communicator.allgatherv(data, expected.largest)
            messages = [
                decode(each, expected, communicator.ranks[rank])
                for rank, each in enumerate(received)
            ]
        reduced = _sum(messages, payload)
        report.reduced = report.winners = len(reduced.indices)
        correction = Correction()
        if not values.format.exact:
            correction = Correction(((payload.indices, values.lost(payload.values)),))
        return Outcome(True, reduced, payload.indices, report, correction)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}


def _sum(messages: list[Message], payload: Payload) -> Payload:
    """Return the sum of all ranks' messages, added in rank order."""
    indices, values = kernels.merge(
        [each.indices for each in messages], [each.values.decode() for each in messages]
    )
    dense = add_encoded([each.dense for each in messages])
    tail = add_encoded([plain(each.tail) for each in messages])
    budget = min(payload.numel, payload.budget * len(messages))
    return Payload(payload.numel, indices, values, plain(dense), budget, FLOAT32, tail)
