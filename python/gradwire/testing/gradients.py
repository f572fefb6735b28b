"""Vectors like the gradients that training makes, and like those that break compressors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradwire.payload import Float32


class GradientStream:
    """One rank's gradients, step after step, as far as compressors can tell.

    Laplace-distributed values (heavier tails than a normal distribution), in layers whose scales
    differ by orders of magnitude, correlated between steps and between ranks. The scales are the
    same on all ranks.

    Args:
        numel: elements of a gradient.
        rank: this rank.
        seed: of the job: the same on all ranks.
        layers: number of stretches of equal scale.
        memory: share of a step's gradient that the next one repeats, in [0, 1).
        shared: share of a gradient that is the same on all ranks, in [0, 1].
    """

    def __init__(
        self,
        numel: int,
        rank: int = 0,
        seed: int = 0,
        layers: int = 12,
        memory: float = 0.5,
        shared: float = 0.5,
    ) -> None:
        self._common = np.random.default_rng([seed, 0])
        self._own = np.random.default_rng([seed, 1, rank])
        self._scales = _layer_scales(np.random.default_rng([seed, 2]), numel, layers)
        self._memory, self._shared = memory, shared
        self._last = self._draw()

    def next(self) -> Float32:
        """Return the next step's gradient: (numel,) float32, new memory."""
        fresh = self._draw()
        last: Float32 = (self._memory * self._last + (1 - self._memory) * fresh).astype(np.float32)
        self._last = last
        result: Float32 = last.copy()
        return result

    def _draw(self) -> Float32:
        numel = len(self._scales)
        common = self._common.laplace(size=numel).astype(np.float32)
        own = self._own.laplace(size=numel).astype(np.float32)
        mixed = self._scales * (self._shared * common + (1 - self._shared) * own)
        drawn: Float32 = mixed.astype(np.float32)
        return drawn


def layered_laplace(generator: np.random.Generator, numel: int) -> Float32:
    """Return (numel,) values in 8 layers whose scales differ by orders of magnitude."""
    scales = _layer_scales(generator, numel, 8)
    return (scales * generator.laplace(size=numel)).astype(np.float32)


def hot_spot(generator: np.random.Generator, numel: int) -> Float32:
    """Return values of which a hundredth, side by side, is 1000 times as large as the others."""
    values = generator.standard_normal(numel)
    width = max(1, numel // 100)
    begin = int(generator.integers(0, max(1, numel - width + 1)))
    values[begin : begin + width] *= 1000
    return values.astype(np.float32)


def all_zero(generator: np.random.Generator, numel: int) -> Float32:
    """Return zeros of both signs."""
    return np.where(generator.random(numel) < 0.5, 0.0, -0.0).astype(np.float32)


def all_equal(generator: np.random.Generator, numel: int) -> Float32:
    """Return one value everywhere: nothing but ties."""
    return np.full(numel, generator.integers(1, 100), np.float32)


def single_spike(generator: np.random.Generator, numel: int) -> Float32:
    """Return zeros and, if there is room, one value."""
    values = np.zeros(numel, np.float32)
    if numel:
        values[generator.integers(0, numel)] = -3.0
    return values


def few_levels(generator: np.random.Generator, numel: int) -> Float32:
    """Return integers from -3 to 3: ties, zeros, and sums that cancel."""
    return generator.integers(-3, 4, numel).astype(np.float32)


def denormals(generator: np.random.Generator, numel: int) -> Float32:
    """Return numbers below the smallest normal one, of both signs, among them zeros."""
    multiples = generator.integers(-(2**22), 2**22, numel)
    small: Float32 = multiples.astype(np.float32) * np.float32(2.0**-149)
    return small


def wide_range(generator: np.random.Generator, numel: int) -> Float32:
    """Return values of all magnitudes from 2^-40 to 2^14, which float16 cannot hold all."""
    signs = generator.choice([-1.0, 1.0], numel)
    return (signs * 2.0 ** generator.uniform(-40, 14, numel)).astype(np.float32)


Shape = Callable[[np.random.Generator, int], Float32]

SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        layered_laplace,
        hot_spot,
        all_zero,
        all_equal,
        single_spike,
        few_levels,
        denormals,
        wide_range,
    )
}


def _layer_scales(generator: np.random.Generator, numel: int, layers: int) -> Float32:
    """Return each element's scale: layers of random length and of scale 10^-4 to 1."""
    cuts = np.sort(generator.integers(0, numel + 1, max(0, layers - 1)))
    lengths = np.diff(np.concatenate([[0], cuts, [numel]]))
    scales = 10.0 ** generator.uniform(-4, 0, len(lengths))
    return np.repeat(scales, lengths).astype(np.float32)
