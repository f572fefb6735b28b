"""Split and gather of the whole union ("TopkDSA"): every entry of every rank gets through.

The split-allgather of SparCML (Renggli et al., SC 2019), which Li and Hoefler (PPoPP 2022) call
TopkDSA:

1. every rank brings at most k entries;
2. the index space is cut into one region per rank;
3. split and reduce: each entry goes to the owner of its region, who adds in rank order;
4. gather: owners send all their sums to all ranks, as entries or, where the region is so full that
   this takes fewer bytes, as the whole region with its zeros.

There is no global selection, so there is nothing to wait for between 3 and 4, and nothing stays in
the residual but what rounding took away. In words of 4 bytes, an index being one: 2 k (P - 1) / P
per rank in phase 3 and, in phase 4, from as many (all ranks chose the same elements) to 2 k (P - 1)
(all chose others), but never more than n (P - 1) / P.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.index_codecs import choose_codec
from gradwire.payload import Payload
from gradwire.schedules.agreement import Agreement, agree
from gradwire.schedules.base import Correction, Outcome, Report, not_finite
from gradwire.schedules.dense import Dense
from gradwire.schedules.ownership import Layout, Owned, gather, split
from gradwire.schedules.partitioned import Partitioned
from gradwire.values import Plain, ValueFormat


@dataclass
class TopkDsa(Partitioned):
    """Sums sparse payloads and keeps all sums.

    The configuration is that of `Partitioned`.
    """

    id: ClassVar[str] = "topkdsa"

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
        with report.phase("gather", communicator):
            region = layout.region_of(communicator.rank)
            owned = _filled(owned, *region, payload.value_format, communicator.byte_seconds)
            # All ranks' entries may lie in one region; filling it at most doubles them.
            most = 2 * payload.budget * communicator.size
            gathered = gather(owned, payload, layout, agreement, communicator, most=most)
        reduced = gathered.reduced
        report.winners = len(reduced.indices)
        report.imbalance = self.note_loads(partition, gathered.loads)
        if not reduced.finite():
            return not_finite(report)
        left = []  # what rounding took away of this rank's entries, and of this owner's sums
        if rounded_off is not None:
            left.append((payload.indices, rounded_off))
        if gathered.values_left is not None:
            left.append((owned.indices, gathered.values_left))
        return Outcome(True, reduced, payload.indices, report, Correction(tuple(left)))


def _filled(
    owned: Owned, begin: int, length: int, value_format: ValueFormat, byte_seconds: float
) -> Owned:
    """Return the sums with a zero for every other element of the region, if that is shorter.

    A full region needs no indices. Formats with scales are left alone: not all of them have a code
    for zero, and zeros would change the scales of their neighbours.
    """
    count = len(owned.indices)
    if not isinstance(value_format, Plain) or not count < length <= 2 * count:
        return owned
    index_bytes = choose_codec(count, length, byte_seconds).largest(count, length)
    if value_format.nbytes(length) > value_format.nbytes(count) + index_bytes:
        return owned
    values = np.zeros(length, np.float32)
    values[owned.indices - np.uint32(begin)] = owned.values
    indices = np.arange(begin, begin + length, dtype=np.uint32)
    return replace(owned, indices=indices, values=values)
