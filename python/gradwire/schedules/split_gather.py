"""Split and gather of quantised gradients: two hops, with a volume that does not grow with P.

Every rank quantises its gradient; each owner decodes and adds what all ranks send of its slice, in
float32, and quantises the sum again for all. Volume per rank: 2 b n (P - 1) / P for b bytes per
element. Compression in both directions, each with its own error feedback, as in DoubleSqueeze (Tang
et al., ICML 2019) and 1-bit Adam (Tang et al., ICML 2021), over split and gather in the place of a
server.
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
from gradwire.values import format_named


@dataclass
class SplitGather(Schedule):
    """Sums quantised gradients.

    Attributes:
        owner: what sums are rounded to: one of `NAMED_FORMATS`, or None for the format in which the
            gradients come.
    """

    owner: str | None = None

    id: ClassVar[str] = "split_gather"

    def __post_init__(self) -> None:
        """Check the name."""
        self._format = None if self.owner is None else format_named(self.owner)

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that sends entries."""
        if compressor.traits.sparse:
            raise ConfigError(
                f"schedule 'split_gather' moves dense values, and {compressor!r} sends entries; "
                "use schedule 'oktopk'"
            )

    @property
    def moves_dense(self) -> bool:
        """Whether it moves whole gradients, and no entries."""
        return True

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        if payload.numel:
            raise ConfigError("schedule 'split_gather' cannot move entries; use 'oktopk'")
        gathered = split_and_gather(payload, agreement, communicator, report, self._format)
        return Outcome(True, gathered.reduced, NO_INDICES, report, gathered.dense_correction())

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id, "owner": self.owner}
