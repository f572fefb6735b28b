"""Moving sums between owners, where one would have to tell all ranks far more than the others.

Regions follow the load of earlier exchanges. When the winners of this one lie elsewhere, one owner
may hold most of them, and would send them to all ranks one after the other. Then the winners, in
index order over all owners, are cut into P equal runs, and owners hand over what lies in the runs
of others, in float32. All ranks know how many winners each owner has, so they know all moves.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.errors import WireError
from gradwire.index_codecs import choose_codec
from gradwire.payload import NO_INDICES, Float32, Indices
from gradwire.schedules.agreement import Agreement
from gradwire.schedules.ownership import Layout, Owned
from gradwire.values import NO_VALUES, plain
from gradwire.wire import Expected, Kind, Message, decode, encode


class _Run(NamedTuple):
    """Some winners."""

    indices: Indices
    values: Float32


class Move(NamedTuple):
    """A run of one owner's winners, counted from its first one, on its way to another rank."""

    source: int
    target: int
    begin: int
    end: int


def moves(shares: list[int]) -> list[Move]:
    """Return how winners get to equal runs, given how many each owner has; what stays included."""
    size, total = len(shares), sum(shares)
    owners = list(accumulate(shares, initial=0))
    runs = [total * rank // size for rank in range(size + 1)]
    found = []
    for source, (first, last) in enumerate(pairwise(owners)):
        for target, (low, high) in enumerate(pairwise(runs)):
            begin, end = max(first, low), min(last, high)
            if begin < end:
                found.append(Move(source, target, begin - first, end - first))
    return found


def balance(
    owned: Owned,
    shares: list[int],
    layout: Layout,
    agreement: Agreement,
    communicator: Communicator,
) -> tuple[Owned, Layout]:
    """Hand over winners until all ranks have equally many; collective.

    ``shares`` are the numbers of all owners' winners, ``owned`` holds this one's. Returns what this
    rank is to tell, and the layout with the regions in which each rank's part of it lies.

    Raises:
        WireError: a message was bad.
    """
    rank, plan = communicator.rank, moves(shares)
    elsewhere = [move for move in plan if move.source != move.target]
    sent = {
        move.target: _written(move, owned, layout, agreement, communicator)
        for move in elsewhere
        if move.source == rank
    }
    sources = [move.source for move in elsewhere if move.target == rank]
    limit = max((_expected(move, layout, agreement).largest for move in elsewhere), default=0)
    received = communicator.exchange_with(sent, sources, limit)
    indices, values = [NO_INDICES], [NO_VALUES]
    for move in plan:
        if move.target == rank:
            here = move.source == rank
            if here:
                own = slice(move.begin, move.end)
                part = _Run(owned.indices[own], owned.values[own])
            else:
                data = received[move.source]
                part = _read(data, move, layout, agreement, communicator)
            indices.append(part.indices)
            values.append(part.values)
    told = tuple(_region(target, plan, layout) for target in range(communicator.size))
    run = replace(owned, indices=np.concatenate(indices), values=np.concatenate(values))
    return run, replace(layout, told=told)


def _written(
    move: Move, owned: Owned, layout: Layout, agreement: Agreement, communicator: Communicator
) -> Bytes:
    """Return a run as a message."""
    run = slice(move.begin, move.end)
    message = Message(
        Kind.MOVE,
        agreement.tag_between(move.source, move.target),
        agreement.step,
        owned.indices[run],
        plain(owned.values[run]),
    )
    begin, length = layout.region_of(move.source)
    codec = choose_codec(move.end - move.begin, length, communicator.byte_seconds)
    return encode(message, begin, length, codec)


def _expected(move: Move, layout: Layout, agreement: Agreement) -> Expected:
    """Return what anybody knows about the message of a move."""
    tag = agreement.tag_between(move.source, move.target)
    region = layout.region_of(move.source)
    return Expected(Kind.MOVE, tag, agreement.step, *region, move.end - move.begin)


def _read(
    data: Bytes, move: Move, layout: Layout, agreement: Agreement, communicator: Communicator
) -> _Run:
    source = communicator.ranks[move.source]
    message = decode(data, _expected(move, layout, agreement), source)
    if len(message.indices) != move.end - move.begin:
        raise WireError(
            f"rank {source} handed over {len(message.indices)} of its sums, "
            f"expected {move.end - move.begin}"
        )
    return _Run(message.indices, message.values.decode())


def _region(target: int, plan: list[Move], layout: Layout) -> tuple[int, int]:
    """Return beginning and length of the regions that a rank's run is from."""
    sources = [move.source for move in plan if move.target == target]
    if not sources:
        return 0, 0
    begin, (last, length) = layout.region_of(sources[0])[0], layout.region_of(sources[-1])
    return begin, last + length - begin
