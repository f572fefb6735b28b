"""The cost model: fits, bounds, predictions against what is counted."""

import dataclasses
import random

import pytest

from gradwire.communicators import Communicator, Simulation
from gradwire.cost import (
    BOUNDS,
    Case,
    Link,
    Rates,
    Sample,
    Work,
    bound_of,
    expected_phases,
    fit,
    measure_link,
    measure_rates,
    predict,
    published_words,
    slowest,
)
from gradwire.errors import ConfigError
from gradwire.schedules import SCHEDULES
from gradwire.simulation.runs import simulate
from gradwire.simulation.selections import make_source

SIZES = (64, 4096, 65536, 1 << 20)


def samples_of(link: Link, peers: int = 3) -> list[Sample]:
    return [Sample(peers, peers * size, link.seconds(peers, peers * size, 0)) for size in SIZES]


@pytest.mark.parametrize("link", [Link(30e-6, 8e-9), Link(1e-3, 8e-8), Link(1e-6, 1e-10)])
def test_fit_finds_the_link_that_made_the_samples(link: Link) -> None:
    found = fit(samples_of(link))
    assert found.alpha == pytest.approx(link.alpha, rel=1e-6)
    assert found.beta == pytest.approx(link.beta, rel=1e-6)


def test_fit_of_noisy_samples_is_near() -> None:
    generator = random.Random(1)
    noisy = [
        each._replace(seconds=each.seconds * generator.uniform(0.9, 1.1))
        for each in samples_of(Link(50e-6, 1e-8)) * 25
    ]
    found = fit(noisy)
    assert found.alpha == pytest.approx(50e-6, rel=0.05)
    assert found.beta == pytest.approx(1e-8, rel=0.05)


