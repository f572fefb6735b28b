"""gTop-k: a tree of merges, each of which keeps the k largest sums.

After Shi et al., "A Distributed Synchronous SGD Algorithm with Global Top-k Sparsification for
Low Bandwidth Networks", ICDCS 2019 (arXiv 1901.04359), for any number of ranks:

1. every rank brings at most k entries;
2. merge: in round j, of ceil(log2 P), the ranks that are odd multiples of 2^j send what they hold
   to the rank 2^j below, which adds it to its own and keeps the k largest sums, ties by lowest
   index;
3. broadcast: what rank 0 holds at last goes down the same tree.

A rank that prunes a sum keeps it in its residual, so nothing is lost on the way up; so a rank's own
entries are all off its hands, whatever becomes of them. Unlike Ok-Topk's, the result is not the
exact top-k of the sums: an entry may be pruned before all its summands have met.

Every sum is decided and rounded by one rank, and what rank 0 sends is passed on byte for byte. So
all ranks get the same bits for any P and with any rounding, which recursive doubling, where many
ranks repeat each merge, would have to bring about; and only one rank can keep what is pruned.

In words of 4 bytes, an index being one, the busiest rank sends and receives 4 k ceil(log2 P), in
2 ceil(log2 P) messages; all ranks together send 4 k (P - 1). Tails and dense values take the same
way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.index_codecs import choose_codec
from gradwire.payload import Float32, Indices, Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Correction, Outcome, Report
from gradwire.schedules.sparse import SparseSchedule
from gradwire.values import FLOAT32, plain
from gradwire.wire import Expected, Kind, Message, decode, encode

Entries = tuple[Indices, Float32]

_NOT_YET: Bytes = np.empty(0, np.uint8)


@dataclass
class GTopk(SparseSchedule):
    """Sums sparse payloads in a tree and keeps k sums at every merge, k being the budget."""

    id: ClassVar[str] = "gtopk"

    def reduce_entries(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`SparseSchedule.reduce_entries`)."""
        tree = _Tree(payload, agreement, communicator)
        with report.phase("merge", communicator):
            tree.merge()
        report.reduced = len(tree.held.indices)
        with report.phase("broadcast", communicator):
            reduced = tree.broadcast()
        report.winners = len(reduced.indices)
        return Outcome(True, reduced, payload.indices, report, Correction(tuple(tree.left)))

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {"id": self.id}


class _Pair(NamedTuple):
    """Two ranks that exchange a message in one round."""

    below: int
    above: int


@dataclass(frozen=True)
class _Held:
    """The sums over the ranks that have been merged so far; dense values as float32."""

    indices: Indices
    values: Float32
    dense: Float32
    tail: Float32


class _Tree:
    """One rank's part in one exchange.

    Attributes:
        held: what this rank brought, then the sums that it kept.
        left: what goes into its residual: sums that it pruned, and what its rounding took away.
    """

    def __init__(self, payload: Payload, agreement: Agreement, communicator: Communicator) -> None:
        self._payload, self._agreement, self._communicator = payload, agreement, communicator
        self.held = _Held(payload.indices, payload.values, payload.dense.decode(), payload.tail)
        self.left: list[Entries] = []

    def merge(self) -> None:
        """Climb the tree; collective."""
        rank = self._communicator.rank
        for pair in self._pairs():
            if pair is None:
                self._exchange({}, [])
            elif rank == pair.above:
                self._exchange({pair.below: self._written(Kind.SPLIT, pair)}, [])
            else:
                received = self._exchange({}, [pair.above])[pair.above]
                above = self._communicator.ranks[pair.above]
                self._add(decode(received, self._expected(Kind.SPLIT, pair), above))

    def broadcast(self) -> Payload:
        """Come down the tree with what rank 0 holds, and return it; collective."""
        rank = self._communicator.rank
        sender, data = rank, self._written(Kind.GATHER) if rank == 0 else _NOT_YET
        for pair in reversed(self._pairs()):
            if pair is None:
                self._exchange({}, [])
            elif rank == pair.below:
                self._exchange({pair.above: data}, [])
            else:
                sender = pair.below
                data = self._exchange({}, [sender])[sender]
        message = decode(data, self._expected(Kind.GATHER), self._communicator.ranks[sender])
        return Payload(
            self._payload.numel,
            message.indices,
            message.values.decode(),
            message.dense,
            self._payload.budget,
            tail=message.tail,
        )

    def _pairs(self) -> list[_Pair | None]:
        """Return, for each round of `merge`, the pair that this rank is one of, or None."""
        rank, size = self._communicator.rank, self._communicator.size
        pairs: list[_Pair | None] = []
        for distance in (1 << round_ for round_ in range((size - 1).bit_length())):
            below = rank - rank % (2 * distance)
            partners = rank in (below, below + distance) and below + distance < size
            pairs.append(_Pair(below, below + distance) if partners else None)
        return pairs

    def _exchange(self, messages: dict[int, Bytes], sources: list[int]) -> dict[int, Bytes]:
        limit = self._expected(Kind.GATHER).largest  # and of the other kind
        return self._communicator.exchange_with(messages, sources, limit)

    def _tag(self, pair: _Pair | None) -> int:
        """Return what says which messages these are; on the way up also whose and for whom."""
        return self._agreement.tag_between(pair.above, pair.below) if pair else self._agreement.tag

    def _written(self, kind: Kind, pair: _Pair | None = None) -> Bytes:
        """Return what this rank holds as a message, and keep what that takes away of the values."""
        held, payload = self.held, self._payload
        values = payload.value_format.encode(held.values, payload.stream)
        if not values.format.exact:
            self.left.append((held.indices, values.lost(held.values)))
        message = Message(
            kind,
            self._tag(pair),
            self._agreement.step,
            held.indices,
            values,
            plain(held.dense),
            held.tail,
        )
        count, byte_seconds = len(held.indices), self._communicator.byte_seconds
        return encode(message, 0, payload.numel, choose_codec(count, payload.numel, byte_seconds))

    def _expected(self, kind: Kind, pair: _Pair | None = None) -> Expected:
        """Return what anybody knows about a message."""
        payload = self._payload
        return Expected(
            kind,
            self._tag(pair),
            self._agreement.step,
            0,
            payload.numel,
            payload.budget,
            payload.value_format,
            FLOAT32,
            len(payload.dense),
            len(payload.tail),
        )

    def _add(self, message: Message) -> None:
        """Add what came from above, keep the largest sums, and put the others aside."""
        held = self.held
        indices, values = kernels.merge(
            [held.indices, message.indices], [held.values, message.values.decode()]
        )
        # Inf in a sum is the largest magnitude there is: it is kept and so becomes known to all.
        kept = kernels.topk(values, self._payload.budget)
        pruned = np.ones(len(values), np.bool_)
        pruned[kept.indices] = False
        self.left.append((indices[pruned], values[pruned]))
        dense = kernels.add(held.dense, message.dense.decode())
        tail = kernels.add(held.tail, message.tail)
        self.held = _Held(indices[kept.indices], kept.values, dense, tail)
