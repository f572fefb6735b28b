"""Split and gather: every region has an owner, who adds what all ranks send and tells the sum.

Entries go to the owner of their region, dense values and tails to the owner of their slice, all in
the same message, so one rank sends one message per peer and phase. Owners add in rank order, in
float32. Values that are rounded on their way are rounded twice: by their sender and, as sums, by
their owner; each keeps what that took away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.errors import WireError
from gradwire.index_codecs import choose_codec
from gradwire.payload import Float32, Indices, Payload
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.base import Correction, Report
from gradwire.schedules.regions import Boundaries, equal_regions, slices_of
from gradwire.values import FLOAT32, Encoded, ValueFormat, plain
from gradwire.wire import Expected, Kind, Message, decode, encode


@dataclass(frozen=True)
class Layout:
    """Who owns what of a bucket; the same on all ranks.

    Attributes:
        regions: (P + 1,) boundaries in the space of the entries' indices.
        dense: (P + 1,) boundaries in the dense values.
        tail: (P + 1,) boundaries in the tail.
        told: beginning and length of the region in which the sums lie that each rank tells, where
            that is not its own.
    """

    regions: Boundaries
    dense: Boundaries
    tail: Boundaries
    told: tuple[tuple[int, int], ...] | None = None

    @classmethod
    def of(cls, payload: Payload, regions: Boundaries) -> Layout:
        """Return the layout for payloads like this one.

        Dense values are cut at multiples of their format's alignment.
        """
        size, count = len(regions) - 1, len(payload.dense)
        unit = payload.dense.format.alignment
        dense = np.minimum(equal_regions(-(-count // unit), size) * unit, count)
        return cls(regions, dense, equal_regions(len(payload.tail), size))

    def dense_of(self, rank: int) -> slice:
        """Return a rank's slice of the dense values."""
        return slice(int(self.dense[rank]), int(self.dense[rank + 1]))

    def tail_of(self, rank: int) -> slice:
        """Return a rank's slice of the tail."""
        return slice(int(self.tail[rank]), int(self.tail[rank + 1]))

    def region_of(self, rank: int) -> tuple[int, int]:
        """Return the beginning and the length of a rank's region, or of what it tells."""
        if self.told:
            return self.told[rank]
        begin = int(self.regions[rank])
        return begin, int(self.regions[rank + 1]) - begin


@dataclass(frozen=True)
class Owned:
    """The sums over all ranks of what one rank owns.

    Attributes:
        indices: (count,) uint32 in the rank's region, increasing.
        values: (count,) float32 sums, added in rank order.
        dense: float32 sums of the rank's slice of the dense values.
        tail: float32 sums of the rank's slice of the tail.
        load: entries received from all ranks.
    """

    indices: Indices
    values: Float32
    dense: Float32
    tail: Float32
    load: int


def split(
    payload: Payload, layout: Layout, agreement: Agreement, communicator: Communicator
) -> tuple[Owned, Float32 | None]:
    """Send each owner its part; collective.

    Returns the sums of what this rank owns, and what rounding took away of each of this rank's
    entries: (count,) float32, None if nothing was rounded.
    """
    rank, size = communicator.rank, communicator.size
    parts = slices_of(payload.indices, layout.regions)
    messages = [
        _to_owner(peer, payload, part, layout, agreement.tag_between(rank, peer), agreement.step)
        for peer, part in enumerate(parts)
    ]
    expected = [
        _expected(
            Kind.SPLIT, payload, payload.dense.format, each, layout, agreement, payload.budget
        )
        for each in range(size)
    ]
    sent = [
        _encoded(message, *layout.region_of(peer), communicator) if peer != rank else b""
        for peer, message in enumerate(messages)
    ]
    received = communicator.exchange(sent, max(each.largest for each in expected))
    owned = _add_up(
        [
            messages[rank]
            if peer == rank
            else decode(
                data,
                replace(expected[rank], agreement=agreement.tag_between(peer, rank)),
                communicator.ranks[peer],
            )
            for peer, data in enumerate(received)
        ]
    )
    if payload.value_format.exact:
        return owned, None
    return owned, np.concatenate(
        [
            message.values.lost(payload.values[part])
            for message, part in zip(messages, parts, strict=True)
        ]
    )


@dataclass(frozen=True)
class Gathered:
    """What all owners told, and what this one's rounding took away.

    Attributes:
        reduced: the sums of all owners; float32.
        loads: every owner's load.
        values_left: (count,) float32 for this owner's entries; None if nothing was rounded.
        dense_left: float32 for this owner's slice of the dense values; None likewise.
        dense_begin: where that slice begins.
    """

    reduced: Payload
    loads: list[int]
    values_left: Float32 | None
    dense_left: Float32 | None
    dense_begin: int

    def dense_correction(self) -> Correction:
        """Return what this owner's residual is owed for its sums of dense values."""
        if self.dense_left is None:
            return Correction()
        return Correction(begin=self.dense_begin, dense=self.dense_left)


