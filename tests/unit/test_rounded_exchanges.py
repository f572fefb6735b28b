"""Exchanges whose values are rounded on their way: what that takes away stays with somebody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from exchange_model import Step, gtopk, largest, rank_order_sum, run
from kernel_inputs import assert_same_bits

from gradwire.compressors import BF16, FP16, QSGD, Chain, Compressor, EFSignSGD, RandomK, TopK
from gradwire.errors import ConfigError
from gradwire.kernels import reference
from gradwire.schedules import Allgather, Dense, GTopk, OkTopk, Schedule, SplitGather, TopkDsa
from gradwire.testing import SHAPES, exact_values

SIZES = (1, 2, 3, 5)
ROUNDED = [
    Chain(TopK(0.1), BF16()),
    Chain(TopK(0.1), FP16()),
    Chain(TopK(0.1), QSGD(8)),
    Chain(TopK(0.1), QSGD(4, 64, stochastic=False)),
    Chain(TopK(0.1), QSGD(8, 0, "l2")),
    Chain(TopK(0.1), EFSignSGD(16)),
]
WITH_FEEDBACK = [
    QSGD(4, 64, stochastic=False),
    QSGD(8, 0, stochastic=False),
    QSGD(3, 48, "l2", stochastic=False),
    EFSignSGD(),
    EFSignSGD(32),
]


def frequent() -> OkTopk:
    return OkTopk(repartition_every=2)


def drawn(shape: Callable, size: int, numel: int, steps: int = 4) -> list[list[np.ndarray]]:
    return [
        [shape(np.random.default_rng([numel, rank, step]), numel) for step in range(steps)]
        for rank in range(size)
    ]


def assert_conserved(
    results: list[list[Step]], gradients: list[list[np.ndarray]], ulps: float
) -> None:
    """Sum of residuals after + result = sum of residuals before + gradients, and one result."""
    before = np.zeros(len(gradients[0][0]))
    for step in range(len(gradients[0])):
        total = before + sum(own[step].astype(np.float64) for own in gradients)
        after = sum(each[step].residual.astype(np.float64) for each in results)
        out = results[0][step].out
        assert out is not None
        for each in results:
            assert_same_bits(each[step].out, out)
        sizes = sum(np.abs(own[step].astype(np.float64)) for own in gradients)
        sizes += sum(np.abs(each[step].residual) for each in results) + np.abs(out) + np.abs(before)
        allowed = ulps * 2.0**-24 * sizes.max(initial=0)
        assert np.all(np.abs(out + after - total) <= allowed)
        before = after


@pytest.mark.parametrize("schedule", [frequent, Allgather, TopkDsa, GTopk])
@pytest.mark.parametrize("compressor", ROUNDED, ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_entries_lose_nothing(
    size: int, compressor: Compressor, schedule: Callable[[], Schedule]
) -> None:
    for shape in ("layered_laplace", "hot_spot", "all_zero", "all_equal"):
        for numel in (0, 1, 33, 1000):
            gradients = drawn(SHAPES[shape], size, numel)
            assert_conserved(run(gradients, compressor, schedule, scale=1.0), gradients, 16)


@pytest.mark.parametrize("compressor", WITH_FEEDBACK, ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_dense_values_lose_nothing(size: int, compressor: Compressor) -> None:
    for owner in (None, "bf16", "float32"):
        for numel in (0, 1, 33, 1500, 3000):
            gradients = drawn(SHAPES["layered_laplace"], size, numel)
            results = run(gradients, compressor, lambda o=owner: SplitGather(o), scale=1.0)
            assert_conserved(results, gradients, 16)


@pytest.mark.parametrize("schedule", [Dense, SplitGather, Allgather, OkTopk])
@pytest.mark.parametrize("compressor", [BF16(), FP16()], ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_short_floats_lose_nothing_where_there_is_a_residual(
    size: int, compressor: Compressor, schedule: type[Schedule]
) -> None:
    """Neither the senders' rounding nor the owners', bit for bit where sums are exact."""
    for numel in (0, 1, 33, 1500):
        gradients = drawn(lambda g, n: exact_values(g, n, bits=14), size, numel)
        assert_conserved(run(gradients, compressor, schedule, scale=1.0), gradients, 0)


@pytest.mark.parametrize("owner", ["bf16", "int8", "sign"])
@pytest.mark.parametrize("size", SIZES)
def test_rounded_sums_of_random_elements_lose_nothing(size: int, owner: str) -> None:
    """What an owner keeps goes to the elements that were drawn, not to the bucket's first ones."""
    for numel in (0, 1, 33, 3000):
        gradients = drawn(SHAPES["layered_laplace"], size, numel)
        results = run(gradients, RandomK(0.3, 1), lambda: SplitGather(owner), scale=1.0)
        assert_conserved(results, gradients, 16)
    unbiased = run(gradients, RandomK(0.3, unbiased=True), lambda: SplitGather(owner), scale=1.0)
    assert not any(each[-1].residual.any() for each in unbiased)


