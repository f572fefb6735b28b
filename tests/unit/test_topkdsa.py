"""TopkDSA: everything gets through, full regions go as such, what it costs, and bad messages."""

import numpy as np
import pytest
from exchange_model import run
from kernel_inputs import assert_same_bits
from schedule_cases import drawn
from tampered import Tampered, damaged, endings

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import TopK
from gradwire.errors import PeerError, WireError
from gradwire.exchange import Bucket, Exchange
from gradwire.payload import Payload
from gradwire.residual import OwnedResidual
from gradwire.schedules import Agreement, TopkDsa
from gradwire.testing import SHAPES, exact_values
from gradwire.wire import HEADER_BYTES


def gathered_bytes(gradients: list[list[np.ndarray]], density: float) -> int:
    """Return what all ranks together send in the last step's gather."""
    results = run(gradients, TopK(density), TopkDsa)
    return sum(own[-1].report.phases["gather"].bytes_sent for own in results)


@pytest.mark.parametrize("density", [0.001, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_bytes_stay_within_the_bounds(size: int, density: float) -> None:
    """4 k (P - 1) / P to (2 k + n) (P - 1) / P words per rank, on average."""
    numel = 20_000
    k = round(density * numel)
    results = run(drawn(SHAPES["layered_laplace"], size, numel, steps=2), TopK(density), TopkDsa)
    ends = [own[-1].report for own in results]
    share, headers = 1 - 1 / size, HEADER_BYTES * (size - 1)
    split, gather = (
        sum(report.phases[phase].bytes_sent for report in ends) / size - headers
        for phase in ("split", "gather")
    )
    assert split <= 1.1 * 8 * k * share + 64  # few entries do not spread evenly
    assert gather <= min(8 * k * size, 4 * numel) * share
    for report in ends:
        assert report.messages_sent <= 6 * (size - 1)
        assert set(report.phases) == {"agree", "partition", "split", "gather"}


def test_same_elements_cost_no_more_than_one_ranks() -> None:
    numel, size, k = 10_000, 8, 100
    gradient = SHAPES["layered_laplace"](np.random.default_rng(1), numel)
    volume = gathered_bytes([[gradient.copy()] for _ in range(size)], k / numel)
    assert volume <= (size - 1) * (8 * k + HEADER_BYTES * size)


@pytest.mark.parametrize(("missing", "filled"), [(0, False), (1, True), (31, True), (40, False)])
def test_regions_are_filled_up_where_that_is_shorter(missing: int, filled: bool) -> None:
    """A bit per element against 32 per missing one, of 1,024 elements on 2 ranks."""
    gradient = np.arange(1.0, 1025.0, dtype=np.float32)
    gradient[: missing // 2] = 0
    gradient[len(gradient) - (missing - missing // 2) :] = 0
    results = run([[gradient], [gradient]], TopK(0.999), TopkDsa, scale=1.0)
    for own in results:
        report, out = own[0].report, own[0].out
        assert out is not None
        # The smallest one is not selected.
        assert_same_bits(out[1:], (2 * gradient)[1:])
        expected = 1024 if filled or not missing else 1024 - missing
        assert report.winners == expected


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_largest_index_space(size: int) -> None:
    numel = 2**32 - 1  # beyond what float32 and int32 count; nothing of n is materialised
    generator = np.random.default_rng(size)
    shared = np.array([0, 2**24 + 1, 2**31 - 1, 2**31, numel - 2, numel - 1])
    payloads, sums = [], dict[int, float]()
    for _ in range(size):
        own = np.unique(np.concatenate([shared, generator.integers(0, numel, 94)]))
        values = exact_values(generator, len(own), bits=12)
        payloads.append(Payload(numel, own.astype(np.uint32), values, budget=100))
        for index, value in zip(own.tolist(), values.tolist(), strict=True):
            sums[index] = sums.get(index, 0.0) + value

    def rank(communicator: Communicator) -> Payload:
        own = payloads[communicator.rank]
        outcome = TopkDsa().exchange(own, Agreement.of({"test": 1}, 0), communicator)
        assert_same_bits(outcome.delivered, own.indices)
        assert not outcome.correction.entries
        return outcome.reduced

    for reduced in Simulation(size).run(rank):
        assert reduced.indices.tolist() == sorted(sums)
        assert reduced.values.tolist() == [sums[index] for index in sorted(sums)]


def test_all_entries_in_one_region() -> None:
    """An owner may have to tell all entries of all ranks, and its zeros."""
    numel, size = 4000, 4
    gradients = drawn(SHAPES["layered_laplace"], size, numel, steps=2)
    for rank, own in enumerate(gradients):
        own[1][100 + 40 * rank : 140 + 40 * rank] += 1000
        own[1][101 + 40 * rank] = 0
    results = run(gradients, TopK(0.01), lambda: TopkDsa(64, 4.0), scale=1.0)
    assert results[0][1].report.imbalance > 2
    out = results[0][1].out
    assert out is not None and np.count_nonzero(out[100:260]) >= 156


@pytest.mark.parametrize("call", [2, 3])
def test_bad_messages_are_refused(call: int) -> None:
    """In split and gather, whatever is wrong with the header or the length."""

    def exchange_once(communicator: Communicator) -> None:
        gradient = exact_values(np.random.default_rng(communicator.rank), 60)
        exchange, residual = Exchange(TopK(0.1), TopkDsa(), communicator), OwnedResidual(60)
        exchange.reduce(Bucket("b", "", 60, tail=3), gradient, 0, residual)

    for damage in damaged(gather=call > 2):
        assert "fine" not in endings(3, exchange_once, call, damage)


def test_an_owner_cannot_tell_more_than_all_ranks_brought() -> None:
    """More entries than 2 k P are refused by their number, before any memory is taken."""

    def exchange_once(communicator: Communicator) -> None:
        gradient = exact_values(np.random.default_rng(communicator.rank), 6000)
        exchange, residual = Exchange(TopK(0.001), TopkDsa(), communicator), OwnedResidual(6000)
        exchange.reduce(Bucket("b", "", 6000), gradient, 0, residual)

    def claim(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data[20:24].view("<u4")[:] = 2 * 6 * 3 + 1
        return data

    def rank(communicator: Communicator) -> None:
        with pytest.raises((WireError, PeerError), match="at most 36 entries expected, got 37"):
            exchange_once(Tampered(communicator, 3, claim))

    Simulation(3).run(rank)
