"""The schedule that a prediction favours: the same on every rank, and its results."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from exchange_model import run
from kernel_inputs import assert_same_bits

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import QSGD, NoCompression, TopK
from gradwire.cost import Link, Rates
from gradwire.errors import AgreementError
from gradwire.payload import Payload
from gradwire.schedules import (
    Agreement,
    Allgather,
    Auto,
    Dense,
    OkTopk,
    Schedule,
    SplitGather,
    TopkDsa,
)
from gradwire.testing import SHAPES


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The link that is measured, which a test can replace; kernels take no time."""
    found = [Link(1e-5, 8e-9)]
    monkeypatch.setattr("gradwire.schedules.auto.measure_link", lambda _: found[0])
    monkeypatch.setattr("gradwire.schedules.auto.measure_rates", lambda *_: Rates())
    return found


def gradients(size: int, numel: int) -> list[list[np.ndarray]]:
    shape = SHAPES["layered_laplace"]
    return [
        [shape(np.random.default_rng([rank, step]), numel) for step in range(3)]
        for rank in range(size)
    ]


def choices(size: int, numel: int, k: int) -> list[str]:
    """Return what every rank chooses for k entries of each."""
    at = np.linspace(0, numel - 1, k).astype(np.uint32)
    payload = Payload(numel, at, np.ones(k, np.float32), budget=k)

    def rank(communicator: Communicator) -> str:
        schedule = Auto()
        schedule.exchange(payload, Agreement.of({}, 0), communicator)
        (choice,) = schedule.choices.values()
        assert choice.seconds[choice.schedule] == min(choice.seconds.values())
        return choice.schedule

    return Simulation(size).run(rank)


def test_quickest_schedule_is_chosen_on_every_rank(link: list[Link]) -> None:
    """Few ranks and slow messages favour an allgather; many ranks and slow bytes do not."""
    link[0] = Link(1e-3, 1e-9)
    assert choices(2, 20_000, 200) == ["allgather"] * 2
    link[0] = Link(0.0, 1e-6)
    assert choices(16, 200_000, 20_000) == ["oktopk"] * 16
    link[0] = Link(1e-4, 1e-8)
    assert choices(64, 200_000, 20_000) == ["topkdsa"] * 64


@pytest.mark.parametrize(
    ("compressor", "schedule", "found"),
    [
        (TopK(0.25), OkTopk, Link(0.0, 1e-6)),
        (TopK(0.1), TopkDsa, Link(0.0, 1e-6)),
        (TopK(0.1), Allgather, Link(1.0, 1e-9)),
        (NoCompression(), Dense, Link(0.0, 1e-6)),
        (NoCompression(), Allgather, Link(1.0, 1e-12)),
        (QSGD(4, 64, stochastic=False), SplitGather, Link(0.0, 1e-6)),
    ],
)
def test_results_are_those_of_the_chosen_schedule(
    link: list[Link], compressor: TopK, schedule: type[Schedule], found: Link
) -> None:
    link[0] = found
    own = gradients(8, 4000)
    for got, expected in zip(
        run(own, compressor, Auto), run(own, compressor, schedule), strict=True
    ):
        for step, wanted in zip(got, expected, strict=True):
            assert step.out is not None and wanted.out is not None
            assert_same_bits(step.out, wanted.out)
            assert_same_bits(step.residual, wanted.residual)


def test_one_rank_measures_nothing() -> None:
    (steps,) = run(gradients(1, 100), TopK(0.1), Auto)
    assert all(step.out is not None for step in steps)


def test_links_and_kernels_are_really_measured() -> None:
    for steps in run(gradients(2, 3000), TopK(0.1), Auto):
        assert all(step.out is not None for step in steps)


def test_measurements_do_not_count_as_traffic() -> None:
    def rank(communicator: Communicator) -> int:
        payload = Payload(1000, np.uint32([communicator.rank]), np.float32([1]), budget=1)
        Auto().exchange(payload, Agreement.of({}, 0), communicator)
        return communicator.counters.bytes_sent

    assert max(Simulation(3).run(rank)) < 20_000


def test_the_reason_is_logged_once(link: list[Link], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gradwire"):
        run(gradients(3, 1000), TopK(0.1), Auto)
    (record,) = caplog.records
    assert "schedule for 1000 elements, 100 entries:" in record.getMessage()
    assert "oktopk" in record.getMessage() and "allgather" in record.getMessage()
    assert record.getMessage().endswith("ms")


def test_ranks_that_disagree_find_out_before_they_measure() -> None:
    def rank(communicator: Communicator) -> None:
        agreement = Agreement.of({"density": 0.1 * (1 + communicator.rank)}, 0)
        payload = Payload(10, np.uint32([1]), np.float32([1]), budget=1)
        with pytest.raises(AgreementError, match=r"density is 0\.2 on rank 1"):
            Auto().exchange(payload, agreement, communicator)

    Simulation(2).run(rank)


def test_bad_values_are_not_measured_either(link: list[Link]) -> None:
    own = gradients(3, 300)
    own[1][0][7] = np.nan
    for steps in run(own, TopK(0.1), Auto):
        assert [step.out is None for step in steps] == [True, False, False]
