"""What crosses between a GPU's memory and the host's, and exchanges of arrays that are there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_device import FakeStream, Library
from gpu_libraries import LIBRARIES, library_named
from kernel_inputs import assert_same_bits

from gradwire import OwnedResidual, OwnedResult
from gradwire.arrays import writable_float32
from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import QSGD, Chain, Compressor, NoCompression, RandomK, TopK, Traits
from gradwire.errors import ConfigError
from gradwire.exchange import Bucket, Exchange
from gradwire.kernels.arrays import overlap
from gradwire.residual import BorrowedResidual
from gradwire.result import CLEARED_AT_ONCE, ENTRIES_AT_ONCE
from gradwire.schedules import Allgather, OkTopk, SplitGather
from gradwire.staging import beside, place, put, to_host, vector
from gradwire.testing import SHAPES

NUMEL = 300


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    return library_named(request.param, monkeypatch)


def values_of(rank: int, step: int = 0) -> np.ndarray:
    return SHAPES["layered_laplace"](np.random.default_rng([rank, step]), NUMEL)


COMPRESSORS = [
    TopK(0.1, warmup_steps=1, ramp_steps=1),
    Chain(TopK(0.1, warmup_steps=1), QSGD(4)),
    NoCompression(),
]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("tail", [0, 7])
@pytest.mark.parametrize("compressor", COMPRESSORS, ids=str)
def test_exchanges(library: Library, compressor: Compressor, tail: int, dtype: str) -> None:
    """Buckets with tails, dense steps and other schedules; failed ones come between."""
    schedule = OkTopk if compressor.traits.sparse else SplitGather
    bucket = Bucket("b", "", NUMEL, tail)

    def rank(communicator: Communicator, device: bool) -> list[np.ndarray]:
        like = library.send(np.zeros(1, np.float32)) if device else None
        residual, result, seen = OwnedResidual(NUMEL, like), OwnedResult(NUMEL, like), []
        exchange = Exchange(compressor, schedule(), communicator)
        for step in range(5):
            values = values_of(communicator.rank, step).astype(dtype)
            if step == 3:
                values[-1] = np.nan
            gradient = library.send(values, dtype) if device else values.astype(np.float32)
            reduced = exchange.reduce(bucket, gradient, step, residual, result)
            assert reduced.finite == (step != 3)
            if reduced.finite:
                reduced.commit(residual, 0.5)
                look = library.look if device else np.copy
                seen += [look(result.values), look(residual.values)]
        return seen

    expected, got = (Simulation(3, 1).run(rank, device) for device in (False, True))
    for own_expected, own in zip(expected, got, strict=True):
        for one, other in zip(own_expected, own, strict=True):
            assert_same_bits(other, one)


class OnTheHost(TopK):
    """A sparse compressor that says nothing of GPUs."""

    @property
    def traits(self) -> Traits:
        """Those of top-k, but for that."""
        return replace(super().traits, on_device=False)


def test_compressors_of_the_host_refuse(library: Library) -> None:
    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(0))
        for compressor in (QSGD(8), RandomK(0.1), Chain(OnTheHost(0.1), QSGD(8))):
            exchange = Exchange(compressor, Allgather(), communicator)
            with pytest.raises(ConfigError, match="works on the host, and the gradient is in a"):
                exchange.reduce(Bucket("b", "", NUMEL), gradient, 0)
        communicator.any_thread = True
        exchange = Exchange(TopK(0.1), OkTopk(), communicator)
        for values, out in ((gradient, None), (values_of(0), gradient)):
            with pytest.raises(ConfigError, match=r"start: gradient and out must be on the host"):
                exchange.start(Bucket("b", "", NUMEL), values, 0, None, out)

    Simulation(1).run(rank)


def test_residual_in_the_callers_memory(library: Library) -> None:
    memory = library.send(np.arange(10, dtype=np.float32))
    with pytest.raises(ConfigError, match="residual and out must not share memory"):
        BorrowedResidual(memory[:6], memory[4:])
    residual = BorrowedResidual(memory[:5], memory[5:])
    assert residual.commit() is residual.acc
    assert_same_bits(library.look(memory), np.float32([5, 6, 7, 8, 9] * 2))


def test_results_are_cleared_at_once(library: Library) -> None:
    """A GPU gets one call for all entries, and one for a whole result, however long they are."""
    numel = CLEARED_AT_ONCE + 7
    result = OwnedResult(numel, library.send(np.zeros(1)))
    assert not library.look(result.memory).any() and result.values is result.memory
    result.fill(1.0)
    assert len(list(result.clearing())) == 1 and not library.look(result.memory).any()
    entries = np.arange(2 * ENTRIES_AT_ONCE, dtype=np.uint32)
    (indices,) = beside(result.memory, entries)
    result.memory[:] = library.send(np.ones(numel, np.float32))
    result.wrote(indices, tail=numel - len(entries))
    assert len(list(result.clearing())) == 2 and not library.look(result.memory).any()


def test_crossing(library: Library) -> None:
    here = np.arange(6, dtype=np.float32)
    there = library.send(here)
    assert to_host(here) is here and beside(here, here)[0] is here
    assert place(here) is None and place(there) == 0
    assert_same_bits(to_host(there), here)
    for dtype in library.dtypes:
        assert_same_bits(to_host(library.send(here, dtype)), here)
    read_only = np.arange(6, dtype=np.uint32)
    read_only.flags.writeable = False
    for copy in beside(there, here, read_only):
        assert place(copy) == 0 and type(copy) is type(there)
        assert np.array_equal(library.look(copy), here)
    assert place(vector(5, there)) == 0 and isinstance(vector(5, here), np.ndarray)
    put(there, 2 * here)
    assert not FakeStream.waits_for
    put(here, there)
    assert list(here) == [0, 2, 4, 6, 8, 10]
    put(there, library.send(here + 1))
    assert_same_bits(library.look(there), here + 1)
    with pytest.raises(TypeError):
        np.asarray(there)


def test_overlaps(library: Library) -> None:
    memory = library.send(np.zeros(20, np.float32))
    assert overlap(memory[:11], memory[10:]) and not overlap(memory[:10], memory[10:])
    assert overlap(memory[0:20:3], memory[1:3]) and not overlap(memory[0:4:3], memory[4:])
    assert not overlap(memory, np.zeros(20)) and not overlap(memory[5:5], memory)
    assert not overlap(memory, library.send(np.zeros(20)))
    flat = writable_float32(memory.reshape(4, 5))
    assert flat is not None and overlap(flat, memory) and flat.shape == (20,)
    assert writable_float32(memory[::2]) is None
    assert writable_float32(library.send(np.zeros(4), "float16")) is None
