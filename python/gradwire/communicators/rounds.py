"""Operations of virtual ranks whose messages arrive all together, when the last rank has sent.

What a simulation without reordering works with. A rank's messages are copied once, into one block
of memory, and once more by each receiver when it goes on; an allreduce adds once for all ranks. So
thousands of ranks exchange millions of messages in seconds, and little more than the bytes under
way is in memory.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import Any

import numpy as np

from gradwire.communicators.messages import Bytes
from gradwire.communicators.reduction import Array, ReduceOp, reduce_in_rank_order


class Posted:
    """One rank's messages to all, as they were when it sent them."""

    def __init__(self, messages: list[Bytes], rank: int) -> None:
        """Copy the messages, except the one to ``rank`` itself; one that goes to all only once."""
        first = messages[0]
        self._to_all = all(message is first for message in messages)
        if self._to_all:
            self._block = first.copy()
            return
        others = [*messages[:rank], messages[rank][:0], *messages[rank + 1 :]]
        self._block = np.concatenate(others)
        self._ends = array("q", accumulate(message.size for message in others))

    def message(self, rank: int) -> Bytes:
        """Return the message to a rank, in memory that nobody else has."""
        if self._to_all:
            whole: Bytes = self._block.copy()
            return whole
        begin = self._ends[rank - 1] if rank else 0
        part: Bytes = self._block[begin : self._ends[rank]].copy()
        return part


class Round:
    """One operation of all ranks, from the first that sends until the last has its answer."""

    def __init__(self, size: int) -> None:
        self._posted: list[Any] = [None] * size
        self._missing = size
        self._taken = 0
        self._total: Array | None = None

    def post(self, rank: int, what: Posted | Array) -> None:
        """Take what a rank sends: its messages, or its array of an allreduce."""
        self._posted[rank] = what
        self._missing -= 1

    @property
    def complete(self) -> bool:
        """Whether all ranks have sent."""
        return not self._missing

    def awaited(self) -> list[int]:
        """Return the ranks that have not sent yet, increasing."""
        return [rank for rank, what in enumerate(self._posted) if what is None]

    def messages(self, rank: int, own: Bytes) -> list[Bytes]:
        """Return what all ranks sent to one, its own message passed through; once for each rank."""
        self._taken += 1
        return [
            own if peer == rank else posted.message(rank)
            for peer, posted in enumerate(self._posted)
        ]

    def reduced(self, op: ReduceOp) -> Array:
        """Return the sum or maximum of the arrays, added in rank order; once for each rank."""
        self._taken += 1
        if self._total is None:
            first = self._posted[0]
            parts = [each.view(np.uint8) for each in self._posted]
            self._total = reduce_in_rank_order(parts, first.dtype, first.nbytes, op)
        total: Array = self._total.copy()
        return total

    @property
    def over(self) -> bool:
        """Whether every rank has had its answer."""
        return self._taken == len(self._posted)
