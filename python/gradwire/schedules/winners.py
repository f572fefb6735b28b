"""The exact global top-k of sums that are spread over their owners.

Magnitudes are compared as the 31 bits below the sign. Summed histograms narrow down where the k-th
largest lies: the first one around a guess, if there is one (the last k-th is a good guess), the
others within the bin that has it. As soon as few sums remain in question, their owners list them
and everybody sees which one it is. A wrong guess costs a histogram more and changes no result. Ties
at the k-th go to the lowest indices, which, as regions are in index order, are those of the lowest
ranks. The owners decide once and for all; no other rank repeats the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradwire.communicators.base import Communicator
from gradwire.errors import WireError
from gradwire.payload import Float32

Chosen = npt.NDArray[np.bool_]
Magnitudes = npt.NDArray[np.int32]

_BEYOND = 1 << 31  # all magnitudes are below
_BITS_OF_BINS = 10
# Of the window around a guess: 1024 bins that reach half a power of two to both sides.
_GUESS_SHIFT = 13
# Listing so many magnitudes costs as much as one more histogram of 1,024 counts.
_FEW = 1024


@dataclass(frozen=True)
class _Bins:
    """Bins of equal width, and one for all that is below (but not 0) and one for all above.

    Attributes:
        low: smallest magnitude of the first inner bin.
        shift: the width is ``2**shift``.
        count: number of inner bins.
    """

    low: int
    shift: int
    count: int

    @classmethod
    def around(cls, guess: int) -> _Bins:
        """Return bins with a magnitude in their middle."""
        count = 1 << _BITS_OF_BINS
        return cls(max(1, guess - (count >> 1 << _GUESS_SHIFT)), _GUESS_SHIFT, count)

    @classmethod
    def within(cls, low: int, high: int) -> _Bins:
        """Return bins that cover [low, high)."""
        shift = max(0, (high - low - 1).bit_length() - _BITS_OF_BINS)
        return cls(low, shift, -(-(high - low) >> shift))

    def counts(self, magnitudes: Magnitudes) -> npt.NDArray[np.uint32]:
        """Return how many magnitudes each of the ``count + 2`` bins has; zeros are in none."""
        numbers = np.clip((magnitudes - np.int32(self.low)) >> self.shift, -1, self.count) + 1
        counts = np.bincount(numbers, minlength=self.count + 2)
        counts[0] -= len(magnitudes) - np.count_nonzero(magnitudes)
        return counts.astype(np.uint32)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return the smallest magnitude of a bin, and the smallest one beyond it."""
        begin = self.low + (number - 1 << self.shift) if number else 1
        end = self.low + (number << self.shift) if number <= self.count else _BEYOND
        return begin, min(end, _BEYOND)


class Won(NamedTuple):
    """Which sums win.

    Attributes:
        chosen: whether each of this owner's sums does.
        guess: for the next time.
        shares: the number of winners of each owner, the same on all ranks; None if all sums win.
    """

    chosen: Chosen
    guess: int
    shares: list[int] | None