@pytest.mark.parametrize(
    ("samples", "zero"),
    [
        # Time that grows faster than the bytes would give messages a negative latency, ...
        ([Sample(1, 1_000, 1e-6), Sample(1, 10_000, 2e-5)], "alpha"),
        # ... and time that falls with them a negative time per byte.
        ([Sample(1, 1_000, 2e-5), Sample(1, 10_000, 1e-5)], "beta"),
    ],
)
def test_fit_gives_nothing_below_zero(samples: list[Sample], zero: str) -> None:
    found = fit(samples)
    other = "beta" if zero == "alpha" else "alpha"
    assert getattr(found, zero) == 0.0
    assert getattr(found, other) > 0.0

    def squares(link: Link) -> float:
        return sum((link.seconds(m, b, 0) / t - 1) ** 2 for m, b, t in samples)

    for factor in (0.99, 1.01):  # the best on its axis
        moved = dataclasses.replace(found, **{other: getattr(found, other) * factor})
        assert squares(moved) > squares(found)
    assert squares(dataclasses.replace(found, **{zero: 1e-12})) > squares(found)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "at least 2 samples, got 0"),
        ([Sample(1, 1, 1)], "at least 2 samples, got 1"),
        ([Sample(3, 300, 1e-3), Sample(6, 600, 2e-3)], "in one proportion"),
        ([Sample(3, 0, 1e-3), Sample(6, 0, 2e-3)], "in one proportion"),
        ([Sample(3, 10, 0.0), Sample(6, 10, 2e-3)], "seconds above 0"),
        ([Sample(3, 10, float("nan")), Sample(6, 10, 2e-3)], "seconds above 0"),
        ([Sample(0, 0, 1.0), Sample(6, 10, 2e-3)], "messages or bytes"),
        ([Sample(-1, 5, 1.0), Sample(6, 10, 2e-3)], "messages or bytes"),
    ],
)
def test_fit_refuses_samples_that_tell_nothing(samples: list[Sample], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit(samples)


def test_links() -> None:
    link = Link.of_rate(1e9, 30e-6)
    assert (link.alpha, link.beta) == (30e-6, 8e-9)
    assert link.seconds(2, 1000, 4000) == link.seconds(2, 4000, 1000)  # full duplex
    assert link.seconds(2, 1000, 4000) == pytest.approx(60e-6 + 32e-6)
    assert slowest(link, [(1, 0, 0), (1, 5000, 0), (2, 0, 10)]) == link.seconds(1, 5000, 0)
    assert slowest(link, []) == 0.0
    for bad in (lambda: Link(-1e-9, 0), lambda: Link(0, float("nan")), lambda: Link.of_rate(0, 0)):
        with pytest.raises(ConfigError, match="Link"):
            bad()


@pytest.mark.parametrize("size", [2, 3])
def test_measured_link_is_the_same_on_all_ranks(size: int) -> None:
    links = Simulation(size).run(lambda c: measure_link(c, (64, 65536), 3))
    assert len(set(links)) == 1
    assert links[0].alpha > 0 or links[0].beta > 0


def test_a_link_takes_two_ranks() -> None:
    with pytest.raises(ConfigError, match="at least 2 ranks, got 1"):
        Simulation(1).run(measure_link)


# Of Li and Hoefler's table 1, worked out by hand for n = 1000, k = 12, P = 4.
WORDS = {
    "dense": 1500,
    "allgather": 72,
    "topkdsa_low": 36,
    "topkdsa_high": 768,
    "gtopk": 96,
    "gaussian_k": 72,
    "oktopk_low": 18,
    "oktopk_high": 54,
    "lower_bound": 18,
}


def test_published_words() -> None:
    assert {scheme: published_words(scheme, 1000, 12, 4) for scheme in BOUNDS} == WORDS
    assert all(published_words(scheme, 1000, 12, 1) == 0 for scheme in BOUNDS)
    assert {bound_of(name) for name in ("dense", "allgather", "oktopk")} <= set(BOUNDS)
    assert bound_of("a schedule of somebody else") is None
    with pytest.raises(ConfigError, match="unknown scheme 'okto'; known: allgather"):
        published_words("okto", 1, 1, 1)
    with pytest.raises(ConfigError, match="ranks must be an integer >= 1"):
        published_words("dense", 1, 1, 0)


@pytest.mark.parametrize("ranks", [1, 4, 16])
@pytest.mark.parametrize("schedule", ["dense", "allgather", "oktopk"])
def test_expected_volume_is_near_the_counted_one(schedule: str, ranks: int) -> None:
    source = make_source("layered", 200_000, 0.02, ranks, 1)
    counted = simulate(schedule, source, ranks, steps=2)
    expected = expected_phases(schedule, Case(200_000, source.k, ranks))
    assert [*counted.phases] == [name for name in expected if name in counted.phases]
    assert not set(counted.phases) - set(expected)
    for name, traffic in counted.phases.items():
        if name not in ("partition", "select"):  # the last step; these two depend on the values
            assert traffic.messages[-1].max() == expected[name].messages
        if name in ("split", "gather"):
            sent = float(traffic.bytes_sent[-1].mean())
            assert sent == pytest.approx(expected[name].nbytes, rel=0.15)
    total = sum(phase.nbytes for phase in expected.values())
    assert float(counted.total.bytes_sent[-1].mean()) == pytest.approx(total, rel=0.15)


@pytest.mark.parametrize("ranks", [1, 4, 5, 16])
def test_expected_volume_of_a_tree_is_the_busiest_ranks(ranks: int) -> None:
    source = make_source("layered", 200_000, 0.02, ranks, 1)
    counted = simulate("gtopk", source, ranks, steps=1).phases["broadcast"]
    expected = expected_phases("gtopk", Case(200_000, source.k, ranks))
    assert counted.messages[-1].max() == expected["broadcast"].messages
    assert counted.bytes_sent[-1].max() == pytest.approx(expected["broadcast"].nbytes, rel=0.15)
    assert expected["merge"].nbytes == expected["broadcast"].nbytes


@pytest.mark.parametrize("ranks", [1, 4, 16])
def test_expected_volume_of_a_union_is_that_of_random_choices(ranks: int) -> None:
    """Ranks whose gradients are alike send less."""
    source = make_source("layered", 200_000, 0.02, ranks, 1)
    counted = simulate("topkdsa", source, ranks, steps=2).phases
    expected = expected_phases("topkdsa", Case(200_000, source.k, ranks))
    split, gathered = (counted[name].bytes_sent[-1].mean() for name in ("split", "gather"))
    assert split == pytest.approx(expected["split"].nbytes, rel=0.15)
    assert 0.9 * split <= gathered <= 1.05 * expected["gather"].nbytes


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "auto"])
def test_every_schedule_can_be_predicted(schedule: str) -> None:
    assert predict(schedule, Case(1000, 10, 4), Link(1e-6, 1e-9)).seconds > 0


