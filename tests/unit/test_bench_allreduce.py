"""``bench allreduce`` without its ranks: options, checks, inputs, what results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradwire.__main__ import main
from gradwire.bench.collectives import table
from gradwire.bench.collectives.checks import outside
from gradwire.bench.collectives.gradients import COUNT, GradientRing
from gradwire.bench.collectives.method import Phase
from gradwire.bench.collectives.methods import METHODS
from gradwire.bench.collectives.places import (
    TUNED,
    Place,
    link_bytes_sent,
    own_place,
    share_a_clock,
    untuned,
)
from gradwire.bench.collectives.result import Notes, Report, Result, combined
from gradwire.bench.files import write_json
from gradwire.bench.method import BFLOAT16, FLOAT16, FLOAT32, Rounding

SIZE = 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n", "0"], "--n must be in [1, 2**32), got 0"),
        (["--n", str(2**32)], "--n must be in"),
        (["--density", "0.1", "1.5"], "--density must be in (0, 1], got 1.5"),
        (["--density", "nan"], "--density must be in (0, 1], got nan"),
        (["--repetitions", "0"], "--repetitions must be at least 1, got 0"),
        (["--warmup", "0"], "--warmup must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--methods", "okt*", "ring"], "no method matches 'ring'; methods: dense/mpi"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "allreduce", *words]) == 2
    output, errors = capsys.readouterr()
    assert message in errors
    assert not output


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "allreduce", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [method.name for method in METHODS]
    assert main(["bench", "allreduce", "--list", "--no-peers"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [m.name for m in METHODS if not m.peer]


# What a sum may look like, and what not.


def ranks_values(dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Return (SIZE, n) values in a format, as float64."""
    values = np.random.default_rng(3).laplace(size=(SIZE, 20_000)).astype(dtype)
    return values.astype(np.float64)


def wrong(total: np.ndarray[Any, Any], values: np.ndarray[Any, Any], rounding: Rounding) -> int:
    magnitude = np.abs(values).sum(0)
    return outside(total.astype(np.float64), values.sum(0), magnitude, SIZE, rounding)


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float32, FLOAT32), (np.float16, FLOAT16)])
def test_sums_in_any_order_are_right(dtype: Any, rounding: Rounding) -> None:
    values = ranks_values()
    rounded = values.astype(dtype)
    forwards = ((rounded[0] + rounded[1]) + rounded[2]) + rounded[3]
    pairs = (rounded[0] + rounded[1]) + (rounded[2] + rounded[3])
    assert forwards.dtype == dtype
    assert wrong(forwards, values, rounding) == 0
    assert wrong(pairs, values, rounding) == 0
    assert np.any(forwards != pairs)


def test_tiny_values_in_float16_are_right() -> None:
    values = 1e-6 * ranks_values()
    rounded = (values / SIZE).astype(np.float16)
    total = (rounded[0] + rounded[1] + rounded[2] + rounded[3]).astype(np.float64) * SIZE
    assert wrong(total, values, FLOAT16) == 0


def test_coarser_formats_than_claimed_are_noticed() -> None:
    values = ranks_values()
    half = values.astype(np.float16).sum(0, dtype=np.float64)
    assert wrong(half, values, FLOAT32) > 10_000
    assert wrong(half, values, BFLOAT16) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda total, values: total - values[2],  # one rank is missing
        lambda total, values: total / SIZE,  # divided once too often
        lambda total, values: np.where(np.arange(len(total)) == 7, np.nan, total),
        lambda total, values: np.roll(total, 1),
    ],
    ids=["lost", "divided", "nan", "shifted"],
)
@pytest.mark.parametrize("rounding", [FLOAT32, FLOAT16, BFLOAT16])
def test_wrong_sums_are_noticed(change: Any, rounding: Rounding) -> None:
    values = ranks_values()
    expected = 1 if np.isnan(change(values.sum(0), values)).any() else 15_000
    assert wrong(change(values.sum(0), values), values, rounding) >= expected


# Inputs.


