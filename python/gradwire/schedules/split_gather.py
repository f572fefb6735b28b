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
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Correction, Outcome, Report, Schedule, not_finite
from gradwire.schedules.ownership import Layout, gather, split
from gradwire.schedules.regions import equal_regions
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
    moves_dense: ClassVar[bool] = True

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

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the dense values of all ranks (see :meth:`Schedule.exchange`)."""
        if payload.numel:
            raise ConfigError("schedule 'split_gather' cannot move entries; use 'oktopk'")
        report = Report()
        with report.phase("agree", communicator):
            if not agree(agreement, payload.finite(), communicator):
                return not_finite(report)
        layout = Layout.of(payload, equal_regions(0, communicator.size))
        with report.phase("split", communicator):
            owned, _ = split(payload, layout, agreement, communicator)
        with report.phase("gather", communicator):
            gathered = gather(owned, payload, layout, agreement, communicator, self._format)
        if not gathered.reduced.finite():
            return not_finite(report)
        correction = Correction()
        if gathered.dense_left is not None:
            begin = layout.dense_of(communicator.rank).start
            correction = Correction(begin=begin, dense=gathered.dense_left)
        return Outcome(True, gathered.reduced, NO_INDICES, report, correction)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id, "owner": self.owner}
