"""``python -m gradwire simulate``: entries, counts, table, JSON, picture, and the check."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradwire import kernels
from gradwire.__main__ import main
from gradwire.communicators import Communicator, Simulation
from gradwire.cost import Link
from gradwire.errors import ConfigError
from gradwire.schedules import get_schedule
from gradwire.simulation.check import check_lines, check_schedules
from gradwire.simulation.payloads import agreement_of, payload_of
from gradwire.simulation.runs import Run, memory_needed, simulate
from gradwire.simulation.selections import (
    GENERATED,
    Source,
    make_source,
)
from gradwire.simulation.units import bits_per_second, seconds
from gradwire.wire import HEADER_BYTES, encode_payload


def source_of(gradients: str, numel: int = 50_000, density: float = 0.02) -> Source:
    return make_source(gradients, numel, density, 4, seed=3)


@pytest.mark.parametrize("gradients", GENERATED)
@pytest.mark.parametrize(
    ("numel", "density"), [(1, 1.0), (7, 0.01), (50_000, 0.02), (1000, 0.9), (1000, 1.0)]
)
def test_entries_are_k_increasing_places(gradients: str, numel: int, density: float) -> None:
    source = source_of(gradients, numel, density)
    for rank in range(3):
        indices, values = source.entries(rank, step=1)
        assert len(indices) == len(values) == source.k == max(1, round(numel * density))
        assert (np.diff(indices.astype(np.int64)) > 0).all()
        assert indices.max() < numel
        assert indices.dtype == np.uint32
        assert values.dtype == np.float32
        assert values.all()


@pytest.mark.parametrize("gradients", GENERATED)
def test_ranks_and_steps_differ_and_can_be_repeated(gradients: str) -> None:
    first, again = source_of(gradients), source_of(gradients)
    for array, other in zip(first.entries(1, 2), again.entries(1, 2), strict=True):
        assert array.tobytes() == other.tobytes()
    mine, others = first.entries(0, 0)[0], first.entries(1, 0)[0]
    common = len(np.intersect1d(mine, others)) / first.k
    assert 0.5 <= common < 0.95  # half by intention, more where entries are crowded
    assert len(np.intersect1d(mine, first.entries(0, 1)[0])) < 0.95 * first.k


def test_hot_spot_is_side_by_side_and_layers_are_not() -> None:
    def within_a_twentieth(gradients: str) -> float:
        source = source_of(gradients)
        indices = source.entries(0, 0)[0].astype(np.int64)
        counts = np.searchsorted(indices, indices + source.numel // 20) - np.arange(source.k)
        return float(counts.max()) / source.k

    assert within_a_twentieth("hot_spot") > 0.88
    assert within_a_twentieth("layered") < 0.7


def test_layers_are_those_of_exact_selection() -> None:
    """Shares of the layers, and the smallest magnitude, as if a whole gradient were drawn."""
    source = make_source("layered", 200_000, 0.05, 1, seed=1)
    indices, values = source.entries(0, 0)
    generator = np.random.default_rng(5)
    gradient = np.zeros(source.numel, np.float32)
    for stretch in source._stretches:  # type: ignore[attr-defined]
        drawn = generator.laplace(size=stretch.length) * stretch.scale
        gradient[stretch.begin : stretch.begin + stretch.length] = drawn
    selected = kernels.topk(gradient, source.k)
    assert np.abs(values).min() == pytest.approx(selected.threshold, rel=0.05)
    assert np.median(np.abs(values)) == pytest.approx(np.median(np.abs(selected.values)), rel=0.05)
    edges = np.linspace(0, source.numel, 11)
    shares = np.histogram(indices, edges)[0] / source.k
    assert shares == pytest.approx(np.histogram(selected.indices, edges)[0] / source.k, abs=0.03)


def test_recorded_gradients_are_selected_from(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((3, 1000)).astype(np.float32)
    np.save(tmp_path / "g.npy", rows)
    source = make_source(str(tmp_path / "g.npy"), 77, 0.01, ranks=2, seed=0)
    assert (source.numel, source.k) == (1000, 10)  # the file's, not those of the options
    for rank, step, row in ((0, 0, 0), (1, 0, 1), (0, 1, 2), (1, 1, 0)):
        indices, values = source.entries(rank, step)
        expected = np.sort(np.argsort(-np.abs(rows[row]))[:10])
        assert indices.tolist() == expected.tolist()
        assert values.tolist() == rows[row][expected].tolist()


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"no array",
        np.zeros(5, np.float32),
        np.zeros((2, 5)),
        np.zeros((0, 5), np.float32),
        np.zeros((2, 5), np.float32, order="F"),
    ],
)
def test_files_that_hold_no_gradients(tmp_path: Path, content: bytes | np.ndarray | None) -> None:
    path = tmp_path / "g.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(ConfigError, match=r"g\.npy"):
        make_source(str(path), 10, 0.1, 2, 0)


def test_dense_bytes_are_known_exactly() -> None:
    run = simulate("dense", source_of("layered", 8_000), 8)
    for name in ("split", "gather"):
        traffic = run.phases[name]
        assert (traffic.bytes_sent == 7 * (HEADER_BYTES + 4 * 1000)).all()
        assert (traffic.bytes_received == traffic.bytes_sent).all()
        assert (traffic.messages == 7).all()
        assert traffic.imbalance == 1.0
    assert run.rounds == 3
    assert run.k == 8_000
    assert run.bound_bytes == 4 * 2 * 8_000 * 7 / 8
    time = run.phases["split"].seconds(Link(1e-3, 1e-6))
    assert time == pytest.approx(7e-3 + 7e-6 * (HEADER_BYTES + 4000))


def test_allgather_bytes_are_those_of_the_payloads() -> None:
    source = source_of("layered")
    run = simulate("allgather", source, 5, steps=2)
    schedule = get_schedule("allgather")
    for step in range(2):
        sizes = [len(encode_payload(payload_of(source, schedule, r, step))) for r in range(5)]
        gathered = run.phases["gather"]
        assert gathered.bytes_sent[step].tolist() == [4 * size for size in sizes]
        assert gathered.bytes_received[step].tolist() == [sum(sizes) - size for size in sizes]
    assert run.rounds == 2


@pytest.mark.parametrize("name", ["oktopk", "allgather", "dense"])
def test_counts_are_those_of_the_very_schedule(name: str) -> None:
    """Against an exchange whose messages are reordered, told by the communicator's counters."""
    source = source_of("layered", 20_000)

    def rank(communicator: Communicator) -> tuple[int, int, int]:
        schedule = get_schedule(name)
        for step in range(2):
            payload = payload_of(source, schedule, communicator.rank, step)
            schedule.exchange(payload, agreement_of(schedule, step), communicator)
        counters = communicator.counters
        return counters.bytes_sent, counters.bytes_received, counters.messages_sent

    total = simulate(name, source, 6, steps=2).total
    for rank_number, counted in enumerate(Simulation(6, seed=9).run(rank)):
        columns = (total.bytes_sent, total.bytes_received, total.messages)
        assert counted == tuple(int(column[:, rank_number].sum()) for column in columns)


