"""What Ok-Topk has to return, in a few lines of NumPy over the gradients of all ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def largest(values: Any, k: int) -> Any:
    """Return the indices of the k largest magnitudes; zeros never, ties to the lowest index."""
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    return np.sort(order[values[order] != 0])


class OkTopkByHand:
    """All ranks of one optimizer.

    Args:
        sizes: name -> number of elements.
        ranks: how many.
        density: share of each bucket's large tensors to send.
        min_numel: tensors below travel dense.
        buckets: the names in each bucket; all in one by default.
        gathered: every entry sent is delivered (top-k over allgather).
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        ranks: int,
        density: float,
        min_numel: int,
        buckets: Sequence[Sequence[str]] | None = None,
        gathered: bool = False,
    ) -> None:
        self.density = density
        self.small = sorted(name for name in sizes if sizes[name] < min_numel)
        everything = [sorted(sizes)] if buckets is None else buckets
        self.buckets = [[name for name in each if name not in self.small] for each in everything]
        self.gathered = gathered
        self.residuals = [
            {name: np.zeros(numel, np.float32) for name, numel in sizes.items()}
            for _ in range(ranks)
        ]

    def step(self, gradients: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return {name: sum over ranks} for the flat gradients of all ranks."""
        result = {name: sum(each[name] for each in gradients) for name in self.small}
        for names in self.buckets:
            if names:
                result |= self._bucket(names, gradients)
        return result

    def _bucket(self, names: list[str], gradients: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        acc = [
            np.concatenate([residual[name] + each[name] for name in names])
            for residual, each in zip(self.residuals, gradients, strict=True)
        ]
        k = max(1, round(len(acc[0]) * self.density))
        selected = [largest(each, k) for each in acc]
        total = np.zeros_like(acc[0])
        for each, indices in zip(acc, selected, strict=True):
            total[indices] += each[indices]
        winners = np.flatnonzero(total) if self.gathered else largest(total, k)
        delivered = [own if self.gathered else np.intersect1d(own, winners) for own in selected]
        out = np.zeros_like(total)
        out[winners] = total[winners]
        for each, indices in zip(acc, delivered, strict=True):
            each[indices] = 0
        cuts = np.cumsum([len(self.residuals[0][name]) for name in names])[:-1]
        for residual, each in zip(self.residuals, acc, strict=True):
            residual.update(zip(names, np.split(each, cuts), strict=True))
        return dict(zip(names, np.split(out, cuts), strict=True))
