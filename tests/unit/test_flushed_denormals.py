"""A rank whose thread flushes denormals to zero ends with the bits that all others have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from kernel_inputs import assert_same_bits

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, FP16, Compressor, NoCompression, RandomK, TopK
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import Allgather, Dense, OkTopk, Schedule

torch = pytest.importorskip("torch")

RANKS, NUMEL, TAIL, STEPS = 3, 300, 20, 3
CASES = [
    (TopK(0.2), OkTopk),
    (TopK(0.2), Allgather),
    (TopK(1.0), OkTopk),
    (RandomK(0.3), Dense),
    (RandomK(0.3, unbiased=True), Dense),
    (NoCompression(), Dense),
    (BF16(), Dense),
    (FP16(), Dense),
]


@contextmanager
def flushing(communicator: Communicator) -> Iterator[None]:
    """Flush denormals in this rank's code, and in nobody else's: ranks share a thread."""
    own: Any = communicator
    exchange = own._exchange

    def unflushed(*args: Any) -> Any:
        torch.set_flush_denormal(False)
        try:
            return exchange(*args)
        finally:
            torch.set_flush_denormal(True)

    own._exchange = unflushed
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def gradient_of(rank: int, step: int) -> np.ndarray:
    """Return denormals, and normal numbers whose sums and means are denormal."""
    generator = np.random.default_rng((rank, step))
    multiples = generator.integers(-(2**25), 2**25, NUMEL) * np.exp2(-generator.integers(0, 24))
    return (multiples * 2.0**-149).astype(np.float32)


GRADIENTS = [[gradient_of(rank, step) for step in range(STEPS)] for rank in range(RANKS)]


def train(
    communicator: Communicator, compressor: Compressor, schedule: type[Schedule]
) -> tuple[np.ndarray, np.ndarray]:
    exchange = Exchange(compressor, schedule(), communicator)
    residual = OwnedResidual(NUMEL)
    gradients = GRADIENTS[communicator.rank]
    means = []
    for step in range(STEPS):
        bucket = Bucket("b", "", NUMEL, TAIL)
        reduced = exchange.reduce(bucket, gradients[step], step, residual)
        means.append(reduced.commit(residual, 1 / communicator.size).copy())
    return np.concatenate(means), residual.values


def train_flushed(communicator: Communicator, *args: Any) -> tuple[np.ndarray, np.ndarray]:
    if communicator.rank != 1:
        return train(communicator, *args)
    with flushing(communicator):
        return train(communicator, *args)


@pytest.mark.parametrize(("compressor", "schedule"), CASES, ids=str)
def test_replicas_agree_though_one_rank_flushes_denormals(
    compressor: Compressor, schedule: type[Schedule]
) -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    torch.set_flush_denormal(False)
    expected = Simulation(RANKS, seed=1).run(train, compressor, schedule)
    results = Simulation(RANKS, seed=2).run(train_flushed, compressor, schedule)
    if not isinstance(compressor, FP16):  # to which all these numbers are zero
        magnitudes = expected[0][0].view(np.uint32) & 0x7FFFFFFF
        assert np.any((magnitudes > 0) & (magnitudes < 0x00800000)), "no denormals to lose"
    for (mean, residual), (plain_mean, plain_residual) in zip(results, expected, strict=True):
        assert_same_bits(mean, expected[0][0])
        assert_same_bits(mean, plain_mean)
        assert_same_bits(residual, plain_residual)
