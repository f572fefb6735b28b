"""Winners that are handed over until all ranks tell equally many: results, bytes, bad messages."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from exchange_model import run
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits
from schedule_cases import SHAPES_TRIED, assert_follows_model, drawn, model_of, uneven
from tampered import Tampered, damaged, endings

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, QSGD, Chain, TopK
from gradwire.errors import ConfigError, WireError
from gradwire.exchange import Bucket, Exchange
from gradwire.payload import Payload
from gradwire.residual import OwnedResidual
from gradwire.schedules import Agreement, OkTopk
from gradwire.schedules.balance import balance, moves
from gradwire.schedules.ownership import Layout, Owned
from gradwire.testing import SHAPES, exact_values
from gradwire.values import NO_VALUES
from gradwire.wire import HEADER_BYTES

ALWAYS, NEVER = partial(OkTopk, largest_share=1.0), partial(OkTopk, largest_share=1e9)
SIZES = (2, 3, 5, 8)


def hot(size: int, numel: int, steps: int = 3) -> list[list[np.ndarray]]:
    """Return gradients whose large values lie in a stretch of its own in every step."""
    gradients = drawn(SHAPES["layered_laplace"], size, numel, steps)
    for own in gradients:
        for step, gradient in enumerate(own):
            begin = (numel // steps) * step
            gradient[begin : begin + numel // 50] *= 1e6
    return gradients


@settings(max_examples=200)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=9))
def test_moves_lead_to_equal_runs_in_index_order(shares: list[int]) -> None:
    plan = moves(shares)
    begins = np.cumsum([0, *shares])
    told = [
        position
        for target in range(len(shares))
        for move in plan
        if move.target == target
        for position in range(begins[move.source] + move.begin, begins[move.source] + move.end)
    ]
    assert told == list(range(sum(shares)))
    runs = [sum(m.end - m.begin for m in plan if m.target == rank) for rank in range(len(shares))]
    assert max(runs) - min(runs) <= 1
    assert all(0 <= m.begin < m.end <= shares[m.source] for m in plan)
    assert all((a.source, a.target) < (b.source, b.target) for a, b in pairwise(plan))


@pytest.mark.parametrize(("size", "shape"), SHAPES_TRIED)
def test_results_and_residuals_are_the_models(size: int, shape: str) -> None:
    for numel, density in ((1025, 0.1), (33, 0.03), (6, 0.4), (2, 0.5)):
        gradients = drawn(uneven if shape == "uneven" else SHAPES[shape], size, numel)
        results = run(gradients, TopK(density), ALWAYS)
        assert_follows_model(results, gradients, density, model_of(OkTopk()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quantize", [BF16(), QSGD(8)], ids=repr)
def test_rounding_stays_with_those_who_tell(size: int, quantize: BF16 | QSGD) -> None:
    gradients = hot(size, 3000)
    results = run(gradients, Chain(TopK(0.05), quantize), ALWAYS, scale=1.0)
    brought = kept = np.zeros(3000)
    for step in range(len(gradients[0])):
        brought = brought + sum(own[step].astype(np.float64) for own in gradients)
        for own in results:
            assert_same_bits(own[step].out, results[0][step].out)
        brought = brought - results[0][step].out
        kept = sum(own[step].residual.astype(np.float64) for own in results)
        bound = 1e-6 * max(float(np.abs(own[step]).max()) for own in gradients) * size
        np.testing.assert_allclose(kept, brought, rtol=0, atol=bound)


def test_the_busiest_owner_sends_far_less() -> None:
    size, k = 8, 1500
    gradients = hot(size, 30_000)
    sent = {}
    for schedule in (ALWAYS, NEVER, OkTopk):
        steps = [own[-1].report.phases for own in run(gradients, TopK(k / 30_000), schedule)]
        names = [name for name in ("balance", "gather") if name in steps[0]]
        sent[schedule] = max(sum(each[name].bytes_sent for name in names) for each in steps)
        assert ("balance" in steps[0]) == (schedule is not NEVER)
    assert sent[OkTopk] == sent[ALWAYS] < 0.5 * sent[NEVER]


def test_even_owners_hand_nothing_over() -> None:
    for own in run(drawn(SHAPES["layered_laplace"], 4, 20_000), TopK(0.02), OkTopk):
        assert all("balance" not in step.report.phases for step in own)


def test_bad_messages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the header or the length of what is handed over."""
    monkeypatch.setattr("gradwire.schedules.winners._HANDFUL", 1024)
    handing_over = 5  # after agreement, partition, split, histogram and candidates

    def exchange_once(communicator: Communicator) -> None:
        gradient = exact_values(np.random.default_rng(communicator.rank), 600)
        schedule = OkTopk(largest_share=1.0)
        exchange, residual = Exchange(TopK(0.1), schedule, communicator), OwnedResidual(600)
        reduced = exchange.reduce(Bucket("b", "", 600, tail=3), gradient, 0, residual)
        assert not residual.values.any()
        assert reduced.report.phases["balance"].seconds

    for damage in damaged(gather=False):
        assert endings(4, exchange_once, handing_over, damage) == {"WireError", "PeerError"}
    assert endings(4, exchange_once, handing_over, lambda data: data) == {"fine"}


def test_too_few_sums_are_refused() -> None:
    def fewer(data: np.ndarray) -> np.ndarray:
        """Drop the last entry of a message with 32-bit indices, and say so in its header."""
        header, count = data[:HEADER_BYTES].copy(), int(data[20:24].view("<u4")[0])
        header[20:24].view("<u4")[:] = count - 1
        values, indices = np.split(data[HEADER_BYTES:], 2)
        return np.concatenate([header, values[:-4], indices[:-4]])

    def rank(communicator: Communicator) -> None:
        layout = Layout.of(Payload(100, budget=50), np.array([0, 90, 100]))
        shares, agreement = [10, 0], Agreement.of({}, 0)
        count = shares[communicator.rank]
        indices = np.arange(count, dtype=np.uint32)
        owned = Owned(indices, np.ones(count, np.float32), NO_VALUES, NO_VALUES, count)
        communicator.byte_seconds = 0.0  # so that indices are not coded
        tampered = Tampered(communicator, 0, fewer)
        if communicator.rank == 0:
            balance(owned, shares, layout, agreement, communicator)
            return
        with pytest.raises(WireError, match="rank 0 handed over 4 of its sums, expected 5"):
            balance(owned, shares, layout, agreement, tampered)

    Simulation(2).run(rank)


def test_range() -> None:
    with pytest.raises(ConfigError, match=r"largest_share must be >= 1, got 0\.5"):
        OkTopk(largest_share=0.5)
    assert OkTopk(largest_share=3).config()["largest_share"] == 3
