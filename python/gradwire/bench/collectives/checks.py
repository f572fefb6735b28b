"""Whether a reduction is right: nothing lost, nothing added, the same bits on every rank."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job, Rounding

_SLAB = 1 << 22  # elements that are reduced at a time
_Array = np.ndarray[Any, np.dtype[Any]]


class Brought:
    """What the ranks bring to a step, summed up: the sum, and that of the magnitudes, in float64.

    Each rank holds its part of every slab. Collective.

    Args:
        job: the ranks.
        acc: (n,) float32, this rank's residual + gradient.
    """

    def __init__(self, job: Job, acc: Floats) -> None:
        self.sums: list[_Array] = []
        self.magnitudes: list[_Array] = []
        for slab, bounds in _slabs(job):
            values = acc[slab].astype(np.float64)
            self.sums.append(_scattered_sum(job, values, bounds))
            self.magnitudes.append(_scattered_sum(job, np.abs(values), bounds))


def count_wrong(
    job: Job,
    brought: Brought,
    kept: Floats | None,
    result: Floats,
    divides: bool,
    rounding: Rounding,
) -> int:
    """Return how many elements are wrong, on rank 0; collective, over MPI.

    An element is wrong if what the ranks brought is not what they kept and the sum that came back,
    or if its bits are not the same on all ranks (then it may count twice).

    Args:
        job: the ranks.
        brought: by all ranks together.
        kept: (n,) float32, this rank's residual after the step; None: nothing is kept.
        result: (n,) float32, what the step returned.
        divides: the result is the mean, not the sum.
        rounding: of the numbers that were added.
    """
    wrong = 0
    for number, (slab, bounds) in enumerate(_slabs(job)):
        own = slice(bounds[job.rank], bounds[job.rank + 1])
        total = result[slab][own].astype(np.float64) * (job.size if divides else 1)
        expected, magnitude = brought.sums[number], brought.magnitudes[number]
        if kept is not None:
            # Its sum is rounded as often, and is no larger than what was brought and what came.
            expected = expected - _scattered_sum(job, kept[slab], bounds)
            kept_magnitude = _scattered_sum(job, np.abs(kept[slab]), bounds)
            magnitude = 2 * (magnitude + np.abs(total) + kept_magnitude)
        wrong += outside(total, expected, magnitude, job.size, rounding)
    counts = job.comm.gather(wrong, root=0)
    return count_unlike(job, result) + (sum(counts) if job.rank == 0 else 0)


def outside(
    total: _Array, expected: _Array, magnitude: _Array, size: int, rounding: Rounding
) -> int:
    """Return how many sums are further from the expected ones than roundings can bring them.

    Every rank may round its value twice (cast, divide), each of the `size` - 1 additions its sum,
    and the result is rounded once more; none of these numbers is above the sum of the magnitudes.

    Args:
        total: (n,) float64, the sums that came back.
        expected: (n,) float64.
        magnitude: (n,) float64, the sum of the ranks' magnitudes.
        size: number of ranks.
        rounding: of the numbers that were added.
    """
    relative = (size + 2) * rounding.relative * magnitude
    absolute = (3 * size + 1) * size * rounding.absolute
    return int(np.count_nonzero(~(np.abs(total - expected) <= relative + absolute)))


def count_unlike(job: Job, result: Floats) -> int:
    """Return how many elements are not the same bits on all ranks, on rank 0; collective."""
    digest = hashlib.blake2b(np.ascontiguousarray(result).data).digest()
    if len(set(job.comm.allgather(digest))) == 1:
        return 0
    unlike = 0
    for slab, bounds in _slabs(job):
        bits = result[slab].view(np.uint32)
        first = bits.copy()
        job.comm.Bcast(first, root=0)
        differing = _scattered_sum(job, (bits != first).astype(np.int32), bounds)
        unlike += int(np.count_nonzero(differing))
    counts = job.comm.gather(unlike, root=0)
    return sum(counts) if job.rank == 0 else 0


def _slabs(job: Job) -> Iterator[tuple[slice, list[int]]]:
    """Yield the slabs of a vector, and for each the bounds within it of the ranks' parts."""
    for begin in range(0, job.numel, _SLAB):
        length = min(_SLAB, job.numel - begin)
        bounds = [length * rank // job.size for rank in range(job.size + 1)]
        yield slice(begin, begin + length), bounds


def _scattered_sum(job: Job, values: _Array, bounds: list[int]) -> _Array:
    """Return this rank's part of the sum over the ranks, in the type of the values."""
    counts = [end - begin for begin, end in itertools.pairwise(bounds)]
    part = np.empty(counts[job.rank], values.dtype)
    job.comm.Reduce_scatter(values, part, counts)
    return part
