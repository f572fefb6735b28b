"""Lists of candidates for the k-th largest sum: hostile ones, and too long ones."""

from collections.abc import Sequence

import numpy as np
import pytest

from gradwire.communicators import Communicator, Simulation
from gradwire.errors import WireError
from gradwire.schedules.candidates import Candidates, Question, list_candidates

QUESTION = Question(least=100, beyond=200, total=6, most=3)
GOOD = [2, 110, 150, 1, 4]  # two surely win; one sum has 110, four have 150


def listed(*others: Sequence[int] | bytes, question: Question = QUESTION) -> Candidates | None:
    """Return what rank 0, which has one sum of 199 in question, makes of the others' lists."""

    def rank(communicator: Communicator) -> Candidates | None:
        if communicator.rank == 0:
            return list_candidates(np.array([199, 500, 199 + 1], np.int32), question, communicator)
        mine = others[communicator.rank - 1]
        data = mine if isinstance(mine, bytes) else np.array(mine, "<i4").tobytes()
        communicator.allgatherv(np.frombuffer(data, np.uint8), 4 * (1 + 2 * question.most))
        return None

    return Simulation(1 + len(others), 0).run(rank)[0]


def test_lists_come_together_in_rank_order() -> None:
    lists = listed(GOOD, [0])
    assert lists is not None
    assert lists.sure.tolist() == [2, 2, 0]
    assert lists.owner.tolist() == [0, 1, 1]
    assert lists.magnitudes.tolist() == [199, 110, 150]
    assert lists.counts.tolist() == [1, 1, 4]


@pytest.mark.parametrize(
    ("free", "kth", "ties", "winners"),
    [
        (1, 199, [1, 0, 0], [3, 2, 0]),
        (2, 150, [0, 1, 0], [3, 3, 0]),
        (5, 150, [0, 4, 0], [3, 6, 0]),
        (6, 110, [0, 1, 0], [3, 7, 0]),
    ],
)
def test_who_wins(free: int, kth: int, ties: list[int], winners: list[int]) -> None:
    lists = listed(GOOD, [0])
    assert lists is not None
    found, tied, won = lists.won(free)
    assert (found, tied.tolist(), won.tolist()) == (kth, ties, winners)


def test_ties_go_to_the_lowest_ranks() -> None:
    lists = listed([0, 199, 2], [5, 199, 3])
    assert lists is not None
    found, tied, won = lists.won(4)
    assert (found, tied.tolist(), won.tolist()) == (199, [1, 2, 1], [3, 2, 6])


def test_too_many_to_list() -> None:
    assert listed([-1]) is None
    four_different = Question(0, 1 << 31, 3, 2)
    assert listed([0], question=four_different) is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"", "candidates from rank 1: expected a number and 8 bytes each, got 0 bytes"),
        (b"12345", "candidates from rank 1: .* got 5 bytes"),
        ([1, 2], "candidates from rank 1: .* got 8 bytes"),
        ([-2, 110, 150, 1, 4], "candidates from rank 1: expected a number >= 0, got -2"),
        ([2, 110, 150, 0, 5], "candidates from rank 1: expected counts >= 1, got 0"),
        ([2, 110, 150, 6, -1], "candidates from rank 1: expected counts >= 1, got -1"),
        ([2, 99, 150, 1, 4], r"rank 1: expected magnitude bits in \[100, 200\), got 99"),
        ([2, 110, 200, 1, 4], r"rank 1: expected magnitude bits in \[100, 200\), got 200"),
        ([2, 110, 110, 1, 4], r"rank 1: expected increasing magnitudes, got \[110 110\]"),
        ([2, 150, 110, 1, 4], r"rank 1: expected increasing magnitudes, got \[150 110\]"),
        ([2, 110, 150, 1, 3], "expected 6 candidates from all ranks, got 5"),
        ([2, 110, 150, 1, 2**31 - 1], "expected 6 candidates from all ranks"),
    ],
    ids=str,
)
def test_wrong_lists_are_refused(message: Sequence[int] | bytes, error: str) -> None:
    with pytest.raises(WireError, match=error):
        listed(message)


def test_nobody_can_say_for_ever_that_it_has_too_many() -> None:
    with pytest.raises(WireError, match="rank 1: expected a number >= 0, got -1"):
        listed([-1], question=Question(198, 200, 2, 3))
