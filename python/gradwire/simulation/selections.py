"""What virtual ranks bring: k entries made directly, without a vector of n elements behind them.

The entries are those that exact top-k would select from Laplace-distributed gradients in layers of
different scales: with scale s, a share exp(-t / s) of a layer is above the common threshold t, and
what is above lies exponentially distributed behind it.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.payload import Float32, Indices

GENERATED = ("layered", "hot_spot")
_LAYERS = 12
_SHARED = 0.5  # of a layer's entries: at the same places on all ranks
_HOT_SHARE = 0.9  # of all entries: within the hot spot
_HOT_DENSITY = 0.8  # entries per element of the hot spot
_EVERYBODY = 1 << 31  # as a random number's rank


class Source(abc.ABC):
    """Gradients of all ranks and steps.

    Attributes:
        numel: elements of a gradient.
        k: entries that each rank selects.
    """

    numel: int
    k: int
    _latest: tuple[tuple[int, int], tuple[Indices, Float32]] | None = None

    def latest(self, rank: int, step: int) -> tuple[Indices, Float32]:
        """Return `entries`, made only if those asked for last were other ones."""
        if self._latest is None or self._latest[0] != (rank, step):
            self._latest = None  # before the next ones are made, not after
            self._latest = (rank, step), self.entries(rank, step)
        return self._latest[1]

    @abc.abstractmethod
    def entries(self, rank: int, step: int) -> tuple[Indices, Float32]:
        """Return what a rank selects: at most k increasing indices, and their values."""

    @abc.abstractmethod
    def dense(self, rank: int, step: int) -> Float32:
        """Return a rank's whole gradient: (numel,) float32; nobody may change it."""


@dataclass(frozen=True)
class Stretch:
    """A run of elements of one scale, and how many of them each rank selects."""

    begin: int
    length: int
    count: int
    scale: float


class Generated(Source):
    """Seeded entries in stretches; half of them at places that all ranks have in common."""

    def __init__(self, numel: int, k: int, seed: int, stretches: list[Stretch], threshold: float):
        self.numel, self.k = numel, k
        self._seed = seed
        self._stretches = stretches
        self._threshold = threshold
        # Of this step and the one before, in which some ranks still are.
        self._common_places = lru_cache(2 * len(stretches))(self._draw_common_places)

    def entries(self, rank: int, step: int) -> tuple[Indices, Float32]:
        """Return a rank's k entries: in each stretch as many as it has, at random places."""
        generator = np.random.Generator(np.random.PCG64([self._seed, step, rank]))
        indices, values = [], []
        for number, stretch in enumerate(self._stretches):
            places = self._places(number, stretch, rank, step)
            excess = stretch.scale * generator.standard_exponential(len(places))
            signs = generator.choice((-1.0, 1.0), len(places))
            indices.append(places + np.uint32(stretch.begin))
            values.append(signs * (self._threshold + excess))
        return np.concatenate(indices), np.concatenate(values).astype(np.float32)

    @cached_property
    def _some_gradient(self) -> Float32:
        generator = np.random.Generator(np.random.PCG64(self._seed))
        return generator.standard_normal(self.numel, np.float32)

    def dense(self, rank: int, step: int) -> Float32:
        """Return one and the same vector for all: what a dense schedule moves is not looked at."""
        return self._some_gradient

    def _places(self, number: int, stretch: Stretch, rank: int, step: int) -> Indices:
        """Return increasing positions in a stretch: those of all ranks, and this one's own."""
        shared, free_before = self._common_places(number, stretch, step)
        common = len(shared)
        own = kernels.random_indices(
            stretch.length - common,
            stretch.count - common,
            self._seed,
            number | (rank + 1) << 8,
            step,
        )
        # The own ones count the positions that are not shared: j-th of these, whatever is between.
        skipped = np.searchsorted(free_before, own, side="right").astype(np.uint32)
        return np.sort(np.concatenate([shared, own + skipped]), kind="stable")  # merges two runs

    def _draw_common_places(
        self, number: int, stretch: Stretch, step: int
    ) -> tuple[Indices, Indices]:
        """Return the positions of all ranks, and how many other ones lie before each."""
        common = round(_SHARED * stretch.count)
        shared = kernels.random_indices(
            stretch.length, common, self._seed, number, step ^ _EVERYBODY
        )
        return shared, shared - np.arange(common, dtype=np.uint32)


