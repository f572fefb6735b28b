"""What schedules with owners of regions share: regions that follow the load.

The regions are cut anew every so many exchanges, and at once when an owner received much more than
the others. The result of an exchange does not depend on them, so they are no part of a saved state.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, require_integer
from gradwire.payload import Indices, Payload
from gradwire.recent import Recent
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Correction, Outcome, Report
from gradwire.schedules.ownership import Gathered, Layout, Owned, gather, split
from gradwire.schedules.regions import (
    Boundaries,
    balanced_regions,
    imbalance,
    loads_between,
    tile_loads,
)
from gradwire.schedules.sparse import SparseSchedule
from gradwire.schedules.winners import NO_GUESS, Guess

Counts = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.int64] | slice

# The busiest owner's share over the mean, of what it receives and tells, that has the regions cut
# anew, and exchanges in between: a cut costs about a millisecond over links of 1 Gbit/s.
DRIFT, SETTLING = 1.1, 4


@dataclass
class Partition:
    """What is known from the last exchanges, the same on all ranks; no result depends on it.

    Attributes:
        boundaries: (P + 1,) of the regions in use.
        since: exchanges since they were cut, the one that did it included.
        overloaded: whether an owner's share was too large.
        guess: what the last search for the k-th sum left, for schedules that look for it.
        told: how many of the last sums that owners told lie in each load tile; None before.
        blind: the regions were cut without knowing that.
        drifted: what owners receive and tell is no longer balanced.
    """

    boundaries: Boundaries
    since: int = 0
    overloaded: bool = False
    guess: Guess = NO_GUESS
    told: Counts | None = None
    blind: bool = True
    drifted: bool = False


class Exchanged(NamedTuple):
    """What an exchange is about: what this rank brought, and who owns what of it."""

    payload: Payload
    partition: Partition
    layout: Layout
    agreement: Agreement


class Kept(NamedTuple):
    """What an owner tells all ranks.

    Attributes:
        owned: its sums, or those that it tells for others.
        layout: where each rank's sums lie; the same on all ranks.
        most: the number of sums that no rank exceeds; the same on all ranks.
        counts: how many each rank tells, where all ranks know.
    """

    owned: Owned
    layout: Layout
    most: int
    counts: list[int] | None = None


@dataclass
class Partitioned(SparseSchedule):
    """Base of schedules that move entries to the owners of regions.

    They say which sums an owner keeps, and which entries that delivers.

    Attributes:
        repartition_every: exchanges after which the regions are cut anew.
        largest_imbalance: load of the busiest owner, over the mean, that has them cut at once.
    """

    repartition_every: int = 64
    largest_imbalance: float = 2.0
    _partitions: Recent[tuple[str, int, int], Partition] = field(
        default_factory=Recent, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        who = type(self).__name__
        require_integer(f"{who}: repartition_every", self.repartition_every, 1)
        if not self.largest_imbalance >= 1:
            raise ConfigError(
                f"{who}: largest_imbalance must be >= 1, got {self.largest_imbalance}"
            )

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {
            "id": self.id,
            "repartition_every": self.repartition_every,
            "largest_imbalance": self.largest_imbalance,
        }

    @abc.abstractmethod
    def keep(
        self, owned: Owned, exchanged: Exchanged, communicator: Communicator, report: Report
    ) -> Kept:
        """Return what this owner tells; collective."""

    @abc.abstractmethod
    def delivered(self, payload: Payload, reduced: Payload) -> tuple[Indices, Positions]:
        """Return this rank's entries that got through, and where among its entries they are."""

    def reduce_entries(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`SparseSchedule.reduce_entries`)."""
        with report.phase("partition", communicator):
            partition = self.partition(payload, agreement, communicator)
        layout = Layout.of(payload, partition.boundaries)
        with report.phase("split", communicator):
            owned, rounded_off = split(payload, layout, agreement, communicator)
        report.reduced = len(owned.indices)
        exchanged = Exchanged(payload, partition, layout, agreement)
        kept, layout, most, counts = self.keep(owned, exchanged, communicator, report)
        with report.phase("gather", communicator):
            gathered = gather(
                kept, payload, layout, agreement, communicator, most=most, counts=counts
            )
        reduced = gathered.reduced
        report.winners = len(reduced.indices)
        report.imbalance = self.note(partition, gathered)
        delivered, positions = self.delivered(payload, reduced)
        left = []  # what rounding took away of the delivered entries, and of this owner's sums
        if rounded_off is not None:
            left.append((delivered, rounded_off[positions]))
        if gathered.values_left is not None:
            left.append((kept.indices, gathered.values_left))
        return Outcome(True, reduced, delivered, report, Correction(tuple(left)))

    def partition(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Partition:
        """Return the regions for this exchange, cut anew where due; collective.

        Whether they are due depends only on what all ranks know: the number of exchanges since the
        last cut and the loads that the owners told in their last messages. They balance what owners
        receive and what they tell.
        """
        key = (agreement.description, payload.numel, communicator.size)
        known = self._partitions.get(key)
        if known and not self._due(known):
            known.since += 1
            return known
        loads = communicator.allreduce(tile_loads(payload.indices, payload.numel), "sum")
        total = loads.astype(np.int64)
        if known and known.told is not None:
            # All ranks' entries come, and the sums go to all ranks.
            total += communicator.size * known.told.astype(np.int64)
        boundaries = balanced_regions(total, payload.numel, communicator.size)
        new = Partition(boundaries, since=1)
        if known:
            new.guess, new.told, new.blind = known.guess, known.told, known.told is None
        self._partitions[key] = new
        return new

    def _due(self, known: Partition) -> bool:
        blind = known.blind and known.told is not None
        drifted = known.drifted and known.since >= min(SETTLING, self.repartition_every)
        return known.since >= self.repartition_every or known.overloaded or blind or drifted

    def note(self, partition: Partition, gathered: Gathered) -> float:
        """Remember what the owners had and told; return the imbalance of what they received."""
        reduced = gathered.reduced
        partition.told = tile_loads(reduced.indices, reduced.numel)
        found = imbalance(gathered.loads)
        partition.overloaded = found > self.largest_imbalance
        told = loads_between(reduced.indices, partition.boundaries)
        partition.drifted = found + imbalance(told.tolist()) > 2 * DRIFT
        return found
