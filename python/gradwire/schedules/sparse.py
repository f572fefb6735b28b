"""What schedules that move entries share: whom they serve, and their dense steps."""

from __future__ import annotations

from typing import Any

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Outcome, Schedule
from gradwire.schedules.dense import Dense


class SparseSchedule(Schedule):
    """Base of schedules of entries; a payload that may have none is reduced as a dense one."""

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that sends neither entries nor summable dense values.

        Raises:
            ConfigError: naming the schedule that serves all compressors.
        """
        traits = compressor.traits
        if not (traits.sparse or traits.summable):
            raise ConfigError(
                f"schedule {self.id!r} needs a sparse compressor, got {compressor!r}; "
                f"use schedule {self.instead!r}"
            )

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the payloads of all ranks (see :meth:`Schedule.exchange`)."""
        if not payload.budget:  # nothing to select from: a dense step
            return Dense().exchange(payload, agreement, communicator)
        return super().exchange(payload, agreement, communicator)
