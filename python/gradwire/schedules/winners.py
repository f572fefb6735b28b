"""The exact global top-k of sums that are spread over their owners.

Magnitudes are compared as the 31 bits below the sign. Summed histograms narrow down where the k-th
largest lies: the first one around a guess, if there is one (the last k-th is a good guess), the
others within the bin that has it. As soon as few magnitudes remain in question, their owners list
them and everybody sees which one it is. A wrong guess costs a histogram more and changes no result.
Ties at the k-th go to the lowest indices, which, as regions are in index order, are those of the
lowest ranks. The owners decide once and for all; no other rank repeats the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ldexp
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import WireError
from gradwire.payload import Float32, Indices
from gradwire.schedules.candidates import Magnitudes, Question, list_candidates

_BEYOND = 1 << 31  # all magnitudes are below
_BITS_OF_BINS = 10
# Of the window around a guess: 1024 bins that reach half a power of two to both sides.
_GUESS_SHIFT = 13
# Listing so many magnitudes costs an owner as much as two more histograms of 1,024 counts.
_FEW = 1024
# So many rounded sums are likely to be few magnitudes: they tie by the thousands.
_LIKELY_FEW_ROUNDED = 64 * _FEW


@dataclass(frozen=True)
class _Bins:
    """Bins of equal width, and one for all that is below (but not 0) and one for all above.

    Attributes:
        low: smallest magnitude of the first inner bin; a multiple of the width.
        shift: the width is ``2**shift``.
        count: number of inner bins, at most ``2**_BITS_OF_BINS + 1``.
    """

    low: int
    shift: int
    count: int

    @classmethod
    def around(cls, guess: int) -> _Bins:
        """Return bins with a magnitude in their middle."""
        half = 1 << _BITS_OF_BINS - 1
        first = max(0, (guess >> _GUESS_SHIFT) - half)
        return cls(first << _GUESS_SHIFT, _GUESS_SHIFT, 2 * half)

    @classmethod
    def within(cls, low: int, high: int) -> _Bins:
        """Return bins that cover [low, high)."""
        shift = max(0, (high - low - 1).bit_length() - _BITS_OF_BINS)
        low = low >> shift << shift
        return cls(low, shift, -(-(high - low) >> shift))

    def counts(self, top: Float32, below: int) -> npt.NDArray[np.uint32]:
        """Return how many sums each of the ``count + 2`` bins has.

        ``top`` are the sums that are in none but ``below``, which is the number of the others.
        """
        # The kernel's bins are those of a multiple of as many: two such ranges have all of these.
        first = self.low >> self.shift
        block, skipped = divmod(first, 1 << _BITS_OF_BINS)
        blocks = range(block, min(block + 2, _BEYOND >> self.shift + _BITS_OF_BINS))
        counts = [kernels.histogram(top, self.shift, _BITS_OF_BINS, each) for each in blocks]
        inner = np.concatenate(counts)[skipped : skipped + self.count].astype(np.uint32)
        missing = np.zeros(self.count - len(inner), np.uint32)
        above = len(top) - int(inner.sum())
        return np.concatenate([[below], inner, missing, [above]]).astype(np.uint32)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return the smallest magnitude of a bin, and the smallest one beyond it."""
        begin = self.low + (number - 1 << self.shift) if number else 0
        end = self.low + (number << self.shift) if number <= self.count else _BEYOND
        return begin, min(end, _BEYOND)


class Won(NamedTuple):
    """Which sums win.

    Attributes:
        places: where this owner's sums that do are among all of its sums; increasing.
        guess: for the next time.
        shares: the number of winners of each owner, the same on all ranks; None if all sums win.
    """

    places: Indices
    guess: int
    shares: list[int] | None


def winners(
    values: Float32, k: int, communicator: Communicator, guess: int = 0, rounded: bool = False
) -> Won:
    """Tell which of this owner's sums are among the k largest of all owners; collective.

    ``values`` are this owner's sums in index order, without NaN. Exactly k win, or all non-zero
    ones if there are fewer. Zeros never win. ``guess``: the bits of a magnitude near the k-th, or
    0; ``rounded``: many sums have the same magnitude. Both are the same on all ranks, and change
    no result.
    """
    # Otherwise owners, who have about a P-th of them each, have hardly any twice.
    likely_few = _LIKELY_FEW_ROUNDED if rounded else communicator.size * _FEW // 2
    nonzeros = np.count_nonzero(values)
    bins = _Bins.around(guess) if guess > 0 else _Bins.within(0, _BEYOND)
    while True:
        top = _reaching(values, bins.low).values
        counts = bins.counts(top, nonzeros - len(top))
        summed = communicator.allreduce(counts, "sum").astype(np.int64)
        at_least = np.cumsum(summed[::-1])[::-1]
        if at_least[0] <= k:
            return Won(_reaching(values, 1).indices, 0, None)
        number = int(np.flatnonzero(at_least >= k)[-1])
        least, beyond = bins.bounds(number)
        question = Question(least, beyond, int(summed[number]), _FEW)
        if question.total <= likely_few or not question.may_be_too_many:
            magnitudes = _magnitudes(_reaching(values, least).values)
            candidates = list_candidates(magnitudes, question, communicator)
            if candidates is not None:
                break
        bins = _Bins.within(least, beyond)
    kth, ties, shares = candidates.won(k - int(at_least[number] - summed[number]))
    if shares.sum() != k:
        raise WireError(f"expected {k} winners of all ranks, got {shares.sum()}")
    top = _reaching(values, kth)
    losers = np.flatnonzero(_magnitudes(top.values) == kth)[ties[communicator.rank] :]
    return Won(np.delete(top.indices, losers), least, shares.tolist())


def _reaching(values: Float32, bits: int) -> kernels.Selected:
    """Return the non-zero sums whose magnitude has at least these bits, and where they are."""
    # By exact arithmetic: processors that flush to zero would turn a subnormal float32 into 0.
    exponent, fraction = bits >> 23, bits & (1 << 23) - 1
    bound = ldexp(fraction + (exponent > 0) * (1 << 23), max(exponent, 1) - 150)
    indices, kept = np.empty(len(values), np.uint32), np.empty(len(values), np.float32)
    return kernels.select(values, bound, indices, kept)


def _magnitudes(values: Float32) -> Magnitudes:
    magnitudes: Magnitudes = values.view(np.int32) & np.int32(0x7FFFFFFF)
    return magnitudes
