"""Schedules on simulated ranks, against a model in plain NumPy, bit for bit."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
from exchange_model import run
from kernel_inputs import assert_same_bits
from schedule_cases import (
    SHAPES_TRIED,
    SIZES,
    VOLUMES,
    assert_follows_model,
    drawn,
    frequent,
    model_of,
    uneven,
)

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, FP16, QSGD, NoCompression, RandomK, TopK
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.schedules import (
    SCHEDULES,
    Agreement,
    Allgather,
    Dense,
    GTopk,
    OkTopk,
    Schedule,
    TopkDsa,
    get_schedule,
)
from gradwire.testing import SHAPES, exact_values


def assert_is_the_model(schedule: Callable[[], Schedule], size: int, shape: str) -> None:
    shape_of = {**SHAPES, "uneven": uneven}[shape]
    for numel, density in (*VOLUMES, (size - 1, 0.9)):
        gradients = drawn(shape_of, size, numel, steps=3)
        results = run(gradients, TopK(density), schedule)
        assert_follows_model(results, gradients, density, model_of(schedule()))


@pytest.mark.parametrize(("size", "shape"), SHAPES_TRIED)
def test_oktopk_is_the_model(size: int, shape: str) -> None:
    assert_is_the_model(frequent, size, shape)


@pytest.mark.parametrize(("size", "shape"), SHAPES_TRIED)
def test_topkdsa_is_the_model(size: int, shape: str) -> None:
    assert_is_the_model(lambda: TopkDsa(repartition_every=2), size, shape)


@pytest.mark.parametrize(("size", "shape"), SHAPES_TRIED)
def test_gtopk_is_the_model(size: int, shape: str) -> None:
    assert_is_the_model(GTopk, size, shape)


@pytest.mark.deep
@pytest.mark.parametrize("batch", range(20))
def test_random_exchanges_are_the_model(batch: int) -> None:
    """Thousands of exchanges of random size, density, rank count, shapes and delivery order."""
    generator = np.random.default_rng(batch)
    shapes = [*SHAPES.values(), uneven]
    for case in range(50):
        size, steps = int(generator.integers(1, 13)), int(generator.integers(1, 7))
        numel = int(generator.choice([generator.integers(0, 40), generator.integers(0, 3000)]))
        density = float(10 ** generator.uniform(-3.5, 0))
        mixed = [shapes[i] for i in generator.integers(0, len(shapes), size)]
        gradients = [
            drawn(shape, 1, numel, steps, seed=[batch, case, rank])[0]
            for rank, shape in enumerate(mixed)
        ]
        every, imbalance = int(generator.integers(1, 5)), float(generator.choice([1.0, 2.0]))
        for schedule in (OkTopk(every, imbalance), TopkDsa(every, imbalance), GTopk()):
            results = run(gradients, TopK(density), lambda s=schedule: copy.deepcopy(s), seed=case)
            assert_follows_model(results, gradients, density, model_of(schedule))


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_allgather_is_its_model(size: int, shape: str) -> None:
    assert_is_the_model(Allgather, size, shape)


@pytest.mark.parametrize("schedule", [Dense, Allgather, OkTopk, TopkDsa, GTopk])
@pytest.mark.parametrize(
    "compressor", [NoCompression(), FP16(), BF16(), TopK(1.0), RandomK(0.2)], ids=repr
)
def test_dense_sums_are_exact(schedule: type[Schedule], compressor: NoCompression) -> None:
    """Exact-sum inputs of few bits: every format holds the sums of 4 ranks."""
    for numel in (0, 1, 3, 100):
        gradients = drawn(lambda g, n: exact_values(g, n, bits=6, exponent=-3), 4, numel, 2)
        results = run(gradients, compressor, schedule, scale=1.0)
        accs = np.array([own[0] for own in gradients])
        for rank in range(4):
            out = results[rank][0].out
            assert out is not None
            assert_same_bits(out, results[0][0].out)
            kept = sum(each[0].residual for each in results)
            assert np.array_equal(out + kept, accs.sum(axis=0))


@pytest.mark.parametrize("schedule", [frequent, Allgather, TopkDsa, GTopk])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_lost(schedule: Callable[[], Schedule], size: int) -> None:
    """Sum of residuals after + result = sum of residuals before + gradients, bitwise."""
    for numel, density in VOLUMES:
        gradients = drawn(uneven, size, numel, steps=5, seed=1)
        results = run(gradients, TopK(density), schedule, scale=1.0)
        before = np.zeros(numel, np.float64)
        for step in range(5):
            own = sum(each[step].astype(np.float64) for each in gradients)
            after = sum(each[step].residual.astype(np.float64) for each in results)
            out = results[0][step].out
            assert out is not None
            assert np.array_equal(out + after, before + own)
            before = after


@pytest.mark.parametrize("size", [2, 3, 8])
def test_delivery_order_does_not_matter(size: int) -> None:
    gradients = drawn(SHAPES["layered_laplace"], size, 500)
    first = run(gradients, TopK(0.05), frequent, seed=0)
    for seed in range(1, 6):
        again = run(gradients, TopK(0.05), frequent, seed=seed)
        for own, other in zip(first, again, strict=True):
            for a, b in zip(own, other, strict=True):
                assert a.out is not None and b.out is not None
                assert_same_bits(a.out, b.out)
                assert_same_bits(a.residual, b.residual)


def test_regions_do_not_show_in_the_result() -> None:
    gradients = drawn(SHAPES["hot_spot"], 4, 2000, steps=6)
    results = [
        run(gradients, TopK(0.02), lambda every=every: OkTopk(every, 1.0)) for every in (1, 3, 64)
    ]
    for rank in range(4):
        for step in range(6):
            outs = {each[rank][step].out.tobytes() for each in results}
            assert len(outs) == 1


@pytest.mark.parametrize("schedule", [OkTopk, Allgather, TopkDsa, GTopk])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("culprit", [0, 2])
def test_one_bad_value_anywhere_stops_the_step_everywhere(
    schedule: type[Schedule], bad: float, culprit: int
) -> None:
    for position, density in ((0, 0.01), (299, 0.01), (150, 1.0)):
        gradients = drawn(SHAPES["layered_laplace"], 3, 300, steps=3)
        gradients[culprit][1][position] = bad
        results = run(gradients, TopK(density), schedule)
        clean = [own[:1] + own[2:] for own in gradients]
        expected = run(clean, TopK(density), schedule)
        for rank in range(3):
            assert results[rank][1].out is None
            assert_same_bits(results[rank][1].residual, results[rank][0].residual)
            # As if the step had never been.
            assert_same_bits(results[rank][2].residual, expected[rank][1].residual)
            assert_same_bits(results[rank][2].out, expected[rank][1].out)


@pytest.mark.parametrize("schedule", [OkTopk, Allgather, TopkDsa, GTopk])
@pytest.mark.parametrize("density", [0.02, 1.0])
def test_overflow_of_a_sum_stops_the_step_everywhere(
    schedule: type[Schedule], density: float
) -> None:
    gradients = drawn(SHAPES["layered_laplace"], 4, 100, steps=2)
    for own in gradients:
        own[1][[3, 50]] = 3e38
    results = run(gradients, TopK(density), schedule)
    for each in results:
        assert each[1].out is None
        assert_same_bits(each[1].residual, each[0].residual)


@pytest.mark.parametrize("compressor", [NoCompression(), BF16(), FP16(), RandomK(0.1)], ids=repr)
def test_bad_value_in_dense_payloads(compressor: NoCompression) -> None:
    gradients = drawn(SHAPES["layered_laplace"], 3, 100, steps=2)
    gradients[1][1][77] = np.nan
    for each in run(gradients, compressor, Dense):
        assert each[0].out is not None and each[1].out is None
        assert_same_bits(each[1].residual, each[0].residual)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("tail", [1, 3, 40, 100])
def test_tail_travels_dense(size: int, tail: int) -> None:
    """All of the tail is reduced at every step; the head is the model's."""
    gradients = drawn(uneven, size, 100)
    results = run(gradients, TopK(0.05), frequent, tail=tail, scale=1.0)
    for step in range(4):
        expected = sum(own[step][100 - tail :].astype(np.float64) for own in gradients)
        for each in results:
            assert each[step].out is not None
            assert np.array_equal(each[step].out[100 - tail :], expected)
            assert not each[step].residual[100 - tail :].any()
    head = [[gradient[: 100 - tail] for gradient in own] for own in gradients]
    for got, alone in zip(results, run(head, TopK(0.05), frequent, scale=1.0), strict=True):
        for a, b in zip(got, alone, strict=True):
            assert a.out is not None and b.out is not None
            assert_same_bits(a.out[: 100 - tail], b.out)
            assert_same_bits(a.residual[: 100 - tail], b.residual)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_largest_index_space(size: int) -> None:
    """Indices beyond 2^24 and 2^31, where float32 and int32 fail; nothing of n is materialised."""
    numel = 2**32 - 1
    generator = np.random.default_rng(size)
    shared = np.array([0, 2**24 + 1, 2**31 - 1, 2**31, numel - 2, numel - 1])
    payloads = []
    for _ in range(size):
        own = np.unique(np.concatenate([shared, generator.integers(0, numel, 94)]))
        payloads.append(
            Payload(
                numel,
                own.astype(np.uint32),
                exact_values(generator, len(own), bits=12),
                budget=100,
            )
        )

    def rank(communicator: Communicator) -> tuple[Payload, np.ndarray]:
        schedule, agreement = frequent(), Agreement.of({"test": 1}, 0)
        for _ in range(4):
            outcome = schedule.exchange(payloads[communicator.rank], agreement, communicator)
        return outcome.reduced, outcome.delivered

    sums: dict[int, float] = {}
    for payload in payloads:
        for index, value in zip(payload.indices.tolist(), payload.values.tolist(), strict=True):
            sums[index] = sums.get(index, 0.0) + value
    kept = sorted(
        sorted((index for index in sums if sums[index]), key=lambda i: (-abs(sums[i]), i))[:100]
    )
    for payload, (reduced, delivered) in zip(payloads, Simulation(size).run(rank), strict=True):
        assert reduced.indices.tolist() == kept
        assert reduced.values.tolist() == [sums[index] for index in kept]
        assert delivered.tolist() == sorted(set(kept) & set(payload.indices.tolist()))