@pytest.mark.parametrize("schedule", [SplitGather, Allgather])
@pytest.mark.parametrize("tail", [1, 40])
def test_tails_are_not_rounded(schedule: type[Schedule], tail: int) -> None:
    gradients = drawn(lambda g, n: exact_values(g, n, bits=12), 3, 700)
    results = run(gradients, QSGD(2, 16, stochastic=False), schedule, tail=tail, scale=1.0)
    for step in range(4):
        out = results[0][step].out
        assert out is not None
        expected = sum(own[step][-tail:].astype(np.float64) for own in gradients)
        assert np.array_equal(out[-tail:], expected)
        assert all(not each[step].residual[-tail:].any() for each in results)


def bfloat16(values: np.ndarray) -> np.ndarray:
    return reference.from_bfloat16(reference.to_bfloat16(values))


def float16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize(("quantize", "rounded"), [(BF16(), bfloat16), (FP16(), float16)])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_oktopk_of_short_floats_is_the_model(
    size: int, quantize: Compressor, rounded: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Owners add rounded values, winners are decided by these sums, and sums are rounded again."""
    numel, k = 600, 60
    gradients = drawn(lambda g, n: exact_values(g, n, bits=14), size, numel)
    results = run(gradients, Chain(TopK(0.1), quantize), frequent, scale=1.0)
    kept = [np.zeros(numel, np.float32) for _ in range(size)]
    for step in range(4):
        accs = [own[step] + residual for own, residual in zip(gradients, kept, strict=True)]
        chosen = [largest(acc, k) for acc in accs]
        sent = [(at, rounded(acc[at])) for at, acc in zip(chosen, accs, strict=True)]
        sums, _ = rank_order_sum(sent, numel)
        winners = largest(sums, k)
        expected = np.zeros(numel, np.float32)
        expected[winners] = rounded(sums[winners])
        assert any((values != acc[at]).any() for (at, values), acc in zip(sent, accs, strict=True))
        for each in results:
            assert each[step].out is not None
            assert_same_bits(each[step].out, expected)
        # Where the owner's rounding is left depends on the regions; the sum over ranks does not.
        for acc, (at, values) in zip(accs, sent, strict=True):
            won = np.isin(at, winners)
            acc[at[won]] -= values[won]
        left = sum(acc.astype(np.float64) for acc in accs)
        left[winners] += sums[winners].astype(np.float64) - expected[winners]
        assert np.array_equal(sum(each[step].residual.astype(np.float64) for each in results), left)
        kept = [each[step].residual for each in results]


@pytest.mark.parametrize(("quantize", "rounded"), [(BF16(), bfloat16), (FP16(), float16)])
@pytest.mark.parametrize("size", SIZES)
def test_gtopk_of_short_floats_is_the_model(
    size: int, quantize: Compressor, rounded: Callable[[np.ndarray], np.ndarray]
) -> None:
    """What is sent up is rounded by its sender, the result by rank 0, and they keep the rest."""
    numel, k = 600, 60
    gradients = drawn(SHAPES["layered_laplace"], size, numel)
    results = run(gradients, Chain(TopK(0.1), quantize), GTopk, scale=1.0)
    residuals = [np.zeros(numel, np.float32) for _ in range(size)]
    for step in range(4):
        accs = [own[step] + residual for own, residual in zip(gradients, residuals, strict=True)]
        expected, residuals = gtopk(accs, k, 1.0, rounded)
        for each, residual in zip(results, residuals, strict=True):
            assert each[step].out is not None
            assert_same_bits(each[step].out, expected)
            assert_same_bits(each[step].residual, residual)


@pytest.mark.parametrize("quantize", [BF16(), FP16(), QSGD(8), EFSignSGD(16)], ids=repr)
@pytest.mark.parametrize("size", [2, 5, 8])
def test_full_regions_lose_nothing(size: int, quantize: Compressor) -> None:
    gradients = drawn(SHAPES["layered_laplace"], size, 700)
    for own in gradients:
        for gradient in own:
            gradient[::50] = 0
    results = run(gradients, Chain(TopK(0.95), quantize), TopkDsa, scale=1.0)
    assert_conserved(results, gradients, 16)
    # Zeros of formats with scales may cost accuracy, so those regions are not filled up.
    assert (results[0][0].report.winners == 700) == isinstance(quantize, BF16 | FP16)


def test_stochastic_sums_are_right_in_the_mean() -> None:
    """Owners' rounding draws bits of its own: errors of steps and ranks average out."""
    numel, size, steps = 256, 3, 300
    base = [SHAPES["layered_laplace"](np.random.default_rng(rank), numel) for rank in range(size)]
    compressor = QSGD(4, 64)
    total = np.zeros(numel)
    gradients = [[own] * steps for own in base]
    results = run_without_feedback(gradients, compressor)
    for out in results:
        total += out
    expected = sum(own.astype(np.float64) for own in base)
    blocks = expected.reshape(-1, 64)
    step_size = sum(np.abs(own.reshape(-1, 64)).max(axis=1) for own in base) / 7
    deviation = np.repeat(step_size, 64) * np.sqrt(0.5 / steps)
    assert blocks.size == numel
    assert np.all(np.abs(total / steps - expected) <= 6 * deviation)
    assert len({out.tobytes() for out in results}) == steps


def run_without_feedback(
    gradients: list[list[np.ndarray]], compressor: Compressor
) -> list[np.ndarray]:
    from gradwire.communicators import Communicator, Simulation
    from gradwire.exchange import Bucket, Exchange

    def rank(communicator: Communicator) -> list[np.ndarray]:
        exchange = Exchange(compressor, SplitGather(), communicator, seed=3)
        outs = []
        for step, gradient in enumerate(gradients[communicator.rank]):
            out = np.empty_like(gradient)
            exchange.reduce(Bucket("b", "", len(out)), gradient, step).write(out, 1.0)
            outs.append(out)
        return outs

    return Simulation(len(gradients), 0).run(rank)[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("compressor", "schedule"),
    [
        (ROUNDED[0], OkTopk),
        (ROUNDED[3], OkTopk),
        (ROUNDED[3], Allgather),
        (ROUNDED[3], TopkDsa),
        (ROUNDED[3], GTopk),
        (WITH_FEEDBACK[0], SplitGather),
        (WITH_FEEDBACK[3], SplitGather),
    ],
)
def test_bad_values_change_nothing(
    compressor: Compressor, schedule: type[Schedule], bad: float
) -> None:
    gradients = drawn(SHAPES["layered_laplace"], 3, 300, steps=3)
    gradients[1][1][77] = bad
    for each in run(gradients, compressor, schedule):
        assert each[0].out is not None and each[1].out is None and each[2].out is not None
        assert_same_bits(each[1].residual, each[0].residual)


@pytest.mark.parametrize("schedule", [OkTopk, TopkDsa, GTopk])
def test_sums_beyond_the_format_stop_the_step_everywhere(schedule: type[Schedule]) -> None:
    gradients = drawn(SHAPES["layered_laplace"], 2, 100, steps=2)
    for own in gradients:
        own[1][[3, 50]] = 60000.0
    for each in run(gradients, Chain(TopK(0.1), FP16()), schedule):
        assert each[1].out is None
        assert_same_bits(each[1].residual, each[0].residual)


@pytest.mark.parametrize("schedule", [OkTopk, TopkDsa, GTopk])
@pytest.mark.parametrize("size", [3, 5, 8])
@pytest.mark.parametrize("density", [0.01, 0.25])
def test_infinities_that_cancel_out_stop_the_step_everywhere(
    schedule: type[Schedule], size: int, density: float
) -> None:
    """As with a loss scale that is too large: values beyond float16, of both signs."""
    gradients = drawn(SHAPES["layered_laplace"], size, 400, steps=3)
    for rank, own in enumerate(gradients):
        own[1][:40] = np.float32(1e5 * (-1) ** rank)
    for each in run(gradients, Chain(TopK(density), FP16()), schedule):
        assert [step.out is None for step in each] == [False, True, False]
        assert_same_bits(each[1].residual, each[0].residual)


def test_what_cannot_be_chained_or_moved_is_refused() -> None:
    with pytest.raises(ConfigError, match="select must be a sparse compressor, got BF16"):
        Chain(BF16(), BF16())
    with pytest.raises(ConfigError, match="quantize must be a compressor with a value format"):
        Chain(TopK(0.1), TopK(0.1))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown compressor 'bfloat'"):
        Chain(TopK(0.1), "bfloat")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"moves dense values, and TopK.* sends entries"):
        SplitGather().check(TopK(0.1))
    with pytest.raises(ConfigError, match="unknown value format 'int9'; known: bf16, float32"):
        SplitGather("int9")
