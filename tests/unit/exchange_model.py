"""Exchanges in plain NumPy, independent of gradwire's kernels and schedules, and a way to run both.

The models know all ranks' accumulators at once. Ok-Topk: local exact top-k, sums in rank order,
global exact top-k of the sums, residuals of what was not both sent and kept. Allgather and TopkDSA:
the sums of all that was selected. gTop-k: a tree of sums, pruned to k in every node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import Compressor
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import Report, Schedule


@dataclass
class Step:
    """What one rank has after one exchange; out is None if it was not finite."""

    out: np.ndarray | None
    residual: np.ndarray
    report: Report


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the k largest magnitudes that are not 0, ties to the lowest."""
    order = np.argsort(-np.abs(values.astype(np.float64)), kind="stable")[:k]
    return np.sort(order[values[order] != 0])


def rank_order_sum(contributions: Sequence[tuple[np.ndarray, np.ndarray]], numel: int) -> Any:
    """Return (sums, present): float32 sums in the order given, starting with the first present."""
    sums, present = np.zeros(numel, np.float32), np.zeros(numel, bool)
    for indices, values in contributions:
        sums[indices] = np.where(present[indices], sums[indices] + values, values)
        present[indices] = True
    return sums, present


Rounding = Callable[[np.ndarray], np.ndarray]
Model = Callable[[Sequence[np.ndarray], int, float], tuple[np.ndarray, list[np.ndarray]]]


def oktopk(accs: Sequence[np.ndarray], k: int, scale: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the scaled reduced vector and every rank's new residual."""
    numel = len(accs[0])
    if k == numel:
        total = accs[0].copy()
        for acc in accs[1:]:
            total = total + acc
        return total * np.float32(scale), [np.zeros_like(acc) for acc in accs]
    chosen = [largest(acc, k) for acc in accs]
    sums, _ = rank_order_sum(
        [(indices, acc[indices]) for indices, acc in zip(chosen, accs, strict=True)], numel
    )
    kept = largest(sums, k)
    reduced = np.zeros(numel, np.float32)
    reduced[kept] = sums[kept] * np.float32(scale)
    residuals = [acc.copy() for acc in accs]
    for residual, indices in zip(residuals, chosen, strict=True):
        residual[np.intersect1d(indices, kept)] = 0
    return reduced, residuals


def allgather(
    accs: Sequence[np.ndarray], k: int, scale: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the scaled sum of all ranks' selections and every rank's new residual."""
    numel = len(accs[0])
    if k == numel:
        return oktopk(accs, k, scale)
    chosen = [largest(acc, k) for acc in accs]
    sums, present = rank_order_sum(
        [(indices, acc[indices]) for indices, acc in zip(chosen, accs, strict=True)], numel
    )
    residuals = [acc.copy() for acc in accs]
    for residual, indices in zip(residuals, chosen, strict=True):
        residual[indices] = 0
    return np.where(present, sums * np.float32(scale), np.float32(0)), residuals


def exact(values: np.ndarray) -> np.ndarray:
    """Return the values: the rounding of a format that does not round."""
    return values


def gtopk(
    accs: Sequence[np.ndarray], k: int, scale: float, rounded: Rounding = exact
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the scaled k entries that are left at the tree's root, and the new residuals."""
    size, numel = len(accs), len(accs[0])
    if k == numel:
        return oktopk(accs, k, scale)
    held = [(indices, acc[indices]) for acc in accs for indices in [largest(acc, k)]]
    residuals = [acc.copy() for acc in accs]
    for residual, (indices, _) in zip(residuals, held, strict=True):
        residual[indices] = 0

    def told(rank: int) -> tuple[np.ndarray, np.ndarray]:
        indices, values = held[rank]
        residuals[rank][indices] += values - rounded(values)
        return indices, rounded(values)

    distance = 1
    while distance < size:
        for rank in range(0, size - distance, 2 * distance):
            sums, present = rank_order_sum([held[rank], told(rank + distance)], numel)
            kept = largest(sums, k)
            held[rank] = (kept, sums[kept])
            present[kept] = False
            residuals[rank][present] += sums[present]
        distance *= 2
    reduced = np.zeros(numel, np.float32)
    indices, values = told(0)
    reduced[indices] = values * np.float32(scale)
    return reduced, residuals


def hierarchical(
    accs: Sequence[np.ndarray],
    k: int,
    scale: float,
    group_size: int,
    boundaries: Sequence[int],
    keep_all: bool,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the scaled sums that get through both levels, and the new residuals.

    Groups are successive ranks; ``boundaries`` are those of their shards. Between groups the
    largest sums of a shard are kept, as by Ok-Topk, or all.
    """
    numel = len(accs[0])
    if k == numel:
        return oktopk(accs, k, scale)
    chosen = [largest(acc, k) for acc in accs]
    residuals = [acc.copy() for acc in accs]
    for residual, indices in zip(residuals, chosen, strict=True):
        residual[indices] = 0
    reduced = np.zeros(numel, np.float32)
    for place in range(group_size):
        inside = np.zeros(numel, bool)
        inside[boundaries[place] : boundaries[place + 1]] = True
        budget = min(int(inside.sum()), -(-k // group_size))
        brought, owners = [], range(place, len(accs), group_size)
        for owner in owners:
            ranks = range(owner - place, owner - place + group_size)
            parts = [chosen[rank][inside[chosen[rank]]] for rank in ranks]
            sums, present = rank_order_sum(
                [(part, accs[rank][part]) for rank, part in zip(ranks, parts, strict=True)], numel
            )
            kept = largest(sums, budget) if present.sum() > budget else np.flatnonzero(present)
            present[kept] = False
            residuals[owner][present] += sums[present]
            brought.append((kept, sums[kept]))
        sums, present = rank_order_sum(brought, numel)
        through = np.flatnonzero(present) if keep_all else largest(sums, budget)
        reduced[through] = sums[through] * np.float32(scale)
        for owner, (indices, values) in zip(owners, brought, strict=True):
            lost = ~np.isin(indices, through)
            residuals[owner][indices[lost]] += values[lost]
    return reduced, residuals


def run(
    gradients: Sequence[Sequence[np.ndarray]],
    compressor: Compressor,
    schedule: Callable[[], Schedule],
    seed: int = 0,
    tail: int = 0,
    scale: float | None = None,
) -> list[list[Step]]:
    """Exchange ``gradients[rank][step]`` on simulated ranks; return the steps of every rank."""
    size = len(gradients)
    factor = 1 / size if scale is None else scale

    def rank(communicator: Communicator) -> list[Step]:
        own = gradients[communicator.rank]
        exchange = Exchange(compressor, schedule(), communicator, seed=3)
        bucket = Bucket("bucket0", "one tensor", len(own[0]), tail)
        residual, steps = OwnedResidual(bucket.numel), []
        for step, gradient in enumerate(own):
            kept_gradient = gradient.copy()
            reduced = exchange.reduce(bucket, gradient, step, residual)
            assert gradient.tobytes() == kept_gradient.tobytes()
            out = reduced.commit(residual, factor).copy() if reduced.finite else None
            steps.append(Step(out, residual.values.copy(), reduced.report))
        return steps

    return Simulation(size, seed).run(rank)
