"""What schedules with owners of regions share: regions that follow the load.

The regions are cut anew every so many exchanges, and at once when an owner received much more than
the others. The result of an exchange does not depend on them, so they are no part of a saved state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.recent import Recent
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Schedule
from gradwire.schedules.regions import Boundaries, balanced_regions, imbalance, tile_loads


@dataclass
class Partition:
    """What is known from the last exchanges, the same on all ranks; no result depends on it.

    Attributes:
        boundaries: (P + 1,) of the regions in use.
        since: exchanges since they were cut, the one that did it included.
        overloaded: whether an owner's share was too large.
        guess: bits of the last k-th sum, for schedules that look for it.
    """

    boundaries: Boundaries
    since: int = 0
    overloaded: bool = False
    guess: int = 0


@dataclass
class Partitioned(Schedule):
    """Base of schedules that move entries to the owners of regions.

    Attributes:
        repartition_every: exchanges after which the regions are cut anew.
        largest_imbalance: load of the busiest owner, over the mean, that has them cut at once.
    """

    repartition_every: int = 64
    largest_imbalance: float = 2.0
    _partitions: Recent[tuple[str, int], Partition] = field(default_factory=Recent, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        who = type(self).__name__
        if self.repartition_every < 1:
            raise ConfigError(
                f"{who}: repartition_every must be >= 1, got {self.repartition_every}"
            )
        if self.largest_imbalance < 1:
            raise ConfigError(
                f"{who}: largest_imbalance must be >= 1, got {self.largest_imbalance}"
            )

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that sends neither entries nor summable dense values."""
        self.check_sparse(compressor)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {
            "id": self.id,
            "repartition_every": self.repartition_every,
            "largest_imbalance": self.largest_imbalance,
        }

    def partition(
        self, payload: Payload, agreement: Agreement, communicator: Communicator
    ) -> Partition:
        """Return the regions for this exchange, cut anew where due; collective.

        Whether they are due depends only on what all ranks know: the number of exchanges since the
        last cut and the loads that the owners told in their last messages.
        """
        key = (agreement.description, payload.numel)
        known = self._partitions.get(key)
        if known and known.since < self.repartition_every and not known.overloaded:
            known.since += 1
            return known
        loads = communicator.allreduce(tile_loads(payload.indices, payload.numel), "sum")
        boundaries = balanced_regions(loads, payload.numel, communicator.size)
        self._partitions[key] = Partition(boundaries, 1, guess=known.guess if known else 0)
        return self._partitions[key]

    def note_loads(self, partition: Partition, loads: list[int]) -> float:
        """Remember whether an owner's load was too large; return the imbalance."""
        found = imbalance(loads)
        partition.overloaded = found > self.largest_imbalance
        return found