def test_hosts_with_several_ranks_share_their_link() -> None:
    """So what counts is what a host sends: as much as one rank of the flat schedule."""
    link = Link.of_rate(1e9, 0.0)
    flat = predict("oktopk", Case(10**7, 10**5, 8), link).phases
    nested = predict("hierarchical", Case(10**7, 10**5, 64, group_size=8), link).phases
    assert nested["split"] == pytest.approx(flat["split"], rel=0.02)
    assert nested["near split"] == nested["near gather"] == 0.0
    assert predict("hierarchical", Case(10**7, 10**5, 8), link).phases == flat
    with pytest.raises(ConfigError, match="ranks must be a multiple of group_size = 3, got 8"):
        Case(100, 1, 8, group_size=3)


def test_predictions_add_up() -> None:
    case, link = Case(100_000, 1_000, 8), Link.of_rate(1e9, 30e-6)
    rates = Rates(compensated=1e-9, merged=5e-9)
    both, wire = predict("oktopk", case, link, rates), predict("oktopk", case, link)
    assert both == predict("oktopk", case, link, rates)
    assert both.links == wire.links
    assert not any(wire.kernels.values())
    assert both.phases["compensate"] == pytest.approx(1e-4)
    assert both.phases["split"] == pytest.approx(wire.phases["split"] + 5e-6)
    assert both.seconds == pytest.approx(sum(both.phases.values()))
    assert predict("dense", case, link).seconds > 3 * wire.seconds
    assert predict("oktopk", Case(100, 10, 1), link).seconds == 0.0  # nobody to send to


def test_faster_links_and_fewer_ranks_take_less() -> None:
    def seconds(rate: float, latency: float, ranks: int) -> float:
        return predict("oktopk", Case(10**6, 10**4, ranks), Link.of_rate(rate, latency)).seconds

    assert seconds(1e10, 1e-5, 8) < seconds(1e9, 1e-5, 8) < seconds(1e9, 1e-4, 8)
    assert seconds(1e9, 1e-5, 4) < seconds(1e9, 1e-5, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1, 1), "numel must be an integer >= 1, got 0"),
        ((10, 0, 1), "k must be an integer >= 1, got 0"),
        ((10, 11, 1), "k must be at most numel = 10, got 11"),
        ((10, 1, 0), "ranks must be an integer >= 1, got 0"),
        ((10, 1, 1, 0.0), "value_bytes must be above 0"),
    ],
)
def test_cases_that_cannot_be(arguments: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Case(*arguments)


def test_unknown_schedules_cannot_be_predicted() -> None:
    with pytest.raises(ConfigError, match="unknown schedule to predict 'mystery'"):
        predict("mystery", Case(10, 1, 2), Link(0, 0))


def test_rates_of_this_machine() -> None:
    rates = measure_rates(20_000, 0.05, chunks=3, repetitions=1)
    for name, rate in dataclasses.asdict(rates).items():
        assert 0 <= rate < 1e-2, name
    assert rates.compensated > 0
    assert rates.coded > 0
    assert rates.merged > 0


def test_seconds_are_rates_times_work() -> None:
    rates = Rates(coded=2e-6, scattered=1e-9)
    assert rates.seconds(Work(coded=4, scattered=1000, added=10**9)) == pytest.approx(9e-6)
    with pytest.raises(ConfigError, match="Rates: expected finite seconds"):
        Rates(merged=-1e-9)


def test_shared_rates_are_the_slowest() -> None:
    def share(communicator: Communicator) -> Rates:
        rank = communicator.rank
        return Rates(coded=float(rank), merged=float(-rank + 2)).shared(communicator)

    assert Simulation(3).run(share) == [Rates(coded=2.0, merged=2.0)] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 0.1), "numel must be an integer >= 1"),
        ((10, 0.0), r"density must be in \(0, 1\], got 0"),
        ((10, 1.5), r"density must be in \(0, 1\], got 1.5"),
        ((10, 0.1, 0), "chunks must be an integer >= 1"),
        ((10, 0.1, 1, 0), "repetitions must be an integer >= 1"),
    ],
)
def test_rates_that_cannot_be_measured(arguments: tuple[float, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        measure_rates(*arguments)  # type: ignore[arg-type]
