"""Dense allreduce by reduce-scatter and allgather, with a fixed order of additions.

Rank r owns the r-th of P equal slices: volume 2 b n (P - 1) / P bytes per rank for b bytes per
value, the bound of any dense allreduce; 2 (P - 1) messages. Owners add in float32 in rank order and
round once to the payload's format, so replicas get the same bits on every transport.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import NO_INDICES, Payload
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Outcome, Report, Schedule, not_finite
from gradwire.schedules.ownership import Layout, gather, split
from gradwire.schedules.regions import equal_regions


@dataclass
class Dense(Schedule):
    """Sums payloads that carry no indices."""

    id: ClassVar[str] = "dense"
    moves_dense: ClassVar[bool] = True
    needs: ClassVar[str | None] = "summable"

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the dense values of all ranks (see :meth:`Schedule.exchange`)."""
        if payload.numel:
            raise ConfigError("schedule 'dense' cannot move entries; use schedule 'allgather'")
        report = Report()
        with report.phase("agree", communicator):
            if not agree(agreement, payload.finite(), communicator):
                return not_finite(report)
        layout = Layout.of(payload, equal_regions(0, communicator.size))
        with report.phase("split", communicator):
            owned, _ = split(payload, layout, agreement, communicator)
        with report.phase("gather", communicator):
            reduced = gather(owned, payload, layout, agreement, communicator).reduced
        if not reduced.finite():
            return not_finite(report)
        return Outcome(True, reduced, NO_INDICES, report)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}
