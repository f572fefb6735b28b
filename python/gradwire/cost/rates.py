"""Rates: seconds per element or entry of every step that computes, measured on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, require_integer
from gradwire.kernels.arrays import aligned
from gradwire.payload import Payload
from gradwire.residual import next_floor
from gradwire.wire import decode_payload, encode_payload

Array = npt.NDArray[Any]

_REPETITIONS = 7
_LEAST_SECONDS = 0.005  # of each kernel: a median of many calls where they are short
_HISTOGRAM = (20, 11)  # shift and bits of the first one over magnitudes


@dataclass(frozen=True)
class Work:
    """What the busiest rank computes in a phase.

    Attributes:
        compensated: elements added to the residual and selected from.
        coded: messages written and read, whatever is in them.
        encoded, decoded: entries in messages written and read.
        merged: entries added by owners.
        ranked: sums that one histogram counts.
        intersected: entries compared with those that came back.
        copied: dense elements written into messages or read from them.
        added: dense elements added.
        cleared: elements of the result set to zero.
        scattered: entries written into the result.
    """

    compensated: float = 0.0
    coded: float = 0.0
    encoded: float = 0.0
    decoded: float = 0.0
    merged: float = 0.0
    ranked: float = 0.0
    intersected: float = 0.0
    copied: float = 0.0
    added: float = 0.0
    cleared: float = 0.0
    scattered: float = 0.0


@dataclass(frozen=True)
class Rates(Work):
    """Seconds per unit of each kind of work; 0 for what is not to count."""

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        if not all(0.0 <= rate < float("inf") for rate in astuple(self)):
            raise ConfigError(f"Rates: expected finite seconds >= 0, got {self}")

    def seconds(self, work: Work) -> float:
        """Return how long one rank computes."""
        total = 0.0
        for rate, amount in zip(astuple(self), astuple(work), strict=True):
            total += rate * amount
        return total

    def shared(self, communicator: Communicator) -> Rates:
        """Return the slowest rank's rates, the same bits on every rank; collective."""
        largest = communicator.allreduce(np.array(astuple(self), np.float64), "max")
        return Rates(*(float(rate) for rate in largest))


def measure_rates(
    numel: int, density: float, chunks: int = 4, repetitions: int = _REPETITIONS
) -> Rates:
    """Time the kernels on vectors like gradients; return the medians as rates.

    Args:
        numel: elements of a bucket, at least 1.
        density: share of them that is selected, in (0, 1].
        chunks: how many ranks' entries an owner merges.
        repetitions: least number of calls of each kernel, after one that does not count; short
            ones are called more often.

    Takes 20 bytes per element, and less than a second per 10 million of them.

    Raises:
        ConfigError: arguments out of range.
    """
    require_integer("measure_rates: numel", numel, 1)
    require_integer("measure_rates: chunks", chunks, 1)
    require_integer("measure_rates: repetitions", repetitions, 1)
    if not 0.0 < density <= 1.0:
        raise ConfigError(f"measure_rates: density must be in (0, 1], got {density}")
    timed = _Timed(repetitions)
    inputs = _Inputs(numel, density, chunks)
    return Rates(**_sparse_rates(inputs, timed), **_dense_rates(inputs, timed))


class _Inputs:
    """Vectors of Laplace-distributed values, and the entries of a few ranks."""

    def __init__(self, numel: int, density: float, chunks: int) -> None:
        generator = np.random.Generator(np.random.PCG64(1))
        self.numel, self.k = numel, max(1, round(numel * density))
        self.gradient = generator.laplace(size=numel).astype(np.float32)
        self.residual = generator.laplace(size=numel).astype(np.float32)
        self.out = aligned(numel)
        selected = kernels.compensate_topk(self.gradient, self.residual, self.k, 0.0, self.out)
        self.indices, self.values = selected.indices.copy(), selected.values.copy()
        self.floor = next_floor(selected.threshold)
        share = max(1, self.k // chunks)  # what one rank sends to one owner
        self.chunks = [kernels.random_indices(numel, share, 1, rank, 0) for rank in range(chunks)]

    def payload(self) -> Payload:
        """Return the entries as a rank brings them."""
        return Payload(self.numel, self.indices, self.values, budget=self.k)


class _Timed:
    """The median time of calls."""

    def __init__(self, repetitions: int) -> None:
        self._repetitions = repetitions

    def __call__(self, call: Callable[[], object], units: int) -> float:
        """Return seconds per unit of a call that does so many."""
        call()
        times: list[float] = []
        while len(times) < self._repetitions or sum(times) < _LEAST_SECONDS:
            begin = perf_counter()
            call()
            times.append(perf_counter() - begin)
        return median(times) / max(1, units)


def _sparse_rates(inputs: _Inputs, timed: _Timed) -> dict[str, float]:
    k, indices, values = len(inputs.indices), inputs.indices, inputs.values
    payload, nothing = inputs.payload(), Payload(inputs.numel)
    full_message, empty_message = encode_payload(payload), encode_payload(nothing)
    encode_empty = timed(lambda: encode_payload(nothing), 1)
    decode_empty = timed(lambda: decode_payload(empty_message), 1)
    encode_full = timed(lambda: encode_payload(payload), 1)
    decode_full = timed(lambda: decode_payload(full_message), 1)
    chunks = [values[: len(chunk)] for chunk in inputs.chunks]
    merged = sum(len(chunk) for chunk in inputs.chunks)
    return {
        "compensated": timed(
            lambda: kernels.compensate_topk(
                inputs.gradient, inputs.residual, inputs.k, inputs.floor, inputs.out
            ),
            inputs.numel,
        ),
        "coded": encode_empty + decode_empty,
        "encoded": max(0.0, encode_full - encode_empty) / max(1, k),
        "decoded": max(0.0, decode_full - decode_empty) / max(1, k),
        "merged": timed(lambda: kernels.merge(inputs.chunks, chunks), merged),
        "ranked": timed(lambda: kernels.histogram(values, *_HISTOGRAM), k),
        "intersected": timed(lambda: kernels.intersect(indices, inputs.chunks[0]), k),
        "scattered": timed(lambda: kernels.scatter(inputs.out, indices, values), k),
    }


def _dense_rates(inputs: _Inputs, timed: _Timed) -> dict[str, float]:
    out, numel = inputs.out, inputs.numel
    return {
        "copied": timed(lambda: np.copyto(out, inputs.gradient), numel),
        "added": timed(lambda: kernels.add(inputs.gradient, inputs.residual, out), numel),
        "cleared": timed(lambda: out.fill(0.0), numel),
    }