def test_reports() -> None:
    gradients = drawn(SHAPES["layered_laplace"], 4, 1000)
    for each in run(gradients, TopK(0.05), frequent):
        for step in each:
            assert step.report.selected == 50
            assert step.report.winners == 50
            assert step.report.imbalance >= 1
            assert set(step.report.phases) == {"agree", "partition", "split", "select", "gather"}
    owned = [each[0].report.reduced for each in run(gradients, TopK(0.05), frequent)]
    assert 50 <= sum(owned) <= 200


def test_schedules_say_what_they_need() -> None:
    with pytest.raises(ConfigError, match=r"'dense' needs a summable .*TopK.*'allgather'"):
        Dense().check(TopK(0.1))
    for schedule in (OkTopk(), Allgather(), TopkDsa(), GTopk()):
        schedule.check(TopK(0.1))
    assert {name: type(get_schedule(name)) for name in SCHEDULES} == SCHEDULES
    with pytest.raises(
        ConfigError, match="unknown schedule 'okay'; known: allgather, auto, dense, gtopk, hier"
    ):
        get_schedule("okay")
    for schedule in (OkTopk(), TopkDsa(), GTopk()):
        with pytest.raises(ConfigError, match=rf"{schedule.id}.* sparse compressor.*'allgather'"):
            schedule.check(QSGD())
    with pytest.raises(ConfigError, match=r"schedule 'oktopk'.*tau"):
        get_schedule("oktopk", tau=3)
    with pytest.raises(ConfigError, match="repartition_every must be an integer >= 1, got 0"):
        OkTopk(repartition_every=0)
    with pytest.raises(ConfigError, match=r"largest_imbalance must be >= 1, got 0\.5"):
        OkTopk(largest_imbalance=0.5)
    with pytest.raises(
        ConfigError, match="TopkDsa: repartition_every must be an integer >= 1, got 0"
    ):
        TopkDsa(repartition_every=0)
