"""Ok-Topk: sparse allreduce whose volume does not grow with the number of ranks.

After Li and Hoefler, "Near-Optimal Sparse Allreduce for Distributed Deep Learning", PPoPP 2022
(arXiv 2201.07598), sections 3.1 and 3.2, with exact selection in the place of estimated thresholds:

1. every rank brings at most k entries (exact local top-k);
2. the index space is cut into one region per rank, so that owners receive equal shares;
3. split and reduce: each entry goes to the owner of its region, who adds in rank order;
4. global selection: exactly the k largest sums win, ties by lowest index;
5. gather: winners go to all ranks.

An entry is delivered where it was selected locally *and* won globally; all else stays in the
residual. Volume per rank at most 2 k (P - 1) / P entries in each of the phases 3 and 5 when owners'
shares are equal, plus the histograms of phase 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.recent import Recent
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Correction, Outcome, Report, Schedule, not_finite
from gradwire.schedules.dense import Dense
from gradwire.schedules.ownership import Layout, Owned, gather, split
from gradwire.schedules.regions import Boundaries, balanced_regions, imbalance, tile_loads
from gradwire.schedules.winners import winners


@dataclass
class _Partition:
    """What is known from the last exchanges, the same on all ranks; no result depends on it.

    The regions in use, when they are due for renewal, and the bits of the last k-th sum.
    """

    boundaries: Boundaries
    since: int = 0
    overloaded: bool = False
    guess: int = 0


@dataclass
class OkTopk(Schedule):
    """Sums sparse payloads and keeps the k largest sums, k being the payload's budget.

    Attributes:
        repartition_every: exchanges after which the regions are cut anew.
        largest_imbalance: load of the busiest owner, over the mean, that has them cut at once.
    """

    repartition_every: int = 64
    largest_imbalance: float = 2.0
    _partitions: Recent[tuple[str, int], _Partition] = field(default_factory=Recent, repr=False)

    id: ClassVar[str] = "oktopk"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.repartition_every < 1:
            raise ConfigError(
                f"OkTopk: repartition_every must be >= 1, got {self.repartition_every}"
            )
        if self.largest_imbalance < 1:
            raise ConfigError(
                f"OkTopk: largest_imbalance must be >= 1, got {self.largest_imbalance}"
            )

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that sends neither entries nor summable dense values."""
        traits = compressor.traits
        if not (traits.sparse or traits.summable):
            raise ConfigError(
                f"schedule 'oktopk' needs a sparse compressor, got {compressor!r}; "
                "use schedule 'allgather'"
            )

    def exchange(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Outcome:
        """Reduce the payloads of all ranks (see :meth:`Schedule.exchange`)."""
        if not payload.budget:  # nothing to select from: a dense step
            return Dense().exchange(payload, agreement, communicator)
        report = Report(selected=len(payload.indices))
        with report.phase("agree", communicator):
            if not agree(agreement, payload.finite(), communicator):
                return not_finite(report)
        with report.phase("partition", communicator):
            partition = self._partition(payload, agreement, communicator)
        layout = Layout.of(payload, partition.boundaries)
        with report.phase("split", communicator):
            owned, rounded_off = split(payload, layout, agreement, communicator)
        report.reduced = len(owned.indices)
        with report.phase("select", communicator):
            owned, partition.guess = _keep_winners(
                owned, payload.budget, communicator, partition.guess
            )
        with report.phase("gather", communicator):
            gathered = gather(owned, payload, layout, agreement, communicator)
        reduced = gathered.reduced
        report.winners, report.imbalance = len(reduced.indices), imbalance(gathered.loads)
        partition.overloaded = report.imbalance > self.largest_imbalance
        if not reduced.finite():
            return not_finite(report)
        delivered, positions = kernels.intersect(payload.indices, reduced.indices)
        left = []  # what rounding took away of the delivered entries, and of this owner's winners
        if rounded_off is not None:
            left.append((delivered, rounded_off[positions]))
        if gathered.values_left is not None:
            left.append((owned.indices, gathered.values_left))
        return Outcome(True, reduced, delivered, report, Correction(tuple(left)))

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {
            "id": self.id,
            "repartition_every": self.repartition_every,
            "largest_imbalance": self.largest_imbalance,
        }

    def _partition(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> _Partition:
        """Return the regions for this exchange, cut anew where due.

        Whether they are due depends only on what all ranks know: the number of exchanges since the
        last cut and the loads that the owners told in their last messages. The result of an
        exchange does not depend on the regions, so they are not part of any saved state.
        """
        key = (agreement.description, payload.numel)
        known = self._partitions.get(key)
        if known and known.since < self.repartition_every and not known.overloaded:
            known.since += 1
            return known
        loads = communicator.allreduce(tile_loads(payload.indices, payload.numel), "sum")
        boundaries = balanced_regions(loads, payload.numel, communicator.size)
        self._partitions[key] = _Partition(boundaries, 1, guess=known.guess if known else 0)
        return self._partitions[key]


def _keep_winners(
    owned: Owned, k: int, communicator: Communicator, guess: int
) -> tuple[Owned, int]:
    # Inf in a sum is the largest magnitude there is: it wins and so becomes known to all ranks.
    chosen, guess = winners(owned.values, k, communicator, guess)
    at = np.flatnonzero(chosen)
    return replace(owned, indices=owned.indices[at], values=owned.values[at]), guess