def test_one_rank_sends_nothing() -> None:
    for name in ("oktopk", "allgather", "dense"):
        run = simulate(name, source_of("layered"), 1)
        assert run.total.bytes_sent.max() == run.total.messages.max() == 0
        assert run.seconds(Link(1.0, 1.0)) == 0.0


def test_volume_of_oktopk_stays_below_its_bound() -> None:
    def run(name: str, ranks: int) -> Run:
        return simulate(name, make_source("layered", 400_000, 0.02, ranks, 0), ranks)

    for ranks in (2, 4, 8, 16):
        assert run("oktopk", ranks).total.bytes_sent.max() < run("oktopk", ranks).bound_bytes
    grown = run("oktopk", 16).total.bytes_sent.mean() / run("oktopk", 4).total.bytes_sent.mean()
    assert grown < 1.5
    grown = (
        run("allgather", 16).total.bytes_sent.mean() / run("allgather", 4).total.bytes_sent.mean()
    )
    assert grown == pytest.approx(5, rel=0.05)


def test_hot_spots_are_spread_over_the_owners() -> None:
    source = source_of("hot_spot")
    run = simulate("oktopk", source, 8)
    assert run.winners == source.k
    assert run.load_imbalance < 1.3
    assert run.phases["split"].imbalance < 1.3


def test_time_is_that_of_the_slowest_rank_in_each_phase() -> None:
    run = simulate("oktopk", source_of("layered"), 4, steps=2)
    by_hand = 0.0
    for traffic in run.phases.values():
        for step in range(2):
            busiest = np.maximum(traffic.bytes_sent[step], traffic.bytes_received[step])
            by_hand += max(1e-4 * traffic.messages[step] + 1e-7 * busiest) / 2
    assert run.seconds(Link(1e-4, 1e-7)) == pytest.approx(by_hand)


def test_gradients_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    rows = np.ones((2, 100), np.float32)
    rows[1, 5] = np.inf
    np.save(tmp_path / "g.npy", rows)
    with pytest.raises(ConfigError, match="hold Inf or NaN"):
        simulate("oktopk", make_source(str(tmp_path / "g.npy"), 1, 0.1, 2, 0), 2)


def test_memory_that_dense_vectors_take_is_counted() -> None:
    source = source_of("layered", 1_000_000, 0.01)
    dense, sparse = (memory_needed(get_schedule(n), source, 64) for n in ("dense", "oktopk"))
    assert dense >= 64 * 4_000_000 > sparse


