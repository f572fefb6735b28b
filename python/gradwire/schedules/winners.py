"""The exact global top-k of sums that are spread over their owners.

Magnitudes are compared as the 31 bits below the sign. Summed histograms narrow down where the k-th
largest lies: the first one around a guess, if there is one (the last k-th is a good guess), the
others within the bin that has it. As soon as few magnitudes remain in question, their owners list
them and everybody sees which one it is. Rounded magnitudes around a guess are few from the start:
owners list these at once, and need no histogram if the k-th is among them. A wrong guess costs a
round more and changes no result.
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
from gradwire.schedules.candidates import Candidates, Magnitudes, Question, list_candidates

_BEYOND = 1 << 31  # all magnitudes are below
_INFINITY = 0x7F800000
_BITS_OF_BINS = 10
# Of the window around a guess: 1024 bins that reach half a power of two to both sides.
_GUESS_SHIFT = 13
# Magnitudes that an owner lists at most. So many cost it as much as two more histograms of 1,024
# counts; and as lists go to all owners, only so many of its share of the k as cost about 2 % of the
# bytes of the exchange, or a handful where that is next to nothing.
_FEW, _FEW_OF_SHARE, _HANDFUL = 1024, 1 / 64, 8
# So many rounded sums in a bin no wider than a step of bfloat16 are likely to be few magnitudes:
# they tie by the thousands.
_LIKELY_FEW_ROUNDED, _STEP_SHIFT = 64 * _FEW, 16
# To both sides of a guess, what owners list at once: four steps of bfloat16, 1.5 to 3 %.
_NEAR = 4 << 16
# Lists go to all owners: beyond so many, a histogram's sum is through first.
_OWNERS_OF_LISTS = 16
# Searches without such a list after one in which it was of no use.
_PAUSE = 16


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


class Guess(NamedTuple):
    """What one search leaves to the next; the same on all ranks, and no result depends on it.

    Attributes:
        kth: the bits of a magnitude near the k-th, or 0.
        pause: searches for which no owner shall list at once what lies around it.
    """

    kth: int = 0
    pause: int = 0


class Won(NamedTuple):
    """Which sums win.

    Attributes:
        places: where this owner's sums that do are among all of its sums; increasing.
        guess: for the next time.
        shares: the number of winners of each owner, the same on all ranks; None if all sums win.
    """

    places: Indices
    guess: Guess
    shares: list[int] | None


NO_GUESS = Guess()


class _Found(NamedTuple):
    """The lists that the k-th is in, and how many of the sums listed win."""

    candidates: Candidates
    free: int


def winners(
    values: Float32,
    k: int,
    communicator: Communicator,
    guess: Guess = NO_GUESS,
    rounded: bool = False,
) -> Won:
    """Tell which of this owner's sums are among the k largest of all owners; collective.

    ``values`` are this owner's sums in index order; NaN, which comes of infinities that rounding
    makes, is larger than all numbers. Exactly k win, or all non-zero ones if there are fewer. Zeros
    never win. ``guess``: of the last search; ``rounded``: many sums
    have the same magnitude. Both are the same on all ranks, and change no result.
    """
    pause = max(guess.pause - 1, 0)
    found = None
    if rounded and guess.kth > 0 and guess.pause == 0 and communicator.size <= _OWNERS_OF_LISTS:
        found = _among_near(values, k, communicator, guess.kth)
        pause = 0 if found else _PAUSE
    found = found or _by_histograms(values, k, communicator, guess.kth, rounded)
    if found is None:
        return Won(_reaching(values, 1).indices, NO_GUESS, None)
    kth, ties, shares = found.candidates.won(found.free)
    if shares.sum() != k:
        raise WireError(f"expected {k} winners of all ranks, got {shares.sum()}")
    top = _reaching(values, kth)
    losers = np.flatnonzero(_magnitudes(top.values) == kth)[ties[communicator.rank] :]
    places = np.delete(top.indices, losers)
    if len(places) != shares[communicator.rank]:
        raise WireError(
            f"the lists of all ranks say that {shares[communicator.rank]} sums of rank "
            f"{communicator.rank} win, it has {len(places)}"
        )
    return Won(places, Guess(kth, pause), shares.tolist())


def _among_near(values: Float32, k: int, communicator: Communicator, kth: int) -> _Found | None:
    """Look for the k-th among the magnitudes near a guess; None if it is not, or they are many."""
    least, beyond = max(kth - _NEAR, 1), min(kth + _NEAR, _BEYOND)
    magnitudes = _magnitudes(_reaching(values, least).values)
    question = Question(least, beyond, None, _few(k, communicator))
    candidates = list_candidates(magnitudes, question, communicator)
    if candidates is None:
        return None
    free = k - int(candidates.sure.sum())
    return _Found(candidates, free) if 0 < free < candidates.counts.sum() else None


def _by_histograms(
    values: Float32, k: int, communicator: Communicator, guess: int, rounded: bool
) -> _Found | None:
    """Look for the k-th where histograms say that it is; None if no more than k are not zero."""
    few = _few(k, communicator)
    nonzeros = np.count_nonzero(_magnitudes(values))  # the bits: flushed denormals count, too
    bins = _Bins.around(guess) if guess > 0 else _Bins.within(0, _BEYOND)
    while True:
        top = _reaching(values, bins.low).values
        counts = bins.counts(top, nonzeros - len(top))
        summed = communicator.allreduce(counts, "sum").astype(np.int64)
        at_least = np.cumsum(summed[::-1])[::-1]
        if at_least[0] <= k:
            return None
        number = int(np.flatnonzero(at_least >= k)[-1])
        least, beyond = bins.bounds(number)
        question = Question(least, beyond, int(summed[number]), few)
        # Exact sums: about a P-th of them with each owner, hardly any magnitude twice.
        ties = rounded and bins.shift <= _STEP_SHIFT
        likely_few = _LIKELY_FEW_ROUNDED if ties else communicator.size * few // 2
        if summed[number] <= likely_few or not question.may_be_too_many:
            magnitudes = _magnitudes(_reaching(values, least).values)
            candidates = list_candidates(magnitudes, question, communicator)
            if candidates is not None:
                return _Found(candidates, k - int(at_least[number] - summed[number]))
        bins = _Bins.within(least, beyond)


def _few(k: int, communicator: Communicator) -> int:
    """Return how many magnitudes an owner may list."""
    return min(_FEW, max(_HANDFUL, int(k * _FEW_OF_SHARE) // communicator.size))


def _reaching(values: Float32, bits: int) -> kernels.Selected:
    """Return the non-zero sums whose magnitude has at least these bits, and where they are."""
    # By exact arithmetic: processors that flush to zero would turn a subnormal float32 into 0.
    exponent, fraction = bits >> 23, bits & (1 << 23) - 1
    bound = ldexp(fraction + (exponent > 0) * (1 << 23), max(exponent, 1) - 150)
    indices, kept = np.empty(len(values), np.uint32), np.empty(len(values), np.float32)
    found = kernels.select(values, bound, indices, kept)
    if bits <= _INFINITY:
        return found
    enough = _magnitudes(found.values) >= bits  # no bound is larger than Inf, but NaN are
    return found._replace(indices=found.indices[enough], values=found.values[enough])


def _magnitudes(values: Float32) -> Magnitudes:
    magnitudes: Magnitudes = values.view(np.int32) & np.int32(0x7FFFFFFF)
    return magnitudes
