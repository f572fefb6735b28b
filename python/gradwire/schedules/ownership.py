"""Split and gather: every region has an owner, who adds what all ranks send and tells the sum.

Entries go to the owner of their region, dense values to the owner of their slice, both in the same
message, so one rank sends one message per peer and phase. Owners add in rank order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.payload import (
    DenseValues,
    Float32,
    Indices,
    Payload,
    format_of,
    from_format,
    to_format,
)
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.regions import Boundaries, equal_regions, slices_of
from gradwire.wire import Expected, Kind, Message, decode, encode, largest_message


@dataclass(frozen=True)
class Owned:
    """The sums over all ranks of what one rank owns.

    Attributes:
        indices: (count,) uint32 in the rank's region, increasing.
        values: (count,) float32 sums, added in rank order.
        dense: sums of the rank's slice of the dense values, in the payload's format.
        load: entries received from all ranks.
    """

    indices: Indices
    values: Float32
    dense: DenseValues
    load: int


def split(
    payload: Payload, regions: Boundaries, agreement: Agreement, communicator: Communicator
) -> Owned:
    """Send each owner its part and return the sums of what this rank owns; collective."""
    rank, size = communicator.rank, communicator.size
    parts = slices_of(payload.indices, regions)
    cuts = equal_regions(len(payload.dense), size)
    messages = [
        encode(
            Message(
                Kind.SPLIT,
                agreement.tag,
                agreement.step,
                payload.indices[part],
                payload.values[part],
                payload.dense[cuts[peer] : cuts[peer + 1]],
            ),
            int(regions[peer]),
            int(regions[peer + 1] - regions[peer]),
        )
        for peer, part in enumerate(parts)
    ]
    limit = _limit(payload, size)
    received = communicator.exchange(messages, limit)
    expected = _expected(Kind.SPLIT, payload, rank, regions, cuts, agreement)
    return _add_up([decode(data, expected, peer) for peer, data in enumerate(received)])


def gather(
    owned: Owned,
    payload: Payload,
    regions: Boundaries,
    agreement: Agreement,
    communicator: Communicator,
) -> tuple[Payload, list[int]]:
    """Send what this rank owns to all; return all of it, and every owner's load; collective.

    The dense values come back as float32. ``payload`` is what this rank brought, for its sizes.
    """
    rank, size = communicator.rank, communicator.size
    cuts = equal_regions(len(payload.dense), size)
    message = Message(
        Kind.GATHER,
        agreement.tag,
        agreement.step,
        owned.indices,
        owned.values,
        owned.dense,
        min(owned.load, 0xFFFFFFFF),
    )
    begin, length = int(regions[rank]), int(regions[rank + 1] - regions[rank])
    data = encode(message, begin, length)
    received = [
        decode(each, _expected(Kind.GATHER, payload, peer, regions, cuts, agreement), peer)
        for peer, each in enumerate(communicator.allgatherv(data, _limit(payload, size)))
    ]
    indices = np.concatenate([each.indices for each in received])
    values = np.concatenate([each.values for each in received])
    dense = np.concatenate([from_format(each.dense) for each in received])
    budget = max(payload.budget, len(indices))
    reduced = Payload(payload.numel, indices, values, dense, budget)
    return reduced, [each.load for each in received]


def _limit(payload: Payload, size: int) -> int:
    """Return the size in bytes that no message of this exchange exceeds, on any rank."""
    largest_slice = -(-len(payload.dense) // size)
    return largest_message(payload.budget, largest_slice, format_of(payload.dense))


def _expected(
    kind: Kind,
    payload: Payload,
    owner: int,
    regions: Boundaries,
    cuts: Boundaries,
    agreement: Agreement,
) -> Expected:
    begin, length = int(regions[owner]), int(regions[owner + 1] - regions[owner])
    return Expected(
        kind,
        agreement.tag,
        agreement.step,
        begin,
        length,
        format_of(payload.dense),
        int(cuts[owner + 1] - cuts[owner]),
        min(payload.budget, length),
    )


def _add_up(messages: list[Message]) -> Owned:
    """Add the messages of all ranks, in rank order."""
    indices, values = kernels.merge(
        [each.indices for each in messages], [each.values for each in messages]
    )
    dense_parts = [each.dense for each in messages]
    dense = to_format(add_dense(dense_parts), format_of(dense_parts[0]))
    return Owned(indices, values, dense, sum(len(each.indices) for each in messages))


def add_dense(parts: list[DenseValues]) -> Float32:
    """Return the sum of vectors in one format, added in float32 in list order."""
    total = from_format(parts[0])
    out = None  # the first sum gets memory of its own, which the others go to
    for part in parts[1:]:
        total = out = kernels.add(total, from_format(part), out)
    return total
