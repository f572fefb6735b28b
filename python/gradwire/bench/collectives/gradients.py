"""Gradients that change from step to step, made before anything is timed."""

from __future__ import annotations

import math

import numpy as np

from gradwire.bench.inputs import Floats
from gradwire.kernels.arrays import aligned

COUNT = 4  # of different gradients: as many vectors of n elements are kept
CORRELATION = 0.9  # between any two of them, as between successive steps of a training
LAYERS = 10  # of equal length
LARGEST_RATIO = 30.0  # of two layers' scales; the first has scale 1


class GradientRing:
    """One rank's gradients, used in turn: (numel,) float32 each, seeded, nobody changes them.

    Sums of a Laplace-distributed vector that all of them share and one of their own. Ranks are
    independent of each other, the least favourable case for what reduces sparse vectors; only the
    scales of the layers are the same on all.
    """

    def __init__(self, numel: int, rank: int, seed: int) -> None:
        generator = np.random.default_rng([seed, rank])
        common = _draw(generator, numel, math.sqrt(CORRELATION))
        self._gradients = []
        for _ in range(COUNT):
            gradient = _draw(generator, numel, math.sqrt(1.0 - CORRELATION))
            gradient += common
            self._gradients.append(gradient)

    def __getitem__(self, step: int) -> Floats:
        """Return the gradient of a step, counted from 0."""
        return self._gradients[step % COUNT]


def _draw(generator: np.random.Generator, numel: int, scale: float) -> Floats:
    drawn: Floats = aligned(numel)
    generator.standard_exponential(dtype=np.float32, out=drawn)
    np.negative(drawn, out=drawn, where=generator.integers(0, 2, numel, bool))
    for layer, part in enumerate(np.array_split(drawn, LAYERS)):
        part *= np.float32(scale * LARGEST_RATIO ** (-layer / (LAYERS - 1)))
    return drawn
