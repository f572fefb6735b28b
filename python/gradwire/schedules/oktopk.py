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

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.payload import Payload
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Correction, Outcome, Report, not_finite
from gradwire.schedules.dense import Dense
from gradwire.schedules.ownership import Layout, Owned, gather, split
from gradwire.schedules.partitioned import Partitioned
from gradwire.schedules.winners import winners


@dataclass
class OkTopk(Partitioned):
    """Sums sparse payloads and keeps the k largest sums, k being the payload's budget.

    The configuration is that of `Partitioned`.
    """

    id: ClassVar[str] = "oktopk"

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
            partition = self.partition(payload, agreement, communicator)
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
        report.winners = len(reduced.indices)
        report.imbalance = self.note_loads(partition, gathered.loads)
        if not reduced.finite():
            return not_finite(report)
        delivered, positions = kernels.intersect(payload.indices, reduced.indices)
        left = []  # what rounding took away of the delivered entries, and of this owner's winners
        if rounded_off is not None:
            left.append((delivered, rounded_off[positions]))
        if gathered.values_left is not None:
            left.append((owned.indices, gathered.values_left))
        return Outcome(True, reduced, delivered, report, Correction(tuple(left)))


def _keep_winners(
    owned: Owned, k: int, communicator: Communicator, guess: int
) -> tuple[Owned, int]:
    # Inf in a sum is the largest magnitude there is: it wins and so becomes known to all ranks.
    chosen, guess = winners(owned.values, k, communicator, guess)
    at = np.flatnonzero(chosen)
    return replace(owned, indices=owned.indices[at], values=owned.values[at]), guess