def winners(values: Float32, k: int, communicator: Communicator, guess: int = 0) -> Won:
    """Tell which of this owner's sums are among the k largest of all owners; collective.

    ``values`` are this owner's sums in index order, without NaN. Exactly k win, or all non-zero
    ones if there are fewer. Zeros never win. ``guess``: the bits of a magnitude near the k-th, the
    same on all ranks, or 0.
    """
    magnitudes: Magnitudes = values.view(np.int32) & np.int32(0x7FFFFFFF)
    bins = _Bins.around(guess) if guess > 0 else _Bins.within(1, _BEYOND)
    while True:
        summed = communicator.allreduce(bins.counts(magnitudes), "sum").astype(np.int64)
        at_least = np.cumsum(summed[::-1])[::-1]
        if at_least[0] <= k:
            return Won(magnitudes > 0, 0, None)
        number = int(np.flatnonzero(at_least >= k)[-1])
        least, beyond = bins.bounds(number)
        if summed[number] <= _FEW or beyond - least == 1:
            break
        bins = _Bins.within(least, beyond)
    still_free = k - int(at_least[number] - summed[number])
    chosen: Chosen = magnitudes >= beyond if beyond < _BEYOND else np.zeros(len(values), np.bool_)
    in_question = np.flatnonzero((magnitudes >= least) & ~chosen)
    sure = int(np.count_nonzero(chosen))
    if summed[number] > _FEW:  # narrowed down to one magnitude, which many sums have
        own, shares = _share_of_ties(sure, len(in_question), still_free, communicator)
        chosen[in_question[:own]] = True
    else:
        lists = _list_candidates(sure, magnitudes[in_question], communicator)
        _check_candidates(lists, int(summed[number]), least, beyond)
        places = _winning(lists, still_free)
        chosen[in_question[places[communicator.rank]]] = True
        shares = [each.sure + len(won) for each, won in zip(lists, places, strict=True)]
    if sum(shares) != k:
        raise WireError(f"expected {k} winners of all ranks, got {sum(shares)}")
    return Won(chosen, least, shares)


class _Listed(NamedTuple):
    """What one owner lists: how many of its sums surely win, and the magnitudes in question."""

    sure: int
    candidates: Magnitudes


def _list_candidates(
    sure: int, candidates: Magnitudes, communicator: Communicator
) -> list[_Listed]:
    """Return what all owners list, in rank order."""
    own = np.concatenate([[sure], candidates]).astype("<i4").view(np.uint8)
    received = communicator.allgatherv(own, 4 * (1 + _FEW))
    for rank, each in enumerate(received):
        if len(each) % 4 or not len(each):
            raise WireError(
                f"candidates from rank {rank}: expected a count and 4 bytes each, got {len(each)} "
                "bytes"
            )
    words = [each.view("<i4") for each in received]
    return [_Listed(int(each[0]), each[1:]) for each in words]


def _check_candidates(lists: list[_Listed], count: int, least: int, beyond: int) -> None:
    """Check that the candidates are those that the histogram counted."""
    total = sum(len(each.candidates) for each in lists)
    if total != count:
        raise WireError(f"expected {count} candidates from all ranks, got {total}")
    for rank, (sure, each) in enumerate(lists):
        if sure < 0:
            raise WireError(f"candidates from rank {rank}: expected a count, got {sure}")
        if len(each) and not least <= int(each.min()) <= int(each.max()) < beyond:
            raise WireError(
                f"candidates from rank {rank}: expected magnitude bits in [{least}, {beyond}), "
                f"got {each.min()} to {each.max()}"
            )


def _winning(lists: list[_Listed], free: int) -> list[npt.NDArray[np.int64]]:
    """Return which of each owner's candidates are among the ``free`` largest of all owners'."""
    everybody = np.concatenate([each.candidates for each in lists])
    # Stable, so equal magnitudes stay in rank order and, within a rank, in index order.
    first = np.sort(np.argsort(-everybody.astype(np.int64), kind="stable")[:free])
    ends = np.cumsum([0, *(len(each.candidates) for each in lists)])
    cuts = np.searchsorted(first, ends)
    return [
        first[low:high] - begin
        for (low, high), begin in zip(pairwise(cuts.tolist()), ends[:-1], strict=True)
    ]


def _share_of_ties(
    sure: int, ties: int, free: int, communicator: Communicator
) -> tuple[int, list[int]]:
    """Return how many of its tied sums this owner keeps, and the winners of all owners.

    Of all tied sums only ``free`` may win.
    """
    size, rank = communicator.size, communicator.rank
    counts = np.zeros((2, size), np.int64)
    counts[:, rank] = sure, ties
    summed = communicator.allreduce(counts.reshape(-1), "sum").reshape(2, size)
    before = np.cumsum(summed[1]) - summed[1]
    kept = np.clip(free - before, 0, summed[1])
    return int(kept[rank]), (summed[0] + kept).tolist()
