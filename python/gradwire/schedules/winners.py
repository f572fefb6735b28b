"""The exact global top-k of sums that are spread over their owners.

Magnitudes are compared as the 31 bits below the sign. Summed histograms of 11, 10 and 10 of these
bits narrow down where the k-th largest lies, the first one only over the bins that are in use; as
soon as few sums remain in question, their owners list them and everybody sees which one it is. Ties
at the k-th go to the lowest indices, which, as regions are in index order, are those of the lowest
ranks. The owners decide once and for all; no other rank repeats the decision.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import WireError
from gradwire.payload import Float32

Chosen = npt.NDArray[np.bool_]
Magnitudes = npt.NDArray[np.uint32]

_ROUNDS = ((20, 11), (10, 10), (0, 10))  # (shift, bits) of each histogram
_MAGNITUDE_MASK = np.uint32(0x7FFFFFFF)
# Listing so many magnitudes costs as much as one more histogram of 1,024 counts.
_FEW = 1024


def winners(values: Float32, k: int, communicator: Communicator) -> Chosen:
    """Tell which of this owner's sums are among the k largest of all owners; collective.

    ``values`` are this owner's sums in index order, without NaN. Exactly k win, or all non-zero
    ones if there are fewer. Zeros never win.
    """
    magnitudes = values.view(np.uint32) & _MAGNITUDE_MASK
    still_free = k
    least, beyond = 1, 1 << 31  # the k-th largest magnitude is in [least, beyond)
    prefix = 0
    for shift, bits in _ROUNDS:
        counts = kernels.histogram(values, shift, bits, prefix)
        summed = _sum_used(counts, communicator) if shift == 20 else _sum(counts, communicator)
        at_least = np.cumsum(summed[::-1])[::-1]
        if at_least[0] <= still_free:  # everything from here on wins
            everything: Chosen = magnitudes >= np.uint32(least)
            return everything
        bin_of_kth = int(np.flatnonzero(at_least >= still_free)[-1])
        still_free -= int(at_least[bin_of_kth] - summed[bin_of_kth])
        prefix = prefix << bits | bin_of_kth
        least, beyond = max(1, prefix << shift), (prefix + 1) << shift
        if summed[bin_of_kth] <= _FEW:
            break
    chosen: Chosen = magnitudes >= np.uint32(beyond)
    in_question = np.flatnonzero((magnitudes >= np.uint32(least)) & ~chosen)
    if summed[bin_of_kth] > _FEW:  # narrowed down to one magnitude, which many sums have
        kept = _share_of_ties(len(in_question), still_free, communicator)
        chosen[in_question[:kept]] = True
    else:
        lists = _list_candidates(magnitudes[in_question], communicator)
        _check_candidates(lists, int(summed[bin_of_kth]), least, beyond)
        chosen[in_question[_own_winners(lists, still_free, communicator.rank)]] = True
    return chosen


def _sum(counts: npt.NDArray[np.uint64], communicator: Communicator) -> npt.NDArray[np.int64]:
    """Return the counts summed over ranks; they fit 32 bits, as elements of a bucket do."""
    return communicator.allreduce(counts.astype(np.uint32), "sum").astype(np.int64)


def _sum_used(counts: npt.NDArray[np.uint64], communicator: Communicator) -> npt.NDArray[np.int64]:
    """Return the same, sending only the bins between the first and the last that any rank uses."""
    used = np.flatnonzero(counts)
    mine = [-used[0], used[-1] + 1] if len(used) else [-len(counts), 0]
    begin, end = communicator.allreduce(np.array(mine, np.int64), "max") * (-1, 1)
    summed = np.zeros(len(counts), np.int64)
    if begin < end:
        summed[begin:end] = _sum(counts[begin:end], communicator)
    return summed


def _list_candidates(candidates: Magnitudes, communicator: Communicator) -> list[Magnitudes]:
    """Return the candidates of all owners, in rank order."""
    received = communicator.allgatherv(candidates.astype("<u4").view(np.uint8), 4 * _FEW)
    for rank, each in enumerate(received):
        if len(each) % 4:
            raise WireError(
                f"candidates from rank {rank}: expected 4 bytes each, got {len(each)} bytes"
            )
    return [each.view("<u4") for each in received]


def _check_candidates(lists: list[Magnitudes], count: int, least: int, beyond: int) -> None:
    """Check that the candidates are those that the histogram counted."""
    total = sum(len(each) for each in lists)
    if total != count:
        raise WireError(f"expected {count} candidates from all ranks, got {total}")
    for rank, each in enumerate(lists):
        if len(each) and not least <= int(each.min()) <= int(each.max()) < beyond:
            raise WireError(
                f"candidates from rank {rank}: expected magnitude bits in [{least}, {beyond}), "
                f"got {each.min()} to {each.max()}"
            )


def _own_winners(lists: list[Magnitudes], free: int, rank: int) -> npt.NDArray[np.int64]:
    """Return which of this owner's candidates are among the ``free`` largest of all owners'."""
    everybody = np.concatenate(lists)
    # Stable, so equal magnitudes stay in rank order and, within a rank, in index order.
    first = np.argsort(-everybody.astype(np.int64), kind="stable")[:free]
    before = sum(len(each) for each in lists[:rank])
    mine: npt.NDArray[np.int64] = np.sort(first[first >= before] - before)
    return mine[mine < len(lists[rank])]


def _share_of_ties(own: int, free: int, communicator: Communicator) -> int:
    """Return how many of its tied sums this owner keeps when only ``free`` of all may win."""
    counts = np.zeros(communicator.size, np.int64)
    counts[communicator.rank] = own
    before = int(communicator.allreduce(counts, "sum")[: communicator.rank].sum())
    return max(0, min(own, free - before))