def test_gradients_change_and_resemble_each_other() -> None:
    ring = GradientRing(100_000, 0, 5)
    first = ring[0][:10_000]
    for step in range(1, COUNT):
        assert 0.85 < np.corrcoef(first, ring[step][:10_000])[0, 1] < 0.95
    assert ring[COUNT] is ring[0]
    scale = np.abs(first).mean() / np.abs(ring[0][-10_000:]).mean()
    assert 25 < scale < 35


def test_gradients_are_those_of_the_rank_and_the_seed() -> None:
    ring = GradientRing(20_000, 1, 5)
    assert np.array_equal(ring[1], GradientRing(20_000, 1, 5)[1])
    for other in (GradientRing(20_000, 2, 5), GradientRing(20_000, 1, 6)):
        assert abs(np.corrcoef(ring[1][:2000], other[1][:2000])[0, 1]) < 0.1


# Places.


def test_link_bytes_leave_the_loopback_out(tmp_path: Path) -> None:
    counted = tmp_path / "dev"
    counted.write_text(
        "Inter-|   Receive                         |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs\n"
        "    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n"
        "  eth0: 11 2 0 0 0 0 0 0 500 4 0 0 0 0 0 0\n"
        "wlan0:7000000000 2 0 0 0 0 0 0 8000000000 4 0 0 0 0 0 0\n"
    )
    assert link_bytes_sent(counted) == 8_000_000_500
    assert link_bytes_sent(tmp_path / "missing") is None


def test_tuned_only_if_every_rank_is() -> None:
    tuned = {f"OMPI_MCA_{name}": value for name, value in TUNED.items()}
    here = Place("a", "m", "m 1", tuned)
    assert untuned([here, here]) == []
    other = Place("b", "m", "m 2", {**tuned, "OMPI_MCA_coll_tuned_allreduce_algorithm": "3"})
    assert untuned([here, other]) == ["coll_tuned_allreduce_algorithm"]
    assert untuned([here, Place("b", "m", "m 2", {})]) == list(TUNED)


