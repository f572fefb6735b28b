"""The cases that every compressor is tried on, and the steps that its checks are made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradwire.compressors import Compressor, Context
from gradwire.payload import Float32, Payload
from gradwire.testing.gradients import SHAPES

# Around the widths that kernels and packing work in, and odd ones.
SIZES = (0, 1, 2, 3, 31, 32, 33, 257, 1023, 1024, 1025)
# Warm-up and ramp steps, and one long after them.
STEPS = (0, 1, 2, 5, 1000)
KEY = "layer1.weight"


def require(condition: bool, compressor: Compressor, complaint: str) -> None:
    """Raise AssertionError with the compressor's name unless the condition holds."""
    if not condition:
        raise AssertionError(f"{compressor!r}: {complaint}")


def context(step: int = 0, rank: int = 0, size: int = 4, floor: float = 0.0) -> Context:
    """Return the context of an exchange of the bucket `KEY`."""
    return Context(KEY, step, rank, size, seed=11, floor=floor)


def inputs(sizes: tuple[int, ...] = SIZES) -> Iterator[tuple[str, Float32]]:
    """Yield (description, vector) for every shape and size."""
    for number, (name, shape) in enumerate(SHAPES.items()):
        for numel in sizes:
            generator = np.random.default_rng([number, numel])
            yield f"{name} of {numel} elements", shape(generator, numel)


def restored(compressor: Compressor, payload: Payload, numel: int, at: Context) -> Float32:
    """Return what a payload decompresses to; NaN where nothing was written."""
    out = np.full(numel, np.nan, np.float32)
    compressor.decompress(payload, out, at)
    return out


def same_bits(a: np.ndarray[tuple[int, ...], np.dtype[np.generic]], b: object) -> bool:
    """Tell whether two arrays have equal dtype, shape and bits, signs of zeros included."""
    return (
        isinstance(b, np.ndarray)
        and a.dtype == b.dtype
        and a.shape == b.shape
        and a.tobytes() == b.tobytes()
    )


def same_payload(a: Payload, b: Payload) -> bool:
    """Tell whether two payloads carry the same bits, whatever their budgets."""
    return (
        a.numel == b.numel
        and same_bits(a.indices, b.indices)
        and same_bits(a.values, b.values)
        and a.dense.format.on_wire == b.dense.format.on_wire
        and same_bits(a.dense.data, b.dense.data)
        and same_bits(a.tail, b.tail)
    )
