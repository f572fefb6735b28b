"""Dense allreduce by reduce-scatter and allgather, with a fixed order of additions.

Rank r owns the r-th of P equal slices: volume 2 b n (P - 1) / P bytes per rank for b bytes per
value, the bound of any dense allreduce; 2 (P - 1) messages. Owners add in float32 in rank order and
round once to the payload's format, so replicas get the same bits on every transport; what that
takes away stays in the owner's residual, if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import NO_INDICES, Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Outcome, Report, Schedule
from gradwire.schedules.ownership import split_and_gather


@dataclass
class Dense(Schedule):
    """Sums payloads that carry no indices."""

    id: ClassVar[str] = "dense"
    needs: ClassVar[str | None] = "summable"

    @property
    def moves_dense(self) -> bool:
        """Whether it moves whole gradients, and no entries."""
        return True

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        if payload.numel:
            raise ConfigError("schedule 'dense' cannot move entries; use schedule 'allgather'")
        gathered = split_and_gather(payload, agreement, communicator, report)
        return Outcome(True, gathered.reduced, NO_INDICES, report, gathered.dense_correction())

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}
