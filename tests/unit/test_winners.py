"""The exact global top-k of sums that are spread over owners."""

import numpy as np
import pytest
from exchange_model import largest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, vector

from gradwire.communicators import Communicator, Simulation
from gradwire.errors import WireError
from gradwire.schedules import winners as module
from gradwire.schedules.winners import Guess, Won, winners


@pytest.fixture(params=[1, 3, 1024], autouse=True)
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few magnitudes are listed at once, later, or when one remains."""
    monkeypatch.setattr("gradwire.schedules.winners._FEW", request.param)


def chosen(sums: np.ndarray, cuts: list[int], k: int, seed: int = 0, guess: int = 0) -> np.ndarray:
    """Return the positions that win when rank r owns sums[cuts[r]:cuts[r + 1]]."""

    def rank(communicator: Communicator) -> Won:
        own = sums[cuts[communicator.rank] : cuts[communicator.rank + 1]].copy()
        won = winners(own, k, communicator, Guess(guess), rounded=k % 2 == 1)
        assert 0 <= won.guess.kth < 2**31
        assert won.places.dtype == np.uint32
        return won

    parts = Simulation(len(cuts) - 1, seed).run(rank)
    every = np.concatenate([begin + won.places for begin, won in zip(cuts, parts, strict=False)])
    shares = [len(won.places) for won in parts]
    assert all(won.shares == (shares if np.count_nonzero(sums) > k else None) for won in parts)
    return every


def random_cuts(generator: np.random.Generator, numel: int, size: int) -> list[int]:
    return [0, *sorted(int(cut) for cut in generator.integers(0, numel + 1, size - 1)), numel]


@settings(
    max_examples=100,
    deadline=None,
    # The fixture sets the same value for all examples of a run.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(FLAVOURS),
    st.integers(0, 400),
    st.integers(1, 6),
    st.integers(1, 450),
    st.integers(0, 2**32 - 1),
)
def test_equals_a_sort(flavour: str, numel: int, size: int, k: int, seed: int) -> None:
    sums = vector(numel, flavour, seed)
    cuts = random_cuts(np.random.default_rng(seed), numel, size)
    assert np.array_equal(chosen(sums, cuts, k), of_largest_bits(sums, k))


def of_largest_bits(sums: np.ndarray, k: int) -> np.ndarray:
    """As `largest`, with the bits of NaN among those of numbers."""
    bits = sums.view(np.uint32) & np.uint32(0x7FFFFFFF)
    order = np.argsort(-bits.astype(np.int64), kind="stable")[:k]
    return np.sort(order[bits[order] != 0])


@pytest.mark.parametrize("kth", [0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF])
def test_nan_is_larger_than_all_numbers(kth: int) -> None:
    """Infinities that rounding made may cancel out; a guess may come of that, too."""
    bits = [0x7F800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF, 0x3F800000, 0x7FC00000]
    sums = np.array(bits, np.uint32).view(np.float32)
    for k in range(1, 9):
        found = chosen(sums, [0, 2, 4, 7], k, guess=kth)
        assert np.array_equal(found, of_largest_bits(sums, k))


def test_lists_that_do_not_add_up_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.repeat(np.arange(1, 101), 100)
    sums = np.random.default_rng(1).permutation(values).astype(np.float32)

    class Overstating:
        """A communicator whose rank 1 says that more of its sums surely win."""

        def __init__(self, communicator: Communicator) -> None:
            self.real = communicator

        def allgatherv(self, message: np.ndarray, limit: int) -> list[np.ndarray]:
            words = message.view("<i4").copy()
            words[0] += 5 * (self.real.rank == 1) * (words[0] >= 0)
            return self.real.allgatherv(words.view(np.uint8), limit)

    def rank(communicator: Communicator) -> Won:
        own = np.array_split(sums, 2)[communicator.rank].copy()
        guess = Guess(int(np.float32(71).view(np.int32)))
        return winners(own, 3000, communicator, guess, rounded=True)

    assert sum(len(won.places) for won in Simulation(2).run(rank)) == 3000
    real = module.list_candidates
    monkeypatch.setattr(
        module, "list_candidates", lambda m, question, c: real(m, question, Overstating(c))
    )
    with pytest.raises(WireError, match=r"sums of rank 1 win, it has|winners of all ranks"):
        Simulation(2).run(rank)


@pytest.mark.parametrize(
    "guess", [0.0, 1e-45, 1e-38, 0.5, 0.999, 1.0, 1.5, 2.0, 3.0, 1e30, 3.4028235e38]
)
def test_no_guess_changes_the_result(guess: float) -> None:
    generator = np.random.default_rng(3)
    sums = np.concatenate([generator.laplace(size=150), np.zeros(5), [1.0] * 9, [1e-40, 3e38]])
    sums = generator.permutation(sums).astype(np.float32)
    for k in (1, 2, 30, 80, 150, 161, 162, 200):
        at = int(np.float32(guess).view(np.int32))
        assert np.array_equal(chosen(sums, [0, 70, 70, 120, 166], k, guess=at), largest(sums, k))


def test_a_good_guess_saves_a_round() -> None:
    sums = np.random.default_rng(3).laplace(size=100_000).astype(np.float32)

    def rounds(guess: int) -> tuple[int, int]:
        def rank(communicator: Communicator) -> tuple[int, int]:
            own = np.array_split(sums, 4)[communicator.rank].copy()
            won = winners(own, 30_000, communicator, Guess(guess))
            return communicator.counters.messages_sent, won.guess.kth

        return Simulation(4, 0).run(rank)[0]

    without, found = rounds(0)
    needed = rounds(found + 100_000)[0]
    assert needed < without if module._FEW > 100 else needed <= without
    assert np.int32(found).view(np.float32) == largest_kth(sums, 30_000)


def test_a_good_guess_of_rounded_sums_saves_all_but_one_round() -> None:
    exact = np.random.default_rng(3).laplace(size=100_000).astype(np.float32)
    sums = (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    bits = int(np.float32(largest_kth(sums, 30_000)).view(np.int32))
    useful = module._FEW > 10  # else owners may not list the eight steps around it

    def search(communicator: Communicator) -> list[tuple[int, Guess]]:
        own = np.array_split(sums, 4)[communicator.rank].copy()
        seen, guess = [], Guess()
        for start in (0, bits, bits + (3 << 16), bits - (5 << 16)):
            before = communicator.counters.messages_sent
            guess = winners(own, 30_000, communicator, Guess(start, guess.pause), True).guess
            seen.append((communicator.counters.messages_sent - before, guess))
        return seen

    for seen in Simulation(4, 0).run(search):
        messages = [sent for sent, _ in seen]
        assert all(guess.kth == bits for _, guess in seen)
        if useful:
            assert messages[1] == messages[2] == 3 < messages[0]
            assert messages[3] > 3  # the k-th was not in the lists
            assert [guess.pause for _, guess in seen] == [0, 0, 0, 16]
        else:
            assert [guess.pause for _, guess in seen] == [0, 16, 15, 14]


def largest_kth(sums: np.ndarray, k: int) -> float:
    return float(np.sort(np.abs(sums))[-k])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("k", [1, 2, 7, 39, 40, 41, 100])
def test_ties_go_to_the_lowest_indices_across_owners(size: int, k: int) -> None:
    generator = np.random.default_rng(size)
    sums = np.where(generator.random(60) < 2 / 3, np.float32(2.5), np.float32(-2.5))
    sums[::3] = 0
    cuts = random_cuts(generator, len(sums), size)
    positions = chosen(sums, cuts, k)
    assert np.array_equal(positions, np.flatnonzero(sums)[:k])


@pytest.mark.parametrize("last_bits", [1, 2**10, 2**20])
def test_every_bit_counts(last_bits: int) -> None:
    """Magnitudes that differ in the bits of the first, the second or the last histogram only."""
    bits = np.uint32(0x3F800000) + np.arange(9, dtype=np.uint32) * np.uint32(last_bits)
    sums = np.random.default_rng(0).permutation(bits.view(np.float32))
    for k in range(1, 10):
        assert np.array_equal(chosen(sums, [0, 2, 2, 7, 9], k), largest(sums, k))


def test_more_winners_than_sums() -> None:
    sums = np.array([0, 1, -0.0, -1e-45, 3e38], np.float32)
    assert list(chosen(sums, [0, 1, 4, 5], 100)) == [1, 3, 4]
    assert list(chosen(sums[:0], [0, 0, 0], 5)) == []
    assert list(chosen(np.zeros(4, np.float32), [0, 2, 4], 2)) == []


def test_infinity_wins() -> None:
    """So a sum that overflowed reaches every rank."""
    sums = np.array([1, 3e38, np.inf, 2, -np.inf, 3.4e38], np.float32)
    assert list(chosen(sums, [0, 1, 3, 6], 2)) == [2, 4]
    assert list(chosen(sums, [0, 1, 3, 6], 1)) == [2]


def test_order_of_delivery_does_not_matter() -> None:
    sums = vector(200, "ties", 5)
    results = {tuple(chosen(sums, [0, 60, 90, 200], 31, seed)) for seed in range(10)}
    assert len(results) == 1
