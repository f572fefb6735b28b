"""What schedules that move entries share: whom they serve, and their dense steps."""

from __future__ import annotations

import abc
from typing import Any

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Outcome, Report, Schedule
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

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        if not payload.budget:  # nothing to select from: a dense step
            return Dense().reduce(payload, agreement, communicator, report)
        return self.reduce_entries(payload, agreement, communicator, report)

    @abc.abstractmethod
    def reduce_entries(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Do `reduce` where there may be entries."""
