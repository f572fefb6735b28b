"""What Ok-Topk costs: bytes and messages per rank, against its bound."""

import numpy as np
import pytest
from exchange_model import Step, run

from gradwire.compressors import TopK
from gradwire.schedules import Allgather, OkTopk, Report
from gradwire.testing import SHAPES, GradientStream


def stationary(size: int, numel: int, steps: int) -> list[list[np.ndarray]]:
    streams = [GradientStream(numel, rank, seed=2) for rank in range(size)]
    return [[stream.next() for _ in range(steps)] for stream in streams]


def bound(k: int, size: int, messages: int) -> float:
    """Return the bytes that a rank may send: 24 per entry, headers, histograms."""
    return 24 * k * (size - 1) / size + 32 * messages + 32768


def assert_within_bound(results: list[list[Step]], k: int) -> None:
    size = len(results)
    for each in results:
        for step in each:
            report = step.report
            assert report.messages_sent <= 16 * (size - 1)
            assert report.bytes_sent <= bound(k, size, report.messages_sent)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_bytes_and_messages(size: int) -> None:
    numel, k = 100_000, 2_000
    results = run(stationary(size, numel, 4), TopK(k / numel), OkTopk)
    assert_within_bound(results, k)
    if size == 1:
        assert results[0][0].report.bytes_sent == 0


def test_bytes_and_messages_of_64_ranks() -> None:
    numel, k = 32_768, 2_048
    assert_within_bound(run(stationary(64, numel, 2), TopK(k / numel), OkTopk), k)


@pytest.mark.deep
def test_bytes_and_messages_of_128_ranks() -> None:
    numel, k = 65_536, 4_096
    assert_within_bound(run(stationary(128, numel, 2), TopK(k / numel), OkTopk), k)


def test_volume_does_not_grow_with_ranks() -> None:
    """While that of an allgather does: 8 bytes for every entry of every other rank."""
    numel, k = 60_000, 6_000
    volume, gathered = {}, {}
    for size in (2, 4, 8, 16):
        gradients = stationary(size, numel, 2)
        share = size / (size - 1)
        volume[size] = share * max(
            each[-1].report.bytes_sent for each in run(gradients, TopK(k / numel), OkTopk)
        )
        gathered[size] = run(gradients, TopK(k / numel), Allgather)[0][-1].report.bytes_sent
    assert max(volume.values()) <= 1.4 * volume[2]
    assert gathered[16] > 10 * gathered[2]


@pytest.mark.parametrize("size", [2, 5])
def test_hot_spots_complete_and_are_reported(size: int) -> None:
    """All ranks select within one hundredth of the elements: owners stay balanced."""
    numel, k = 50_000, 500
    generators = [np.random.default_rng(1) for _ in range(size)]
    gradients = [[SHAPES["hot_spot"](generator, numel)] * 3 for generator in generators]
    results = run(gradients, TopK(k / numel), OkTopk)
    for each in results:
        for step in each:
            assert step.report.winners == k
            assert step.report.imbalance == pytest.approx(1, abs=0.3)
    assert_within_bound(results, k)


def test_moving_hot_spot_is_followed() -> None:
    """Regions that no longer fit are cut anew at the next exchange, not 64 later."""
    numel, k, size = 40_000, 400, 4
    gradients = []
    for rank in range(size):
        generator = np.random.default_rng(rank)
        own = [generator.standard_normal(numel).astype(np.float32) for _ in range(5)]
        for step, gradient in enumerate(own):
            begin = 0 if step < 2 else 30_000
            gradient[begin : begin + 2 * k] += 100
        gradients.append(own)
    reports = [step.report for step in run(gradients, TopK(k / numel), OkTopk)[0]]
    assert reports[2].imbalance > 2  # the old regions, once
    assert reports[3].imbalance < 1.7  # old sums still have a say

    def recut(report: Report) -> bool:
        return report.phases["partition"].messages_sent > 0

    # The second time as well, for the first sums tell what owners have to send.
    assert [recut(report) for report in reports] == [True, True, False, True, False]