class Recorded(Source):
    """Gradients in a file of shape (rows, n), float32; only the rows in use are in memory.

    Rank r takes row step * ranks + r, and begins again where the file ends.
    """

    def __init__(self, path: Path, density: float, ranks: int) -> None:
        self._rows = _open(path)
        self._ranks = ranks
        self.numel = self._rows.shape[1]
        self.k = budget(self.numel, density)

    def entries(self, rank: int, step: int) -> tuple[Indices, Float32]:
        """Return the k entries of largest magnitude."""
        selected = kernels.topk(self.dense(rank, step), self.k)
        return selected.indices, selected.values

    def dense(self, rank: int, step: int) -> Float32:
        """Return the row."""
        row: Float32 = np.asarray(self._rows[(step * self._ranks + rank) % len(self._rows)])
        return row


def make_source(gradients: str, numel: int, density: float, ranks: int, seed: int) -> Source:
    """Return the gradients that a name or a file stands for.

    gradients: a name in GENERATED, or the path of a .npy file, whose n then counts.

    Raises:
        ConfigError: neither, or nothing that can be simulated.
    """
    if gradients not in GENERATED:
        if not gradients.endswith(".npy"):
            raise ConfigError(
                f"simulate: --gradients must be {', '.join(GENERATED)} or a .npy file, "
                f"got {gradients!r}"
            )
        return Recorded(Path(gradients), density, ranks)
    k = budget(numel, density)
    generator = np.random.Generator(np.random.PCG64([seed, numel]))
    if gradients == "hot_spot":
        return Generated(numel, k, seed, _hot_spot(generator, numel, k), 1.0)
    stretches, threshold = _layers(generator, numel, k)
    return Generated(numel, k, seed, stretches, threshold)


def budget(numel: int, density: float) -> int:
    """Return how many entries each rank selects of numel elements: at least 1."""
    return max(1, round(numel * density))


def _layers(generator: np.random.Generator, numel: int, k: int) -> tuple[list[Stretch], float]:
    """Return layers of random length and of scales over four orders of magnitude."""
    cuts = np.sort(generator.integers(0, numel + 1, _LAYERS - 1))
    edges = np.concatenate([[0], cuts, [numel]]).astype(np.int64)
    lengths = np.diff(edges)
    scales = 10.0 ** generator.uniform(-4, 0, _LAYERS)
    threshold = _threshold(lengths, scales, k)
    counts = _whole(lengths * np.exp(-threshold / scales), lengths, k)
    stretches = [
        Stretch(int(begin), int(end - begin), int(count), float(scale))
        for (begin, end), count, scale in zip(pairwise(edges), counts, scales, strict=True)
    ]
    return stretches, threshold


def _hot_spot(generator: np.random.Generator, numel: int, k: int) -> list[Stretch]:
    """Return a dense stretch somewhere, and the sparse ones before and after it."""
    width = min(numel, max(1, round(k * _HOT_SHARE / _HOT_DENSITY)))
    begin = int(generator.integers(0, numel - width + 1))
    lengths = np.array([begin, width, numel - begin - width], np.int64)
    others = lengths * (1.0 - _HOT_SHARE) * k / max(1, numel - width)
    counts = _whole(np.array([others[0], _HOT_SHARE * k, others[2]]), lengths, k)
    begins = np.concatenate([[0], np.cumsum(lengths)[:2]])
    return [
        Stretch(int(first), int(length), int(count), scale)
        for first, length, count, scale in zip(begins, lengths, counts, (1, 9, 1), strict=True)
    ]


def _threshold(lengths: npt.NDArray[Any], scales: npt.NDArray[Any], k: int) -> float:
    """Return the magnitude that k elements are expected to exceed, by bisection."""
    low, high = 0.0, float(scales.max()) * np.log(2.0 * lengths.sum() / k + 1.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = float((lengths * np.exp(-middle / scales)).sum())
        low, high = (middle, high) if above > k else (low, middle)
    return low


def _whole(shares: npt.NDArray[Any], lengths: npt.NDArray[Any], total: int) -> npt.NDArray[Any]:
    """Round shares to integers of the given total, none above its length: largest rests first."""
    counts: npt.NDArray[Any] = np.minimum(np.floor(shares).astype(np.int64), lengths)
    for number in np.argsort(-(shares - np.floor(shares)), kind="stable"):
        if counts.sum() < total and counts[number] < lengths[number]:
            counts[number] += 1
    for number in np.argsort(-shares, kind="stable"):  # what rounding and lengths left over
        counts[number] += min(total - counts.sum(), lengths[number] - counts[number])
    return counts


def _open(path: Path) -> npt.NDArray[np.float32]:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"simulate: cannot read gradients from {path}: {error}") from None
    if rows.ndim != 2 or rows.dtype != np.float32 or not rows.size or not rows.flags.c_contiguous:
        raise ConfigError(
            f"simulate: {path} must hold float32 of shape (ranks or steps, n), row by row, "
            f"got {rows.dtype} of shape {rows.shape}"
        )
    recorded: npt.NDArray[np.float32] = rows
    return recorded
