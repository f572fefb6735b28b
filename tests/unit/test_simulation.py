"""The simulation itself: schedules, deadlocks, failing ranks."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradwire.communicators import Communicator, Simulation
from gradwire.errors import AgreementError, ConfigError, DeadlockError, PeerError


def gossip(communicator: Communicator, steps: int) -> list[bytes]:
    heard = []
    for step in range(steps):
        text = f"{communicator.rank}:{step}".encode()
        heard += [m.tobytes() for m in communicator.allgatherv(text, 16)]
    return heard


def deliveries(
    size: int, seed: int, function: Callable[..., Any], *args: Any
) -> list[tuple[int, int]]:
    simulation = Simulation(size, seed)
    simulation.record_deliveries = True
    simulation.run(function, *args)
    return simulation.deliveries


def test_results_come_in_rank_order() -> None:
    assert Simulation(5).run(lambda c, offset: c.rank + offset, 10) == [10, 11, 12, 13, 14]


def test_same_seed_same_run() -> None:
    assert deliveries(6, 3, gossip, 10) == deliveries(6, 3, gossip, 10)


def test_run_starts_from_the_seed_each_time() -> None:
    simulation = Simulation(4, seed=1)
    simulation.record_deliveries = True
    simulation.run(gossip, 5)
    first = simulation.deliveries
    simulation.run(gossip, 5)
    assert simulation.deliveries == first


def test_seeds_give_different_orders_of_the_same_messages() -> None:
    orders = [deliveries(4, seed, gossip, 5) for seed in range(10)]
    assert len({tuple(order) for order in orders}) == 10
    assert all(Counter(order) == Counter(orders[0]) for order in orders)


def test_a_fast_rank_runs_ahead_under_some_seed() -> None:
    """Deliveries of a second exchange overtake those of the first, between other pairs."""

    def overtaken(order: list[tuple[int, int]]) -> bool:
        seen: Counter[tuple[int, int]] = Counter()
        for pair in order:
            seen[pair] += 1
            if seen[pair] == 2 and len(seen) < 6:
                return True
        return False

    assert any(overtaken(deliveries(3, seed, gossip, 2)) for seed in range(50))


def test_content_does_not_depend_on_the_seed() -> None:
    assert Simulation(5, 1).run(gossip, 20) == Simulation(5, 2).run(gossip, 20)


def test_many_ranks_and_messages() -> None:
    def total(communicator: Communicator) -> int:
        return sum(int(communicator.allreduce(np.ones(64, np.int64))[0]) for _ in range(3))

    assert Simulation(64).run(total) == [192] * 64


def all_operations(communicator: Communicator) -> tuple[Any, ...]:
    rank, size = communicator.rank, communicator.size
    sums = communicator.allreduce(np.arange(11, dtype=np.float32) * np.float32(0.1 * (rank + 1)))
    messages = [bytes([rank, peer]) * (rank + 2 * peer) for peer in range(size)]
    exchanged = [m.tobytes() for m in communicator.exchange(messages, 100)]
    gathered = [m.tobytes() for m in communicator.allgatherv(bytes(rank), 100)]
    largest = communicator.allreduce(np.array([rank, -rank]), "max").tolist()
    communicator.barrier()
    return sums.tobytes(), exchanged, gathered, largest, communicator.counters


@pytest.mark.parametrize("size", [1, 2, 5])
def test_without_shuffling_results_and_counters_are_the_same(size: int) -> None:
    shuffled = Simulation(size, 1).run(all_operations)
    assert Simulation(size, 1, shuffle=False).run(all_operations) == shuffled


def test_without_shuffling_messages_are_as_they_were_sent() -> None:
    """A sender that goes on changes its buffers; a receiver's memory is its own."""

    def reuse(communicator: Communicator) -> list[list[int]]:
        buffer = np.full(3, communicator.rank, np.uint8)
        heard = []
        for _ in range(2):
            received = communicator.allgatherv(buffer, 3)
            heard.append([int(message[0]) for message in received])
            buffer += 10
            for peer, message in enumerate(received):
                if peer != communicator.rank:
                    message.fill(99)
        return heard[0] + heard[1]

    for seed in range(5):
        expected = [[0, 1, 2, 10, 11, 12]] * 3
        assert Simulation(3, seed, shuffle=False).run(reuse) == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_deadlock_says_what_each_rank_waits_for(shuffle: bool) -> None:
    def one_leaves_early(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank != 1:
            communicator.allgatherv(b"x", 1)

    with pytest.raises(DeadlockError) as caught:
        Simulation(3, shuffle=shuffle).run(one_leaves_early)
    lines = str(caught.value).splitlines()
    assert lines[1:] == [
        "  rank 0 waits in allgatherv (its operation 2) for ranks [1]",
        "  rank 1 returned after 1 operations",
        "  rank 2 waits in allgatherv (its operation 2) for ranks [1]",
    ]


def test_deadlock_unwinds_the_ranks() -> None:
    cleaned = []

    def wait_in_vain(communicator: Communicator) -> None:
        try:
            if communicator.rank != 0:
                communicator.barrier()
        finally:
            cleaned.append(communicator.rank)

    with pytest.raises(DeadlockError):
        Simulation(3).run(wait_in_vain)
    assert sorted(cleaned) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_exception_ends_the_run_and_names_the_rank(seed: int) -> None:
    def break_on_two(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank == 2:
            raise KeyError("momentum")
        communicator.barrier()

    with pytest.raises(KeyError, match="momentum") as caught:
        Simulation(4, seed).run(break_on_two)
    told = [*getattr(caught.value, "__notes__", ()), str(caught.value)]
    assert any("simulated rank 2 of 4" in text for text in told)


def test_error_of_the_failing_rank_wins_over_its_peers() -> None:
    def fail_and_raise(communicator: Communicator) -> None:
        if communicator.rank == 1:
            error = OSError("no space left")
            communicator.fail(error)
            raise error
        communicator.barrier()

    for seed in range(10):
        with pytest.raises((OSError, PeerError), match="no space left"):
            Simulation(3, seed).run(fail_and_raise)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "other",
    [
        lambda c: c.allgatherv(b"", 4),
        lambda c: c.allreduce(np.ones(2)),
        lambda c: c.allreduce(np.ones(3, np.float32)),
        lambda c: c.allreduce(np.ones(3), "max"),
    ],
)
def test_mismatched_operations(other: Callable[[Communicator], Any], shuffle: bool) -> None:
    def disagree(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank == 1:
            other(communicator)
        else:
            communicator.allreduce(np.ones(3))

    with pytest.raises(AgreementError, match=r"operation 2 is .* on rank \d"):
        Simulation(3, shuffle=shuffle).run(disagree)


def test_size_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        Simulation(0)