def test_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.json"
    arguments = ["simulate", "--ranks", "4", "2", "--n", "20000", "--density", "0.05"]
    arguments += ["--schedules", "oktopk", "dense", "--bandwidth", "10gbit", "50mbit"]
    assert main([*arguments, "--phases", "--steps", "2", "--json", str(path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in shown if line.startswith(("oktopk", "dense"))]
    assert [row[:2] for row in rows] == [
        ["oktopk", "2"],
        ["oktopk", "4"],
        ["dense", "2"],
        ["dense", "4"],
    ]
    assert sum(line.startswith("  split ") for line in shown) == 4
    assert "10gbit ms" in shown[1]
    result = json.loads(path.read_text())
    assert result["settings"]["k"] == 1000
    assert result["links"]["50mbit"] == {"alpha": 30e-6, "beta": 8 / 50e6}
    assert result["bounds"]["oktopk_high"] == [4 * 6 * 1000 / 2, 4 * 6 * 1000 * 3 / 4]
    for row, run in zip(rows, result["runs"], strict=True):
        assert row[3] == f"{run['bytes_sent_max']:,}"
        assert row[-1] == f"{1e3 * run['modelled_seconds']['50mbit']:.3f}"
        phases = run["phases"].values()
        times = [phase["modelled_seconds"]["50mbit"] for phase in phases]
        assert run["modelled_seconds"]["50mbit"] == pytest.approx(sum(times))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ranks", "0"], "--ranks must be at least 1, got 0"),
        (["--n", "0"], "--n must be in [1, 2**32), got 0"),
        (["--density", "1.5"], "--density must be in (0, 1], got 1.5"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must be in"),
        (["--schedules", "mystery"], "unknown schedule 'mystery'"),
        (["--gradients", "flat"], "layered, hot_spot or a .npy file, got 'flat'"),
        (["--bandwidth", "fast"], "--bandwidth: expected a rate such as 100mbit"),
        (["--ranks", "200000", "--schedules", "dense"], "choose fewer --ranks"),
        (["--plot", "picture"], "must end in the format"),
        (["--plot", "p.svg", "--ranks", "1"], "--plot needs some --ranks above 1"),
        (["--check", "--plot", "p.svg"], "--check draws nothing"),
    ],
)
def test_command_refuses(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "value"), [("1gbit", 1e9), ("2.5 Gbit", 2.5e9), ("100mbit", 1e8), (".5kbit", 500.0)]
)
def test_rates_of_links(text: str, value: float) -> None:
    assert bits_per_second(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("30us", 3e-5), ("0ms", 0.0), ("1s", 1.0)])
def test_times(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1", "gbit", "-1gbit", "0gbit", "1gb", "1e3mbit", "1us"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a rate"):
        bits_per_second(text)


def test_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["simulate", "--ranks", "1", "2", "4", "--n", "5000", "--bandwidth", "3gbit"]
    for name in ("a.svg", "b.svg"):
        assert main([*arguments, "--plot", str(tmp_path / name)]) == 0
    picture = (tmp_path / "a.svg").read_text()
    assert picture == (tmp_path / "b.svg").read_text()
    # matplotlib writes the text of labels as comments
    for label in ("oktopk", "allgather, published", "lower bound", "time at 3gbit"):
        assert f"<!-- {label} -->" in picture
    assert main([*arguments, "--plot", str(tmp_path / "a.what")]) == 2
    assert "a.what" in capsys.readouterr().err


def test_picture_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; from gradwire.__main__ import main; "
        "sys.exit(main(['simulate', '--n', '100', '--plot', 'never.svg']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "matplotlib, which is not installed: pip install 'gradwire[plot]'" in done.stderr
    assert not done.stdout  # told before the work


def test_check_is_the_same_on_all_ranks() -> None:
    names = ["oktopk", "allgather", "dense"]
    results = Simulation(2).run(check_schedules, names, 5_000, 0.02, 2, 0)
    assert results[0] == results[1]
    assert [*results[0]["schedules"]] == names
    for each in results[0]["schedules"].values():
        phases = each["phases"].values()
        assert each["predicted"] > 0
        assert each["measured"] == pytest.approx(sum(phase["measured"] for phase in phases))
        assert each["predicted"] == pytest.approx(sum(phase["predicted"] for phase in phases))
        assert each["error"] == pytest.approx(each["predicted"] / each["measured"] - 1)
    lines = check_lines(results[0])
    assert sum(line.startswith("  compensate") for line in lines) == 2
    assert sum(line.startswith("  split") for line in lines) == 2


def test_check_refuses_what_it_cannot_predict() -> None:
    with pytest.raises(ConfigError, match="unknown schedule to predict 'mystery'"):
        Simulation(2).run(check_schedules, ["mystery"], 1_000, 0.1, 1, 0)
