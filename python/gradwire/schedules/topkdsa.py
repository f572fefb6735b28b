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
from gradwire.payload import Indices, Payload
from gradwire.schedules.base import Report
from gradwire.schedules.ownership import Owned
from gradwire.schedules.partitioned import Exchanged, Kept, Partitioned, Positions
from gradwire.values import Plain, ValueFormat


@dataclass
class TopkDsa(Partitioned):
    """Sums sparse payloads and keeps all sums.

    The configuration is that of `Partitioned`.
    """

    id: ClassVar[str] = "topkdsa"

    def keep(
        self, owned: Owned, exchanged: Exchanged, communicator: Communicator, report: Report
    ) -> Kept:
        """Return all of this owner's sums."""
        payload, region = exchanged.payload, exchanged.layout.region_of(communicator.rank)
        with report.phase("gather", communicator):
            filled = _filled(owned, *region, payload.value_format, communicator.byte_seconds)
        # All ranks' entries may lie in one region; filling it at most doubles them.
        return Kept(filled, exchanged.layout, 2 * payload.budget * communicator.size)

    def delivered(self, payload: Payload, reduced: Payload) -> tuple[Indices, Positions]:
        """Return all of this rank's entries."""
        del reduced
        return payload.indices, slice(None)


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