def test_own_place_has_the_variables_of_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    monkeypatch.setenv("OMPI_OTHER", "1")
    variables = own_place().variables
    assert variables["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert "OMPI_OTHER" not in variables


def test_a_clock_is_shared_on_one_known_machine() -> None:
    one, two, unknown = Place("a", "m", ""), Place("b", "n", ""), Place("a", "", "")
    assert share_a_clock([one, one])
    assert not share_a_clock([one, two])
    assert not share_a_clock([unknown, unknown])


# Results.


def notes(begin: float, seconds: list[float], **more: Any) -> Notes:
    begins = [begin + 10 * number for number in range(len(seconds))]
    ends = [at + each for at, each in zip(begins, seconds, strict=True)]
    return Notes(begins, ends, **more)


def two_ranks(one_clock: bool = True, networks: tuple[str, str] = ("x", "y")) -> Result:
    phases = [{"split": Phase(0.5, 100)}, {"split": Phase(1.5, 300)}, {"split": Phase(2.5, 200)}]
    first = notes(0.0, [1.0, 2.0, 3.0], phases=phases, sent=[40] * 3, links=[60] * 3)
    second = notes(0.5, [1.0, 4.0, 1.0], phases=phases, sent=[80] * 3, links=[20] * 3)
    for each in (first, second):
        each.entries = [10] * 3
    return combined("oktopk/topk", 0.01, False, [first, second], networks, one_clock, 0)


def test_time_is_from_the_first_start_to_the_last_end() -> None:
    result = two_ranks()
    assert result.seconds == [1.5, 4.5, 3.0]
    assert result.median_seconds == 3.0
    assert result.slowest_seconds == 3.0
    assert result.own_spread() == (1.0, 1.5, 2.0)


def test_without_a_common_clock_it_is_the_slowest_ranks_own() -> None:
    assert two_ranks(one_clock=False).seconds == [1.0, 4.0, 3.0]


def test_bytes_are_those_of_a_rank_and_a_step() -> None:
    result = two_ranks()
    assert result.bytes_sent == 60
    assert result.bytes_per_entry == 6
    assert result.link_bytes == 40
    assert result.phase_bytes == {"split": 200}
    assert result.phase_spread("split") == (1.5, 1.5, 1.5)


def test_shared_interfaces_count_once() -> None:
    assert two_ranks(networks=("x", "x")).link_bytes == 10


def test_what_nobody_counts_is_unknown() -> None:
    result = combined("dense/mpi", None, False, [notes(0, [1.0])] * 2, ["x", "y"], True, 0)
    assert (result.bytes_sent, result.link_bytes, result.entries) == (None, None, None)
    assert result.bytes_per_entry is None
    assert table.lines([result])[1].split() == [
        *["dense/mpi", "-", "1000.000", "1000.000", "1000.000", "1000.000", "1.000"],
        *["-", "-", "-", "0"],
    ]


def report(*results: Result) -> Report:
    machine = {"processor": "Processor 9", "cores": 4, "cores_usable": 2}
    mpi = {
        "library": "Open MPI v5",
        "ranks": 2,
        "one_clock": True,
        "untuned": list(TUNED),
        "places": [{"host": "a"}, {"host": "b"}],
    }
    environment = {"machine": machine, "versions": {"gradwire": "1.2.3"}, "mpi": mpi}
    settings = {"numel": 1000, "repetitions": 3, "allocator": "warm"}
    return Report(settings, environment, list(results), [[0.1]], [])


def test_table_has_ratios_to_its_first_line() -> None:
    dense = combined("dense/mpi", None, False, [notes(0, [6.0] * 3)] * 2, ["x", "y"], True, 0)
    lines = table.lines([dense, two_ranks()])
    assert lines[2].split() == [
        *["oktopk/topk", "0.01", "3000.000", "1500.000", "4500.000", "3000.000", "0.500"],
        *["0.000", "0.000", "6.00", "0"],
    ]
    assert {len(line) for line in lines} == {len(table.HEADER)}


def test_table_of_phases_ends_with_the_total() -> None:
    lines = table.phase_lines([two_ranks()])
    assert [line.split()[2] for line in lines[1:]] == ["split", "total"]
    assert lines[2].split()[3:] == ["1000.000", "1500.000", "2000.000", "0.000"]
    assert {len(line) for line in lines} == {len(table.PHASE_HEADER)}


def test_heading_tells_how_the_baseline_was_launched() -> None:
    found = report(two_ranks())
    text = "\n".join(table.heading(found))
    assert "2 ranks on 2 hosts, Open MPI v5" in text
    assert "NOT TUNED" in text
    assert "OMPI_MCA_coll_tuned_allreduce_algorithm=4" in text
    found.environment["mpi"]["untuned"] = []
    assert "dense/mpi: ring" in "\n".join(table.heading(found))
    found.environment["mpi"]["untuned"] = None
    assert "not Open MPI" in "\n".join(table.heading(found))
    found.environment["mpi"]["ranks"] = 1
    assert "1 rank on" in "\n".join(table.heading(found))
    assert "several with mpirun" in "\n".join(table.heading(found))


def test_footer_names_what_is_wrong() -> None:
    result = two_ranks()
    assert table.footer(report(result)) == ["# OK: 1 line, none wrong"]
    broken = Result(**{**vars(result), "wrong": 3})
    assert table.footer(report(result, broken)) == ["# FAILED: wrong results of oktopk/topk"]


def test_json_is_told_from_that_of_the_kernels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.json"
    write_json("test", report(two_ranks()).to_json(), path)
    content = json.loads(path.read_text())
    assert content["benchmark"] == "allreduce"
    row = content["rows"][0]
    assert row["own_seconds"] == [[1.0, 2.0, 3.0], [1.0, 4.0, 1.0]]
    assert (row["median_seconds"], row["min_seconds"], row["max_seconds"]) == (3.0, 1.5, 4.5)
    assert main(["bench", "compare", str(path), str(path)]) == 2
    assert "'allreduce'" in capsys.readouterr().err
