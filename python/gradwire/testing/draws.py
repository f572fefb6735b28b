"""What a soak draws at random: compressors, schedules that serve them, sizes and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.compressors import (
    BF16,
    FP16,
    QSGD,
    Chain,
    Compressor,
    EFSignSGD,
    NoCompression,
    Quantizer,
    RandomK,
    TopK,
    with_values,
)
from gradwire.errors import ConfigError
from gradwire.payload import Float32
from gradwire.schedules import SCHEDULES, get_schedule
from gradwire.testing.exact import exact_values
from gradwire.testing.gradients import SHAPES

Generator = np.random.Generator

INTEGERS = "integers"  # gradients whose sums are exact: see `gradwire.testing.exact`
INTEGER_BITS = (2, 5, 9)
LONG = 100_000  # elements
VALUE_FORMATS = ("float32", "fp16", "bf16", "int8", "int4", "sign")

# Sizes of a kind: [least, most) elements, and how often they are drawn.
KINDS: dict[str, tuple[tuple[int, int, float], ...]] = {
    "all": (
        (0, 1, 0.05),
        (1, 2, 0.05),
        (2, 40, 0.35),
        (40, 1_000, 0.3),
        (1_000, 9_000, 0.24),
        (LONG, LONG + 1, 0.01),
    ),
    "any below 3000": ((0, 3_000, 1.0),),
}
CONFIGURATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "oktopk": tuple({"repartition_every": every} for every in (1, 3, 64)),
    "topkdsa": tuple({"repartition_every": every} for every in (1, 3, 64)),
    "split_gather": tuple({"owner": owner} for owner in (None, "float32", "bf16", "int8")),
}


def drawn_compressor(generator: Generator) -> Compressor:
    """Return a compressor in a random configuration; two of three send entries."""
    if generator.random() < 0.66:
        select = TopK(*_density_and_warm_up(generator))
        if select.density == 1.0 or generator.random() < 0.2:
            return select
        if generator.random() < 0.3:
            return Chain(select, _drawn_quantizer(generator))
        return with_values(select, _one_of(generator, VALUE_FORMATS))
    if generator.random() < 0.4:
        return _drawn_quantizer(generator)
    makers: tuple[Callable[[], Compressor], ...] = (
        NoCompression,
        FP16,
        BF16,
        lambda: RandomK(*_density_and_warm_up(generator)),
    )
    made: Compressor = _one_of(generator, makers)()
    return made


def drawn_schedule(generator: Generator, compressor: Compressor) -> dict[str, Any]:
    """Return the configuration of a schedule that serves the compressor."""
    names = [name for name in SCHEDULES if _serves(name, compressor)]
    name = _one_of(generator, names)
    return {"id": name, **_one_of(generator, CONFIGURATIONS.get(name, ({},)))}


def drawn_numel(generator: Generator, kind: str = "all") -> int:
    """Return a number of elements of one of ``KINDS``."""
    ranges = KINDS[kind]
    at = generator.choice(len(ranges), p=[share for _, _, share in ranges])
    least, end, _ = ranges[at]
    return int(generator.integers(least, end))


def drawn_tail(generator: Generator, numel: int) -> int:
    """Return how many of the elements are a tail: mostly none, now and then all."""
    luck = generator.random()
    if luck < 0.6:
        return 0
    return numel if luck < 0.7 else int(generator.integers(0, min(numel, 300) + 1))


def drawn_shape(generator: Generator) -> str:
    """Return ``INTEGERS``, or the name of one of ``SHAPES``."""
    return INTEGERS if generator.random() < 0.5 else _one_of(generator, list(SHAPES))


def gradient_of(shape: str, generator: Generator, numel: int) -> Float32:
    """Return (numel,) float32 values of a shape that `drawn_shape` returns."""
    if shape != INTEGERS:
        return SHAPES[shape](generator, numel)
    zeros = _one_of(generator, (0.0, 0.5, 0.98))
    return exact_values(generator, numel, _one_of(generator, INTEGER_BITS), zeros=zeros)


def _density_and_warm_up(generator: Generator) -> tuple[float, int, int]:
    density = 1.0 if generator.random() < 0.05 else float(10 ** generator.uniform(-3, -0.02))
    early = generator.random() < 0.2
    steps = [int(each) for each in generator.integers(0, 4, 2)] if early else [0, 0]
    return density, steps[0], steps[1]


def _drawn_quantizer(generator: Generator) -> Quantizer:
    block = _one_of(generator, (0, 16, 64, 512, 4096))
    if generator.random() < 0.3:
        return EFSignSGD(block)
    norm, stochastic = _one_of(generator, ("max", "l2")), bool(generator.random() < 0.5)
    return QSGD(int(generator.integers(2, 9)), block, norm, stochastic)


def _serves(name: str, compressor: Compressor) -> bool:
    try:
        get_schedule(name).check(compressor)
    except ConfigError:
        return False
    return True


def _one_of(generator: Generator, choices: Any) -> Any:
    return choices[int(generator.integers(len(choices)))]
