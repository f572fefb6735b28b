"""Whether a reduction is right: nothing lost, nothing added, the same bits on every rank."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from gradwire.bench.collectives.method import Job, Rounding
from gradwire.bench.inputs import Floats

_BLOCK = 1 << 20  # elements; what is compared at a time


def count_wrong(
    job: Job, acc: Floats, kept: Floats | None, result: Floats, divides: bool, rounding: Rounding
) -> int:
    """Return how many elements are wrong, on rank 0; collective, over MPI.

    An element is wrong if what left the ranks, the sum of acc - kept in float64, is not the sum
    that came back, or if its bits are not the same on all ranks (then it may count twice).

    Args:
        job: the ranks.
        acc: (n,) float32, this rank's residual + gradient.
        kept: (n,) float32, this rank's residual after the step; None: nothing is kept.
        result: (n,) float32, what the step returned.
        divides: the result is the mean, not the sum.
        rounding: of the numbers that were added.
    """
    scale = job.size if divides else 1
    wrong = 0
    for block, begin in enumerate(range(0, job.numel, _BLOCK)):
        part = slice(begin, begin + _BLOCK)
        root = block % job.size
        total = result[part].astype(np.float64) * scale
        left = acc[part].astype(np.float64)
        magnitude = np.abs(left)
        if kept is not None:
            left -= kept[part]
            magnitude += np.abs(kept[part])
        expected, largest = _sum_at(job.comm, left, root), _sum_at(job.comm, magnitude, root)
        if job.rank == root:
            wrong += outside(total, expected, largest, job.size, rounding)
    counts = job.comm.gather(wrong, root=0)
    return _count_unlike(job, result) + (sum(counts) if job.rank == 0 else 0)


def outside(
    total: np.ndarray[Any, Any],
    expected: np.ndarray[Any, Any],
    magnitude: np.ndarray[Any, Any],
    size: int,
    rounding: Rounding,
) -> int:
    """Return how many sums are further from the expected ones than roundings can bring them.

    Every rank may round its value twice (cast, scale), each of the `size` - 1 additions and the
    result once; all are at most the sum of the magnitudes. Twice that is allowed. All arrays:
    (n,) float64.
    """
    relative = 2 * (size + 2) * rounding.relative * (magnitude + np.abs(total))
    absolute = 2 * (3 * size + 1) * size * rounding.absolute
    return int(np.count_nonzero(~(np.abs(total - expected) <= relative + absolute)))


def _sum_at(comm: Any, values: np.ndarray[Any, Any], root: int) -> np.ndarray[Any, Any]:
    """Return the sum over the ranks, on the root; the others get memory that holds anything."""
    total = np.empty_like(values)
    comm.Reduce(values, total if comm.Get_rank() == root else None, root=root)
    return total


def _count_unlike(job: Job, result: Floats) -> int:
    """Return how many elements are not the same bits on all ranks, on rank 0; collective."""
    digest = hashlib.blake2b(np.ascontiguousarray(result).data).digest()
    if len(set(job.comm.allgather(digest))) == 1:
        return 0
    unlike = 0
    for begin in range(0, job.numel, _BLOCK):
        bits = result[begin : begin + _BLOCK].view(np.uint32)
        first = bits.copy()
        job.comm.Bcast(first, root=0)
        unlike += int(np.count_nonzero(_sum_at(job.comm, (bits != first).astype(np.int32), 0)))
    return unlike if job.rank == 0 else 0
