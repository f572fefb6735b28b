"""Checks of `Communicator.subgroup`, which every communicator that knows subgroups passes."""

from __future__ import annotations

from functools import partial

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, PeerError
from gradwire.testing.messages import Check, error_of, expect, message, uneven_size


def blocks(rank: int, size: int) -> list[int]:
    """Return the rank's group where two neighbours each belong together."""
    first = rank - rank % 2
    return [peer for peer in (first, first + 1) if peer < size]


def strides(rank: int, size: int) -> list[int]:
    """Return the rank's group where every second rank belongs together."""
    return list(range(rank % 2, size, 2))


def check_subgroups(communicator: Communicator) -> None:
    """Groups work side by side, in turn with the whole, and each delivers to its own ranks."""
    rank, size = communicator.rank, communicator.size
    for step in range(4):
        for grouping in (blocks, strides):
            ranks = grouping(rank, size)
            group = communicator.subgroup(ranks)
            assert group is communicator.subgroup(ranks)
            assert (group.rank, group.size) == (ranks.index(rank), len(ranks))
            assert list(group.hosts) == [communicator.hosts[peer] for peer in ranks]
            sent = [message(rank, peer, uneven_size(rank, peer, step)) for peer in ranks]
            for peer, received in zip(ranks, group.exchange(sent, 70_001), strict=True):
                expected = message(peer, rank, uneven_size(peer, rank, step))
                np.testing.assert_array_equal(received, expected)
            total = group.allreduce(np.array([rank, 1], np.int64))
            assert total.tolist() == [sum(ranks), len(ranks)]
            assert [bytes(each) for each in group.allgatherv(b"%d" % rank, 9)] == [
                b"%d" % peer for peer in ranks
            ]
        group.barrier()
        everybody = communicator.allreduce(np.array([1], np.int64))
        assert everybody.tolist() == [size]


def check_subgroups_of_subgroups(communicator: Communicator) -> None:
    """A group of a group delivers among those who are in both."""
    rank, size = communicator.rank, communicator.size
    ranks = strides(rank, size)
    group = communicator.subgroup(ranks)
    inner = group.subgroup(blocks(group.rank, group.size))
    members = [ranks[place] for place in blocks(group.rank, group.size)]
    assert inner.allreduce(np.array([rank], np.int64)).tolist() == [sum(members)]


def check_subgroup_counters(communicator: Communicator) -> None:
    """What a group moves is counted with the whole."""
    group = communicator.subgroup(blocks(communicator.rank, communicator.size))
    communicator.counters.reset()
    group.allgatherv(bytes(10), 10)
    others = group.size - 1
    counters = communicator.counters
    assert counters is group.counters
    assert (counters.bytes_sent, counters.messages_sent) == (10 * others, others)


def check_subgroup_refusals(communicator: Communicator) -> None:
    """Ranks that are not in order, not this one's or not there are refused."""
    rank, size = communicator.rank, communicator.size
    others = [peer for peer in range(size) if peer != rank]
    for ranks in ([], others, [rank, rank], [rank, size], [-1, rank]):
        expect(ConfigError, partial(communicator.subgroup, ranks), "subgroup: ")
    communicator.barrier()


def check_failure_reaches_subgroups(communicator: Communicator) -> None:
    """A rank that gives up in its group is known to those who wait in other groups, and to all."""
    rank, size = communicator.rank, communicator.size
    if size == 1:
        return
    groups: list[Communicator] = []

    def join() -> None:
        groups.extend(communicator.subgroup(each(rank, size)) for each in (blocks, strides))

    def wait() -> None:
        for each in (*groups, communicator):
            each.barrier()

    if rank == size - 1:
        join()
        groups[0].fail(RuntimeError("out of memory"))
        return
    # It may be known before this rank has made its groups.
    error = error_of(join, wait)
    assert isinstance(error, PeerError), error
    assert "RuntimeError: out of memory" in str(error)
    for unusable in (communicator, *groups):
        expect(PeerError, unusable.barrier, "out of memory")


SUBGROUP_CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_subgroups,
        check_subgroups_of_subgroups,
        check_subgroup_counters,
        check_subgroup_refusals,
    )
}
SUBGROUP_FAILURE_CHECKS: dict[str, Check] = {
    "failure_reaches_subgroups": check_failure_reaches_subgroups
}
