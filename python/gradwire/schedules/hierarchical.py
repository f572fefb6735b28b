"""Two levels: ranks of a group (a host) first, then one schedule between the groups.

Of P ranks in groups of g:

1. near split: each rank of a group owns one of g shards of the index space, the same shards in all
   groups, and adds in rank order what its group sends of its shard, as float32;
2. it keeps the ceil(k / g) largest sums of its shard; those that it prunes stay in its residual;
3. the ranks that own the same shard in all groups reduce it with the inner schedule. Entries of a
   sum that does not get through stay with that sum, in the residual of its owner;
4. near gather: owners tell their group what came out of their shard.

Between groups a rank moves what the inner schedule moves for a shard of k / g entries, so a host
sends what a single rank of the flat schedule would: 1 / g of what its ranks would send together. It
sends to P / g - 1 peers instead of P - 1. Within a group each rank moves 2 k (g - 1) / g entries.

Whatever a rank sent is off its hands, so all its entries are delivered: the owner of a sum keeps
what does not get through. The result is not the exact top-k of all sums, for shards are pruned one
by one; they are cut so that they had equal shares of all ranks' entries when it was last looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, require_integer
from gradwire.payload import Float32, Indices, Payload
from gradwire.recent import Recent
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Correction, Outcome, Report, Schedule
from gradwire.schedules.groups import Place, place_of
from gradwire.schedules.ownership import Layout, Owned, gather, split
from gradwire.schedules.regions import Boundaries, balanced_regions, equal_regions, tile_loads
from gradwire.values import FLOAT32

Entries = tuple[Indices, Float32]


@dataclass
class Shards:
    """The boundaries of the shards, and for how many exchanges they have been in use."""

    boundaries: Boundaries
    since: int = 0


class Shard(NamedTuple):
    """What one rank brings to the inner schedule, and what it keeps of its group's sums.

    Attributes:
        payload: the sums of the group, with indices that count from ``begin``.
        begin: where the shard begins.
        pruned: entries with indices of the whole space.
        dense_left: what rounding took away of the dense sums; None if they were not rounded.
    """

    payload: Payload
    begin: int
    pruned: Entries
    dense_left: Float32 | None


@dataclass
class Hierarchical(Schedule):
    """Sums within groups, and the groups' sums with another schedule.

    Attributes:
        inner: that schedule, its name, or its configuration.
        group_size: ranks of a group, successive ones; None: those of a host.
        recut_every: exchanges after which shards are cut anew.
    """

    inner: Schedule | str | Mapping[str, Any] = "oktopk"
    group_size: int | None = None
    recut_every: int = 64
    _shards: Recent[tuple[str, int, int], Shards] = field(
        default_factory=Recent, init=False, repr=False, compare=False
    )

    id: ClassVar[str] = "hierarchical"

    def __post_init__(self) -> None:
        """Make the inner schedule, and check the ranges."""
        from gradwire.schedules import schedule_of

        self._inner = schedule_of(self.inner)
        if isinstance(self._inner, Hierarchical):
            raise ConfigError("Hierarchical: inner must be another schedule, got hierarchical")
        if self.group_size is not None:
            require_integer("Hierarchical: group_size", self.group_size, 1)
        require_integer("Hierarchical: recut_every", self.recut_every, 1)

    @property
    def moves_dense(self) -> bool:
        """Whether it moves whole gradients, and no entries."""
        return self._inner.moves_dense

    def check(self, compressor: Any) -> None:
        """Refuse a compressor that the inner schedule cannot serve."""
        self._inner.check(compressor)

    def check_ranks(self, communicator: Communicator) -> None:
        """Refuse ranks that do not make even groups, and transports without subgroups."""
        place = place_of(communicator.rank, communicator.hosts, self.group_size)
        if len(place.near) > 1 and not communicator.knows_subgroups:
            raise ConfigError(
                f"schedule 'hierarchical': {communicator!r} knows no subgroups; use MPI"
            )
        self._inner.check_ranks(communicator)

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        return {
            "id": self.id,
            "inner": self._inner.config(),
            "group_size": self.group_size,
            "recut_every": self.recut_every,
        }

    def reduce(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, report: Report
    ) -> Outcome:
        """Reduce what all ranks have agreed on (see :meth:`Schedule.reduce`)."""
        place = place_of(communicator.rank, communicator.hosts, self.group_size)
        if len(place.near) == 1:
            return self._inner.reduce(payload, agreement, communicator, report)
        return self._reduce_in_groups(payload, agreement, communicator, report, place)

    def _reduce_in_groups(
        self,
        payload: Payload,
        agreement: Agreement,
        communicator: Communicator,
        report: Report,
        place: Place,
    ) -> Outcome:
        with report.phase("partition", communicator):
            boundaries = self._cut(payload, agreement, communicator, len(place.near))
        near, far = communicator.subgroup(place.near), communicator.subgroup(place.far)
        layout = Layout.of(payload, boundaries)
        # What costs little to send is not rounded.
        exact, within = payload.in_format(FLOAT32), agreement.of_part("in groups")
        with report.phase("near split", communicator):
            owned, _ = split(exact, layout, within, near)
            shard = _shard_of(owned, payload, layout, near)
        inner = self._inner.reduce(shard.payload, agreement.of_part("across"), far, report)
        told = Owned(
            inner.reduced.indices + np.uint32(shard.begin),
            inner.reduced.values,
            inner.reduced.dense.decode(),
            inner.reduced.tail,
            owned.load,
        )
        with report.phase("near gather", communicator):
            gathered = gather(told, exact, layout, within, near, FLOAT32, most=payload.numel)
        reduced = gathered.reduced
        report.winners = len(reduced.indices)
        begin = layout.dense_of(near.rank).start
        return Outcome(True, reduced, payload.indices, report, _left(shard, inner, begin))

    def _cut(
        self, payload: Payload, agreement: Agreement, communicator: Communicator, parts: int
    ) -> Boundaries:
        """Return the boundaries of the shards, cut anew where due; collective."""
        if not payload.budget:
            return equal_regions(payload.numel, parts)
        key = (agreement.description, payload.numel, communicator.size)
        known = self._shards.get(key)
        if known is None or known.since >= self.recut_every:
            loads = communicator.allreduce(tile_loads(payload.indices, payload.numel), "sum")
            known = self._shards[key] = Shards(balanced_regions(loads, payload.numel, parts))
        known.since += 1
        return known.boundaries


def _shard_of(owned: Owned, payload: Payload, layout: Layout, near: Communicator) -> Shard:
    """Return what this rank brings of its group's sums to the inner schedule."""
    begin, length = layout.region_of(near.rank)
    budget = min(length, -(-payload.budget // near.size))
    indices, values = owned.indices, owned.values
    pruned = np.zeros(len(indices), np.bool_)
    if len(indices) > budget:
        # Inf in a sum is the largest magnitude there is: it is kept and so becomes known to all.
        kept = kernels.topk(values, budget).indices
        pruned[:] = True
        pruned[kept] = False
    stream = payload.stream
    if stream:
        stream = stream._replace(key=kernels.fnv1a32(f"{stream.key} across"))
    form = payload.dense.format
    dense = form.encode(owned.dense, stream)
    inner = Payload(
        length,
        indices[~pruned] - np.uint32(begin),
        values[~pruned],
        dense,
        budget,
        payload.value_format,
        owned.tail,
        stream,
    )
    dense_left = None if form.exact else dense.lost(owned.dense)
    return Shard(inner, begin, (indices[pruned], values[pruned]), dense_left)


def _left(shard: Shard, inner: Outcome, dense_begin: int) -> Correction:
    """Return what did not get through of a shard, for its owner's residual."""
    brought, correction = shard.payload, inner.correction
    _, positions = kernels.intersect(brought.indices, inner.delivered)
    lost = np.ones(len(brought.indices), np.bool_)
    lost[positions] = False
    kept = [(brought.indices[lost], brought.values[lost]), *correction.entries]
    begin = np.uint32(shard.begin)
    entries = (shard.pruned, *((indices + begin, values) for indices, values in kept))
    dense = correction.dense
    if shard.dense_left is None:
        return Correction(entries, dense_begin + correction.begin, dense)
    total = shard.dense_left
    part = total[correction.begin : correction.begin + len(dense)]
    kernels.add(part, dense, part)
    return Correction(entries, dense_begin, total)
