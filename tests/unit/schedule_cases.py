"""Inputs for schedules on simulated ranks, and what their results are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from exchange_model import Model, Step, allgather, gtopk, oktopk
from kernel_inputs import assert_same_bits

from gradwire.compressors import TopK
from gradwire.schedules import Allgather, GTopk, OkTopk, Schedule, TopkDsa
from gradwire.testing import SHAPES, exact_values

SIZES = (1, 2, 3, 4, 5, 7, 8)
SHAPES_TRIED = [
    *((size, shape) for size in (1, 2, 3, 8) for shape in SHAPES),
    *((size, shape) for size in (4, 5, 7) for shape in ("few_levels", "layered_laplace")),
    *((size, "uneven") for size in SIZES),
]
# (elements, density): empty, fewer entries than ranks, fewer elements than ranks, odd sizes
VOLUMES = ((0, 0.5), (1, 0.01), (2, 0.5), (6, 0.4), (33, 0.03), (1025, 0.001), (1025, 0.1), (97, 1))
# Those that keep the whole union have one result, whatever way the entries take.
MODELS: dict[type[Schedule], Model] = {
    OkTopk: oktopk,
    Allgather: allgather,
    TopkDsa: allgather,
    GTopk: gtopk,
}

Gradients = list[list[np.ndarray]]


def frequent() -> OkTopk:
    """Regions are renewed often, so that few steps see it happen and not happen."""
    return OkTopk(repartition_every=2)


def model_of(schedule: Schedule) -> Model:
    """Return what the schedule must do."""
    return MODELS[type(schedule)]


def drawn(
    shape: Callable, size: int, numel: int, steps: int = 4, seed: int | Sequence[int] = 0
) -> Gradients:
    """Return gradients[rank][step] of a shape."""
    seeds = [seed] if isinstance(seed, int) else seed
    return [
        [shape(np.random.default_rng([*seeds, rank, step]), numel) for step in range(steps)]
        for rank in range(size)
    ]


def uneven(generator: np.random.Generator, numel: int) -> np.ndarray:
    """Return values of which a random share, perhaps all, is zero: different counts per rank."""
    return exact_values(generator, numel, zeros=generator.choice([0.0, 0.9, 1.0]))


def assert_follows_model(
    results: list[list[Step]], gradients: Gradients, density: float, model: Model
) -> None:
    """Outputs and residuals of every rank and step are the model's, bit for bit."""
    size, numel = len(gradients), len(gradients[0][0])
    compressor = TopK(density)
    residuals = [np.zeros(numel, np.float32) for _ in range(size)]
    for step in range(len(gradients[0])):
        accs = [kept + own[step] for kept, own in zip(residuals, gradients, strict=True)]
        expected, residuals = model(accs, compressor.budget(numel, step), 1 / size)
        for rank in range(size):
            got = results[rank][step]
            assert got.out is not None
            assert_same_bits(got.out, expected)
            assert_same_bits(got.residual, residuals[rank])
