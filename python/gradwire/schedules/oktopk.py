"""Ok-Topk: sparse allreduce whose volume does not grow with the number of ranks.

After Li and Hoefler, "Near-Optimal Sparse Allreduce for Distributed Deep Learning", PPoPP 2022
(arXiv 2201.07598), sections 3.1 and 3.2, with exact selection in the place of estimated thresholds:

1. every rank brings at most k entries (exact local top-k);
2. the index space is cut into one region per rank, so that owners receive equal shares;
3. split and reduce: each entry goes to the owner of its region, who adds in rank order;
4. global selection: exactly the k largest sums win, ties by lowest index;
5. gather: winners go to all ranks; if one owner has far more than the others, they are first
   handed over until all have equally many.

An entry is delivered where it was selected locally *and* won globally; all else stays in the
residual. Volume per rank at most 2 k (P - 1) / P entries in each of the phases 3 and 5 when owners'
shares are equal, plus the histograms of phase 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import Indices, Payload
from gradwire.schedules.balance import balance
from gradwire.schedules.base import Report
from gradwire.schedules.ownership import Owned
from gradwire.schedules.partitioned import Exchanged, Kept, Partitioned, Positions
from gradwire.schedules.regions import imbalance
from gradwire.schedules.winners import winners


@dataclass
class OkTopk(Partitioned):
    """Sums sparse payloads and keeps the k largest sums, k being the payload's budget.

    Attributes:
        largest_share: winners of the owner with most of them, over the mean, beyond which they are
            balanced before they are told; and those of `Partitioned`.
    """

    largest_share: float = 4.0

    id: ClassVar[str] = "oktopk"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if not self.largest_share >= 1:
            raise ConfigError(f"OkTopk: largest_share must be >= 1, got {self.largest_share}")

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {**super().config(), "largest_share": self.largest_share}

    def keep(
        self, owned: Owned, exchanged: Exchanged, communicator: Communicator, report: Report
    ) -> Kept:
        """Return the winners among this owner's sums, or its equal run of all winners."""
        payload, partition, layout, agreement = exchanged
        with report.phase("select", communicator):
            # Inf in a sum is the largest magnitude there is: it wins, and so all ranks know.
            rounded = not payload.value_format.exact
            won = winners(owned.values, payload.budget, communicator, partition.guess, rounded)
            partition.guess = won.guess
            owned = replace(
                owned, indices=owned.indices[won.places], values=owned.values[won.places]
            )
        if won.shares and imbalance(won.shares) > self.largest_share:
            with report.phase("balance", communicator):
                owned, layout = balance(owned, won.shares, layout, agreement, communicator)
            return Kept(owned, layout, payload.budget)
        return Kept(owned, layout, payload.budget, won.shares)

    def delivered(self, payload: Payload, reduced: Payload) -> tuple[Indices, Positions]:
        """Return this rank's entries that won, and where among all of its entries they are."""
        return kernels.intersect(payload.indices, reduced.indices)
