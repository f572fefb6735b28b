"""Checks of `Communicator.exchange_with`, which every communicator passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, PeerError
from gradwire.testing.messages import Check, around_pieces, expect, message, uneven_size

Pairs = Callable[[int, int, int], bool]  # (source, destination, size) -> whether there is a message


def to_next(source: int, destination: int, size: int) -> bool:
    """Every rank sends to the next one, the last one to the first."""
    return (destination - source) % size == 1 and source != destination


def to_first(source: int, destination: int, size: int) -> bool:
    """Every rank sends to rank 0."""
    return destination == 0 and source != destination


def from_last(source: int, destination: int, size: int) -> bool:
    """The last rank sends to all."""
    return source == size - 1 and source != destination


def in_couples(source: int, destination: int, size: int) -> bool:
    """Ranks 0 and 1, 2 and 3 and so on swap messages; an odd last one has nobody."""
    return source ^ destination == 1


def nobody(source: int, destination: int, size: int) -> bool:
    """There are no messages at all."""
    return False


PATTERNS: tuple[Pairs, ...] = (to_next, to_first, from_last, in_couples, nobody)
SizeOf = Callable[[int, int], int]


def exchange_named(communicator: Communicator, pairs: Pairs, size_of: SizeOf) -> tuple[int, int]:
    """Exchange messages between some pairs and check every byte; return (B sent, B received)."""
    rank, size = communicator.rank, communicator.size
    destinations = [peer for peer in range(size) if pairs(rank, peer, size)]
    sources = [peer for peer in reversed(range(size)) if pairs(peer, rank, size)]
    limit = max(size_of(a, b) for a in range(size) for b in range(size))
    sent = {peer: message(rank, peer, size_of(rank, peer)) for peer in destinations}
    received = communicator.exchange_with(sent, sources, limit)
    assert list(received) == sources
    for peer, got in received.items():
        np.testing.assert_array_equal(got, message(peer, rank, size_of(peer, rank)))
        got[:] = 254  # raises if read-only
    for peer, own in sent.items():
        np.testing.assert_array_equal(own, message(rank, peer, size_of(rank, peer)))
    return sum(each.size for each in sent.values()), sum(each.size for each in received.values())


def check_named_messages(communicator: Communicator) -> None:
    """Several patterns in a row, mixed with other operations: nothing goes astray."""
    for step in range(10):
        for pairs in PATTERNS:
            exchange_named(communicator, pairs, partial(uneven_size, step=step))
        if step % 3 == 0:
            texts = communicator.allgatherv(bytes([communicator.rank, step]), 2)
            assert [text.tolist() for text in texts] == [[r, step] for r in range(len(texts))]


def check_named_pieces(communicator: Communicator) -> None:
    """Messages cut into pieces: shorter than one, exact multiples, and one byte around them."""
    for attribute in ("piece_bytes", "chunk_bytes"):
        before = getattr(communicator, attribute, None)
        if before is not None:
            setattr(communicator, attribute, 8)
            for step in range(18):
                exchange_named(communicator, to_next, partial(around_pieces, step=step))
            setattr(communicator, attribute, before)


def check_named_counters(communicator: Communicator) -> None:
    """Only what is named counts, bytes and messages, empty ones among them."""
    rank, size, counters = communicator.rank, communicator.size, communicator.counters
    for pairs in PATTERNS:
        for size_of in (uneven_size, lambda a, b: 0):
            counters.reset()
            sent, received = exchange_named(communicator, pairs, size_of)
            assert (counters.bytes_sent, counters.bytes_received) == (sent, received)
            assert counters.messages_sent == sum(pairs(rank, peer, size) for peer in range(size))


def check_named_refusals(communicator: Communicator) -> None:
    """Bad arguments are refused before anything is sent: the communicator still works."""
    rank, size = communicator.rank, communicator.size
    for peer in (rank, size, -1):
        for messages, sources in (({peer: b"text"}, []), ({}, [peer])):
            call = partial(communicator.exchange_with, messages, sources, 4)
            expect(ConfigError, call, f"other than {rank}, this one, got {peer}")
    if size > 1:
        peer = (rank + 1) % size
        call = partial(communicator.exchange_with, {peer: b"12345"}, [], 4)
        expect(ConfigError, call, f"from rank {rank} to rank {peer} has 5 B")
        bad: Any = np.zeros(1)
        call = partial(communicator.exchange_with, {peer: bad}, [], 8)
        expect(ConfigError, call, "expected a contiguous uint8 array")
    exchange_named(communicator, to_next, lambda a, b: 4)


def check_failure_reaches_named(communicator: Communicator) -> None:
    """Those who wait for a failed rank raise with its words."""
    last = communicator.size - 1
    if communicator.rank == last:
        communicator.fail(RuntimeError("out of memory"))
        return
    call = partial(communicator.exchange_with, {}, [last], 5)
    expect(PeerError, call, "RuntimeError: out of memory")


PAIRWISE_CHECKS: tuple[Check, ...] = (
    check_named_messages,
    check_named_pieces,
    check_named_counters,
    check_named_refusals,
)
PAIRWISE_FAILURE_CHECKS: tuple[Check, ...] = (check_failure_reaches_named,)
