"""Two levels of ranks: who keeps what, what goes between groups, and who is in which group."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from exchange_model import Step, hierarchical, run
from kernel_inputs import assert_same_bits
from schedule_cases import SHAPES_TRIED, drawn, uneven

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, QSGD, Chain, Compressor, EFSignSGD, NoCompression, TopK
from gradwire.errors import AgreementError, ConfigError
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import SCHEDULES, Hierarchical, OkTopk, Schedule, get_schedule
from gradwire.schedules.groups import place_of
from gradwire.schedules.regions import balanced_regions, tile_loads
from gradwire.testing import SHAPES, exact_values

SPARSE = ("oktopk", "topkdsa", "gtopk", "allgather")
GROUPS = [(2, 1), (2, 2), (4, 2), (4, 4), (6, 2), (6, 3), (8, 4), (9, 3)]  # (ranks, of a group)
DENSITY = 0.05


def made(inner: str, group_size: int | None, recut_every: int = 2) -> Callable[[], Hierarchical]:
    """Return a maker of schedules that cut their shards anew every second exchange."""
    return partial(Hierarchical, inner, group_size, recut_every)


def shards_of(accs: list[np.ndarray], k: int, parts: int) -> np.ndarray:
    """Return where shards are cut that have equal shares of what all ranks select."""
    numel = len(accs[0])
    loads = np.zeros_like(tile_loads(np.empty(0, np.uint32), numel))
    for acc in accs:
        order = np.argsort(-np.abs(acc.astype(np.float64)), kind="stable")[:k]
        loads += tile_loads(np.sort(order[acc[order] != 0]).astype(np.uint32), numel)
    return balanced_regions(loads, numel, parts)


def conserved(results: list[list[Step]], gradients: list[list[np.ndarray]]) -> None:
    """Nothing that ranks bring is lost or counted twice: sums of integers are exact."""
    total = np.zeros(len(gradients[0][0]), np.float64)
    for step in range(len(gradients[0])):
        total += sum(own[step].astype(np.float64) for own in gradients)
        for own in results[1:]:
            assert_same_bits(own[step].out, results[0][step].out)
        total -= results[0][step].out
        kept = sum(own[step].residual.astype(np.float64) for own in results)
        np.testing.assert_allclose(kept, total, rtol=0, atol=1e-3 if total.any() else 0)


@pytest.mark.parametrize(("inner", "keep_all"), [("oktopk", False), ("allgather", True)])
@pytest.mark.parametrize(("size", "group_size"), [each for each in GROUPS if each[1] > 1])
@pytest.mark.parametrize("shape", ["layered_laplace", "few_levels", "uneven"])
def test_follows_the_model(
    shape: str, size: int, group_size: int, inner: str, keep_all: bool
) -> None:
    gradients = drawn(uneven if shape == "uneven" else SHAPES[shape], size, 1025)
    compressor = TopK(DENSITY)
    results = run(gradients, compressor, made(inner, group_size, 1))
    residuals = [np.zeros(1025, np.float32) for _ in range(size)]
    for step in range(len(gradients[0])):
        accs = [kept + own[step] for kept, own in zip(residuals, gradients, strict=True)]
        k = compressor.budget(1025, step)
        cuts = shards_of(accs, k, group_size)
        expected, residuals = hierarchical(accs, k, 1 / size, group_size, cuts, keep_all)
        for rank in range(size):
            assert_same_bits(results[rank][step].out, expected)
            assert_same_bits(results[rank][step].residual, residuals[rank])


@pytest.mark.parametrize("inner", SPARSE)
@pytest.mark.parametrize(("size", "group_size"), GROUPS)
@pytest.mark.parametrize("numel", [0, 1, 3, 33, 1025])
def test_entries_lose_nothing(numel: int, size: int, group_size: int, inner: str) -> None:
    """Of values whose sums are exact, bit for bit."""
    gradients = drawn(lambda g, n: exact_values(g, n, bits=8), size, numel)
    results = run(gradients, TopK(0.2), made(inner, group_size), scale=1.0)
    total = np.zeros(numel)
    for step in range(len(gradients[0])):
        total += sum(own[step].astype(np.float64) for own in gradients)
        total -= results[0][step].out
        kept = sum(own[step].residual.astype(np.float64) for own in results)
        assert np.array_equal(kept, total)
        for own in results:
            assert_same_bits(own[step].out, results[0][step].out)


@pytest.mark.parametrize("tail", [0, 1, 40])
@pytest.mark.parametrize("inner", SPARSE)
@pytest.mark.parametrize("quantize", [BF16(), QSGD(8), EFSignSGD(16)], ids=repr)
@pytest.mark.parametrize(("size", "group_size"), [(4, 2), (6, 3)])
def test_rounded_entries_lose_nothing(
    size: int, group_size: int, quantize: Compressor, inner: str, tail: int
) -> None:
    gradients = drawn(SHAPES["layered_laplace"], size, 700)
    compressor = Chain(TopK(DENSITY), quantize)
    conserved(run(gradients, compressor, made(inner, group_size), scale=1.0, tail=tail), gradients)


@pytest.mark.parametrize(
    ("inner", "compressor"),
    [
        ("dense", NoCompression()),
        ("allgather", NoCompression()),
        ("oktopk", TopK(1.0)),
        ("split_gather", QSGD(4)),
        ("split_gather", EFSignSGD(32)),
        ("allgather", QSGD(8)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("numel", [0, 1, 5, 700])
@pytest.mark.parametrize(("size", "group_size"), [(2, 2), (4, 2), (6, 3), (8, 2)])
def test_dense_values_lose_nothing(
    size: int, group_size: int, numel: int, inner: str, compressor: Compressor
) -> None:
    gradients = drawn(SHAPES["layered_laplace"], size, numel)
    results = run(gradients, compressor, made(inner, group_size), scale=1.0)
    if compressor.traits.needs_residual:
        conserved(results, gradients)
    for step in range(len(gradients[0])):
        for own in results:
            assert_same_bits(own[step].out, results[0][step].out)
        if not compressor.traits.needs_residual and compressor == NoCompression():
            total = sum(own[step].astype(np.float64) for own in gradients)
            np.testing.assert_allclose(results[0][step].out, total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "shape"), SHAPES_TRIED)
def test_one_group_and_groups_of_one(size: int, shape: str) -> None:
    """Groups of one are the inner schedule; in one group it has nobody to talk to."""
    draw = uneven if shape == "uneven" else SHAPES[shape]
    gradients = drawn(draw, size, 500)
    flat = run(gradients, TopK(DENSITY), OkTopk)
    single = run(gradients, TopK(DENSITY), made("oktopk", 1))
    for a, b in zip(flat, single, strict=True):
        for one, other in zip(a, b, strict=True):
            assert_same_bits(one.out, other.out)
            assert_same_bits(one.residual, other.residual)
    for own in run(gradients, TopK(DENSITY), made("oktopk", size)):
        assert own[-1].out is not None


def test_pruned_and_lost_sums_stay_with_their_owner() -> None:
    """Two groups of two, two shards of two elements; one entry of each shard gets through."""
    rows = [[5, 1, 0, 0], [0, 2, 0, 9], [3, 0, 0, 0], [0, 0, 4, 1]]
    gradients = [[np.array(row, np.float32)] for row in rows]
    ends = [own[-1] for own in run(gradients, TopK(0.5), made("oktopk", 2), scale=1.0)]
    for end in ends:
        assert end.out is not None and end.out.tolist() == [8, 0, 0, 9]
    assert [end.residual.tolist() for end in ends] == [
        [0, 3, 0, 0],  # pruned: less than 5, the other sum of its shard
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 4, 1],  # 4 lost against the other group's 9, 1 was pruned
    ]


def test_groups_are_those_of_hosts() -> None:
    def exchanged(communicator: Communicator) -> tuple[bytes, list[str], int]:
        gradient = np.random.default_rng(communicator.rank).laplace(size=4000).astype(np.float32)
        exchange = Exchange(TopK(DENSITY), Hierarchical(), communicator)
        residual = OwnedResidual(4000)
        reduced = exchange.reduce(Bucket("b", "", 4000), gradient, 0, residual)
        out = reduced.commit(residual, 1.0).tobytes()
        phases = reduced.report.phases
        return out, list(phases), phases["split"].messages_sent

    results = Simulation(6, ranks_per_host=2).run(exchanged)
    assert len({out for out, _, _ in results}) == 1
    for _, phases, messages in results:
        assert phases[:3] == ["agree", "partition", "near split"]
        assert phases[-1] == "near gather"
        assert messages == 2  # to the other hosts, one rank of each
    flat = Simulation(6).run(exchanged)
    assert all("near split" not in phases and messages == 5 for _, phases, messages in flat)


@pytest.mark.parametrize("inner", ["oktopk", "gtopk"])
def test_a_host_sends_what_a_rank_of_the_flat_schedule_would(inner: str) -> None:
    """Between groups, where links are slow; shards are a little uneven."""
    size, group_size, numel = 8, 4, 40_000
    gradients = drawn(SHAPES["layered_laplace"], size, numel, steps=3)

    def between_hosts(step: Step) -> int:
        entries = ("split", "gather", "merge", "broadcast")
        return sum(p.bytes_sent for name, p in step.report.phases.items() if name in entries)

    flat = run([gradients[0], gradients[4]], TopK(DENSITY), partial(get_schedule, inner))
    nested = run(gradients, TopK(DENSITY), made(inner, group_size))
    host = sum(between_hosts(own[-1]) for own in nested[:group_size])
    assert 0 < host < 1.15 * between_hosts(flat[0][-1])


def test_places() -> None:
    hosts = ["a", "b", "a", "b", "a", "b"]
    assert place_of(2, hosts, None).near == [0, 2, 4]
    assert place_of(2, hosts, None).far == [2, 3]
    assert place_of(5, ["a"] * 4 + ["b"] * 2, None).near == [4, 5]
    assert place_of(5, ["a"] * 4 + ["b"] * 2, None).far == [1, 3, 5]
    assert place_of(1, ["a"] * 4 + ["b"], None).near == [1]
    assert place_of(3, hosts, 2).near == [2, 3]
    assert place_of(3, hosts, 2).far == [1, 3, 5]


def test_wrong_configurations() -> None:
    with pytest.raises(ConfigError, match="groups of 4 ranks do not come out even with 6 ranks"):
        place_of(0, ["a"] * 6, 4)
    for config, text in (
        ({"inner": "okay"}, "unknown schedule 'okay'"),
        ({"inner": "hierarchical"}, "inner must be another schedule"),
        ({"inner": {"name": "oktopk"}}, "expected a schedule, its name or its configuration"),
        ({"inner": {"id": "oktopk", "tau": 1}}, "tau"),
        ({"inner": {1: 2, "id": "oktopk"}}, "expected a schedule, its name or its configuration"),
        ({"inner": {"id": ["oktopk"]}}, "expected a schedule, its name or its configuration"),
        ({"inner": 3}, "expected a schedule, its name or its configuration"),
        ({"group_size": 0}, "group_size must be an integer >= 1, got 0"),
        ({"group_size": "2"}, "group_size must be an integer >= 1, got '2'"),
        ({"group_size": 2.0}, "group_size must be an integer"),
        ({"group_size": True}, "group_size must be an integer"),
        ({"recut_every": 0}, "recut_every must be an integer >= 1, got 0"),
        ({"recut_every": 1.5}, "recut_every must be an integer"),
    ):
        with pytest.raises(ConfigError, match=text):
            get_schedule("hierarchical", **config)
    assert get_schedule("hierarchical", inner={"id": "gtopk"}).config()["inner"] == {"id": "gtopk"}
    with pytest.raises(ConfigError, match="'dense' needs a summable"):
        Hierarchical("dense").check(TopK(0.1))
    assert [name for name in SCHEDULES if get_schedule(name).moves_dense] == [
        "dense",
        "split_gather",
    ]
    assert Hierarchical("split_gather").moves_dense


def test_uneven_groups_are_refused_on_all_ranks() -> None:
    def exchanged(communicator: Communicator) -> None:
        with pytest.raises(ConfigError, match="groups of 2 ranks do not come out even with 3 ra"):
            Exchange(TopK(DENSITY), Hierarchical(group_size=2), communicator)
        exchange = Exchange(TopK(DENSITY), OkTopk(), communicator)
        assert exchange.reduce(Bucket("b", "", 50), np.ones(50, np.float32), 0).finite

    Simulation(3).run(exchanged)


def test_one_schedule_serves_several_communicators() -> None:
    def exchanged(communicator: Communicator, schedule: Schedule) -> list[bytes]:
        found = []
        for part in (communicator, communicator.subgroup(blocks(communicator))):
            exchange = Exchange(TopK(DENSITY), schedule, part)
            gradient = np.random.default_rng(communicator.rank).normal(size=900)
            bucket = Bucket("b", "", 900)
            reduced = exchange.reduce(bucket, gradient.astype(np.float32), 0)
            out = np.empty(900, np.float32)
            reduced.write(out, 1.0)
            found.append(out.tobytes())
        return found

    def blocks(communicator: Communicator) -> list[int]:
        first = communicator.rank - communicator.rank % 2
        return [first, first + 1]

    for make in (lambda: Hierarchical(group_size=2), OkTopk):
        own = Simulation(4).run(lambda each, make=make: exchanged(each, make()))
        assert own[0][0] == own[3][0] and own[2][1] == own[3][1] != own[0][1]


def test_ranks_with_other_groups_are_noticed() -> None:
    def exchanged(communicator: Communicator) -> None:
        schedule = Hierarchical(group_size=2 if communicator.rank else 4)
        exchange = Exchange(TopK(DENSITY), schedule, communicator)
        with pytest.raises(AgreementError, match="group_size"):
            exchange.reduce(Bucket("b", "", 50), np.ones(50, np.float32), 0)

    Simulation(4).run(exchanged)


def test_one_rank_with_nan_stops_all() -> None:
    gradients = drawn(SHAPES["layered_laplace"], 4, 100)
    gradients[2][1][7] = np.nan
    for own in run(gradients, TopK(DENSITY), made("oktopk", 2)):
        assert own[1].out is None and own[2].out is not None
