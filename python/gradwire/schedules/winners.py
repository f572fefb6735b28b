"""The exact global top-k of sums that are spread over their owners.

Magnitudes are compared as the 31 bits below the sign. Three summed histograms narrow the k-th
largest down to its bits (11, then 10, then 10 of them: 16 KB in all); ties at the k-th are given to
the lowest indices, which, as regions are in index order, are those of the lowest ranks. The owners
decide once and for all; no other rank repeats the decision.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.payload import Float32

Chosen = npt.NDArray[np.bool_]

_ROUNDS = ((20, 11), (10, 10), (0, 10))  # (shift, bits) of each histogram
_MAGNITUDE_MASK = np.uint32(0x7FFFFFFF)


def winners(values: Float32, k: int, communicator: Communicator) -> Chosen:
    """Tell which of this owner's sums are among the k largest of all owners; collective.

    ``values`` are this owner's sums in index order, without NaN. Exactly k win, or all non-zero
    ones if there are fewer. Zeros never win.
    """
    magnitudes = values.view(np.uint32) & _MAGNITUDE_MASK
    prefix, still_free = 0, k
    for shift, bits in _ROUNDS:
        # Counts fit 32 bits: there are fewer than 2^32 elements in a bucket.
        counts = kernels.histogram(values, shift, bits, prefix).astype(np.uint32)
        summed = communicator.allreduce(counts, "sum").astype(np.int64)
        at_least = np.cumsum(summed[::-1])[::-1]
        if at_least[0] <= still_free:  # everything from here on wins
            least = np.uint32(max(1, prefix << (shift + bits)))
            everything: Chosen = magnitudes >= least
            return everything
        bin_of_kth = int(np.flatnonzero(at_least >= still_free)[-1])
        still_free -= int(at_least[bin_of_kth] - summed[bin_of_kth])
        prefix = prefix << bits | bin_of_kth
    chosen: Chosen = magnitudes > np.uint32(prefix)
    ties = np.flatnonzero(magnitudes == np.uint32(prefix))
    if summed[bin_of_kth] > still_free:
        ties = ties[: _share_of_ties(len(ties), still_free, communicator)]
    chosen[ties] = True
    return chosen


def _share_of_ties(own: int, free: int, communicator: Communicator) -> int:
    """Return how many of its tied sums this owner keeps when only ``free`` of all may win."""
    counts = np.zeros(communicator.size, np.int64)
    counts[communicator.rank] = own
    before = int(communicator.allreduce(counts, "sum")[: communicator.rank].sum())
    return max(0, min(own, free - before))
