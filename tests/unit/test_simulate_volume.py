"""Volumes that do not grow with the ranks, and what lets so many ranks fit into memory."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gradwire.__main__ import main
from gradwire.communicators import SimulatedCommunicator, Simulation
from gradwire.errors import ConfigError
from gradwire.payload import Payload
from gradwire.schedules import get_schedule
from gradwire.simulation.passing import PassingCommunicator, Tray
from gradwire.simulation.payloads import agreement_of, payload_of
from gradwire.simulation.runs import memory_needed, simulate
from gradwire.simulation.selections import Source, make_source
from gradwire.simulation.volume import load_volumes, per_entry, volume_lines


def bytes_per_entry(name: str, values: str, numel: int, ranks: int) -> float:
    source = make_source("layered", numel, 0.01, ranks, 0)
    run = simulate(name, source, ranks, values=values)
    return per_entry(float(run.total.bytes_sent.mean()), source.k, ranks)


@pytest.mark.parametrize("values", ["float32", "bf16"])
def test_volume_of_oktopk_is_flat(values: str) -> None:
    """A thousand entries for each owner at the most ranks: within a tenth from 4 to 64."""
    found = [bytes_per_entry("oktopk", values, 6_400_000, ranks) for ranks in (4, 16, 64)]
    assert max(found) < 1.1 * min(found)


def test_volume_that_grows_is_told_from_a_flat_one() -> None:
    few = [bytes_per_entry("oktopk", "float32", 64_000, ranks) for ranks in (4, 64)]
    assert few[1] > 1.1 * few[0]  # ten entries for each owner: headers count
    found = [bytes_per_entry("allgather", "float32", 64_000, ranks) for ranks in (4, 64)]
    assert found[1] == pytest.approx(16 * found[0], rel=0.05)


def entries_of(payload: Payload) -> bytes:
    return payload.indices.tobytes() + payload.values.tobytes()


def test_entries_are_made_again_and_are_the_same() -> None:
    source = make_source("layered", 50_000, 0.02, 4, seed=3)
    schedule = get_schedule("oktopk")
    payloads = [payload_of(source, schedule, rank, 1) for rank in range(3)]
    first = [entries_of(payload) for payload in payloads]
    assert len(set(first)) == 3
    assert [entries_of(payload) for payload in reversed(payloads)] == first[::-1]
    for rank, payload in enumerate(payloads):
        indices, values = source.entries(rank, 1)
        assert entries_of(payload) == indices.tobytes() + values.tobytes()
        assert payload.finite()
        assert (payload.numel, payload.budget, len(payload.dense)) == (50_000, 1000, 0)


class Counted(Source):
    """Counts how often entries are made."""

    def __init__(self) -> None:
        self.numel, self.k, self.made = 100, 3, 0

    def entries(self, rank: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        self.made += 1
        return np.arange(3, dtype=np.uint32), np.full(3, rank + 1, np.float32)

    def dense(self, rank: int, step: int) -> np.ndarray:
        raise AssertionError("no dense vector is asked for")


def test_entries_are_made_once_for_each_turn_of_a_rank() -> None:
    source = Counted()
    payload = payload_of(source, get_schedule("oktopk"), 0, 0)
    assert len(payload.indices) == len(payload.values) == 3
    assert source.made == 1
    simulate("oktopk", source, 5)
    assert 5 < source.made <= 1 + 4 * 5  # agree, partition, split, delivered


@pytest.mark.parametrize("name", ["oktopk", "allgather", "topkdsa", "gtopk", "hierarchical"])
@pytest.mark.parametrize("values", ["float32", "bf16"])
def test_results_are_those_of_messages_that_are_copied(name: str, values: str) -> None:
    source = make_source("layered", 20_000, 0.02, 6, seed=3)

    def rank(beneath: SimulatedCommunicator, tray: Tray | None) -> list[bytes]:
        communicator = beneath if tray is None else PassingCommunicator(beneath, tray)
        schedule, found = get_schedule(name), []
        for step in range(2):
            payload = payload_of(source, schedule, beneath.rank, step)
            outcome = schedule.exchange(payload, agreement_of(schedule, step), communicator)
            found.append(entries_of(outcome.reduced) + outcome.delivered.tobytes())
        return found

    tray: Tray = {}
    passed = Simulation(6, shuffle=False, ranks_per_host=2).run(rank, tray)
    assert passed == Simulation(6, seed=1, ranks_per_host=2).run(rank, None)
    assert not tray


@pytest.mark.parametrize("name", ["oktopk", "allgather", "topkdsa", "gtopk", "dense"])
@pytest.mark.parametrize("values", ["float32", "bf16"])
def test_memory_is_what_is_told_before(name: str, values: str) -> None:
    """At most that much, and no small part of it; what NumPy allocates is traced, too."""
    source = make_source("layered", 500_000, 0.02, 16, seed=0)
    tracemalloc.start()
    simulate(name, source, 16, values=values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < memory_needed(get_schedule(name), source, 16) < 4 * peak


def test_messages_that_are_passed_cannot_be_changed() -> None:
    def rank(beneath: SimulatedCommunicator, tray: Tray) -> list[list[int]]:
        communicator = PassingCommunicator(beneath, tray)
        messages = [np.full(2, 10 * beneath.rank + peer, np.uint8) for peer in range(3)]
        received = communicator.exchange(messages, 2)
        for peer, message in enumerate(messages):
            if peer != beneath.rank:
                with pytest.raises(ValueError, match="read-only"):
                    message[0] = 99
        everybody = np.full(1, beneath.rank, np.uint8)
        gathered = communicator.allgatherv(everybody, 1)
        everybody[0] = 99  # a copy of it is under way
        for message in received:
            message[1] = 0  # what came is the receiver's own
        return [[int(message[0]) for message in received + gathered]]

    results = Simulation(3, shuffle=False).run(rank, {})
    for number, (found,) in enumerate(results):
        assert found[:3] == [number, 10 + number, 20 + number]
        others = [peer for peer in range(3) if peer != number]
        assert [found[3 + peer] for peer in others] == others


def results_in(path: Path, *arguments: str) -> Path:
    command = ["simulate", "--n", "20000", "--schedules", "oktopk", *arguments, "--json", str(path)]
    assert main(command) == 0
    return path


def test_results_are_put_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    files = [
        results_in(tmp_path / "a.json", "--ranks", "1", "2", "8"),
        results_in(tmp_path / "b.json", "--ranks", "4", "2", "--values", "bf16"),
    ]
    runs = json.loads(files[0].read_text())["runs"]
    capsys.readouterr()
    picture = tmp_path / "v.svg"
    names = [str(file) for file in files]
    assert main(["simulate", "--from", *names, "--phases", "--plot", str(picture)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split()[-4:] == ["P=2", "P=4", "P=8", "spread"]
    rows = [line.split() for line in shown if line.startswith("oktopk")]
    assert [row[:3] for row in rows] == [["oktopk", "bf16", "200"], ["oktopk", "float32", "200"]]
    by_hand = {run["ranks"]: run["bytes_sent_mean"] / 200 for run in runs}
    assert rows[1][3:6] == [f"{2 * by_hand[2]:.3f}", "-", f"{8 / 7 * by_hand[8]:.3f}"]
    few, many = 2 * by_hand[2], 8 / 7 * by_hand[8]
    assert rows[1][6] == f"{100 * (max(few, many) / min(few, many) - 1):.1f}"
    assert sum(line.startswith("  gather ") for line in shown) == 2
    drawn = picture.read_text()
    for label in ("values in bf16", "oktopk, k = 200", "Ok-Topk, published: at most"):
        assert f"<!-- {label} -->" in drawn


def test_phases_add_up_to_the_whole(tmp_path: Path) -> None:
    path = results_in(tmp_path / "a.json", "--ranks", "4")
    (found,) = load_volumes([path])
    run = json.loads(path.read_text())["runs"][0]
    assert found.total == {4: pytest.approx(per_entry(run["bytes_sent_mean"], 200, 4))}
    assert found.spread == 0.0
    assert len(volume_lines([found], phases=True)) == 3 + len(run["phases"])


def test_files_that_hold_no_volumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = results_in(tmp_path / "a.json", "--ranks", "2")
    one = results_in(tmp_path / "one.json", "--ranks", "1")
    (tmp_path / "no.json").write_text("nothing")
    (tmp_path / "list.json").write_text("[]")
    for files, words in (
        ([twice, twice], "again: name each simulation once"),
        ([one], "no run on 2 ranks or more"),
        ([tmp_path / "no.json"], "cannot read results"),
        ([tmp_path / "list.json"], "was not written by simulate --json"),
        ([tmp_path / "absent.json"], "cannot read results"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_volumes(files)
    assert main(["simulate", "--from", str(twice), "--json", str(tmp_path / "x.json")]) == 2
    assert "leave --check and --json out" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()