def gather(
    owned: Owned,
    payload: Payload,
    layout: Layout,
    agreement: Agreement,
    communicator: Communicator,
    dense_format: ValueFormat | None = None,
    most: int | None = None,
    counts: Sequence[int] | None = None,
) -> Gathered:
    """Send what this rank owns to all; collective.

    ``payload`` is what this rank brought, for its sizes and formats; ``dense_format`` is what sums
    of dense values are rounded to, the format of the payload's if None; ``most`` the number of
    entries that no owner exceeds, the payload's budget if None; ``counts`` how many each owner has,
    where all ranks know.
    """
    rank, size = communicator.rank, communicator.size
    dense_format = dense_format or payload.dense.format
    stream = payload.stream and payload.stream._replace(phase=1)
    values = payload.value_format.encode(owned.values, stream)
    first = stream and stream._replace(first=layout.dense_of(rank).start)
    dense = dense_format.encode(owned.dense, first)
    message = Message(
        Kind.GATHER, agreement.tag, agreement.step, owned.indices, values, dense, owned.tail,
        min(owned.load, 0xFFFFFFFF),
    )  # fmt: skip
    data = _encoded(message, *layout.region_of(rank), communicator)
    most = payload.budget if most is None else most
    expected = [
        _expected(Kind.GATHER, payload, dense_format, each, layout, agreement, most)
        for each in range(size)
    ]
    limit = max(each.largest for each in expected)
    received = [
        message if peer == rank else decode(each, expected[peer], communicator.ranks[peer])
        for peer, each in enumerate(communicator.allgatherv(data, limit))
    ]
    for peer, each in enumerate(received):
        if counts is not None and len(each.indices) != counts[peer]:
            raise WireError(
                f"expected {counts[peer]} sums from rank {communicator.ranks[peer]}, got "
                f"{len(each.indices)}"
            )
    return Gathered(
        _joined(received, payload),
        [each.load for each in received],
        None if values.format.exact else values.lost(owned.values),
        None if dense.format.exact else dense.lost(owned.dense),
        layout.dense_of(rank).start,
    )


def split_and_gather(
    payload: Payload,
    agreement: Agreement,
    communicator: Communicator,
    report: Report,
    dense_format: ValueFormat | None = None,
) -> Gathered:
    """Reduce a payload without entries; collective. ``dense_format`` is as in `gather`."""
    layout = Layout.of(payload, equal_regions(0, communicator.size))
    with report.phase("split", communicator):
        owned, _ = split(payload, layout, agreement, communicator)
    with report.phase("gather", communicator):
        return gather(owned, payload, layout, agreement, communicator, dense_format)


def _joined(received: list[Message], payload: Payload) -> Payload:
    """Return all owners' sums as one payload."""
    indices = np.concatenate([each.indices for each in received])
    values = np.concatenate([each.values.decode() for each in received])
    dense = np.concatenate([each.dense.decode() for each in received])
    tail = np.concatenate([each.tail for each in received])
    budget = max(payload.budget, len(indices))
    return Payload(payload.numel, indices, values, plain(dense), budget, FLOAT32, tail)


def _encoded(message: Message, begin: int, length: int, communicator: Communicator) -> Bytes:
    """Return the bytes of a message about a region, in the index codec that is through first."""
    codec = choose_codec(len(message.indices), length, communicator.byte_seconds)
    return encode(message, begin, length, codec)


def _to_owner(
    owner: int, payload: Payload, part: slice, layout: Layout, tag: int, step: int
) -> Message:
    """Return what an owner is to get of a payload: some of its entries, and of the dense values."""
    stream = payload.stream and payload.stream._replace(first=part.start)
    values = payload.value_format.encode(payload.values[part], stream)
    dense = layout.dense_of(owner)
    return Message(
        Kind.SPLIT,
        tag,
        step,
        payload.indices[part],
        values,
        payload.dense.part(dense.start, dense.stop),
        payload.tail[layout.tail_of(owner)],
    )


def _expected(
    kind: Kind,
    payload: Payload,
    dense_format: ValueFormat,
    owner: int,
    layout: Layout,
    agreement: Agreement,
    most: int,
) -> Expected:
    """Return what anybody knows about a message to (or, gathering, from) an owner."""
    begin, length = layout.region_of(owner)
    dense, tail = layout.dense_of(owner), layout.tail_of(owner)
    return Expected(
        kind,
        agreement.tag,
        agreement.step,
        begin,
        length,
        min(most, length),
        payload.value_format,
        dense_format,
        dense.stop - dense.start,
        tail.stop - tail.start,
    )


def _add_up(messages: list[Message]) -> Owned:
    """Add the messages of all ranks, in rank order."""
    indices, values = kernels.merge(
        [each.indices for each in messages], [each.values.decode() for each in messages]
    )
    dense = add_encoded([each.dense for each in messages])
    tail = add_encoded([plain(each.tail) for each in messages])
    return Owned(indices, values, dense, tail, sum(len(each.indices) for each in messages))


def add_encoded(parts: list[Encoded]) -> Float32:
    """Return the sum of vectors, added in float32 in list order."""
    total = parts[0].decode()
    if parts[0].format.exact and len(parts) > 1:  # a view of what somebody else may still need
        total = kernels.add(total, parts[1].decode())
        parts = parts[1:]
    for part in parts[1:]:
        part.add_to(total)
    return total
