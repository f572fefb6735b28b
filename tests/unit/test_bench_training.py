"""``bench training`` without its ranks: options, turns, models, what results say."""

from __future__ import annotations

import argparse
import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gradwire.__main__ import main
from gradwire.bench.files import write_json
from gradwire.bench.training import table
from gradwire.bench.training.command import add_training
from gradwire.bench.training.methods import BASELINE, LOCAL, METHODS
from gradwire.bench.training.plot import plot
from gradwire.bench.training.result import Notes, Point, Report, Result, combined
from gradwire.bench.training.settings import ROUND_STEPS, Settings, settings_of
from gradwire.errors import ConfigError

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
needs_plot = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


def settings(*words: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_training(parser.add_subparsers())
    return settings_of(parser.parse_args(["training", *words]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", "48"], "--width must be a multiple of 32, got 48"),
        (["--width", "0"], "--width must be at least 32, got 0"),
        (["--layers", "0"], "--layers must be at least 1, got 0"),
        (["--context", "0"], "--context must be at least 1, got 0"),
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["--parameters", "5"], "--parameters is not an option of --model char_lm"),
        (["--model", "mlp", "--width", "64"], "--width is not an option of --model mlp"),
        (["--model", "mlp", "--parameters", "nan"], "--parameters must be in [0.1, 4000] million"),
        (["--density", "1"], "--density must be in (0, 1), got 1.0"),
        (["--momentum", "1"], "--momentum must be in [0, 1), got 1.0"),
        (["--lr", "0"], "--lr must be above 0, got 0.0"),
        (["--clip", "nan"], "--clip must be above 0, got nan"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--every", "0"], "--every must be at least 1, got 0"),
        (["--untimed", "0"], "--untimed must be at least 1, got 0"),
        (["--warmup-steps", "-1"], "--warmup-steps must be at least 0, got -1"),
        (["--curve", "--steps", "515"], "--steps must be above 515, got 515"),
        (["--methods", "okt*", "ring"], "no method matches 'ring'; methods: local, dense/mpi"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", *words]) == 2
    output, errors = capsys.readouterr()
    assert message in errors
    assert not output


def test_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Works where torch and mpi4py are not installed."""
    for name in ("torch", "mpi4py"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench", "training", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [method.name for method in METHODS]
    assert main(["bench", "training"]) == 2
    assert "bench training needs torch, which is not installed" in capsys.readouterr().err


def test_what_others_are_compared_with_is_always_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert METHODS[:2] == (LOCAL, BASELINE)
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert main(["bench", "training", "--list", "--methods", "oktopk/topk", "local"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["local", "dense/mpi", "oktopk/topk"]


# What a run consists of.


def test_curves_have_the_examples_warmup_and_times_have_none() -> None:
    short = settings()
    assert (short.steps, short.warmup_steps, short.ramp_steps, short.every) == (20, 0, 0, None)
    for words in (["--curve"], ["--every", "100"], ["--plot", "f.svg"]):
        curve = settings(*words)
        assert (curve.steps, curve.warmup_steps, curve.ramp_steps) == (2000, 256, 256)
        assert curve.every == 100
    assert settings("--curve", "--warmup-steps", "0").warmup_steps == 0


def test_models_have_their_own_defaults() -> None:
    assert (settings().lr, settings().width, settings().parameters) == (2.5, 128, 0)
    mlp = settings("--model", "mlp")
    assert (mlp.width, mlp.parameters) == (0, 10.0)
    assert settings("--lr", "0.25").lr == 0.25


@pytest.mark.parametrize(
    "words",
    [
        ["--steps", "20"],
        ["--steps", "8", "--untimed", "7"],
        ["--every", "7", "--steps", "30", "--warmup-steps", "3", "--ramp-steps", "9"],
        ["--every", "100", "--steps", "4", "--warmup-steps", "0", "--ramp-steps", "0"],
    ],
)
def test_rounds_are_timed_wholly_or_not(words: list[str]) -> None:
    found = settings(*words)
    ends = found.round_ends()
    assert ends == sorted(set(ends))
    assert found.settled in ends
    assert ends[-1] == found.steps
    assert found.checked_step < found.settled
    if found.every is None:
        assert max(b - a for a, b in zip([found.settled, *ends], ends, strict=False)) <= ROUND_STEPS
        assert not any(map(found.is_evaluated, ends))
    else:
        evaluated = {*range(found.every, found.steps, found.every), found.steps}
        assert set(filter(found.is_evaluated, range(1, found.steps + 1))) == evaluated
        assert evaluated <= set(ends)


@needs_torch
@pytest.mark.parametrize("million", [0.1, 1.0, 10.0, 100.0])
def test_perceptrons_are_as_large_as_asked(million: float) -> None:
    from gradwire.bench.training.tasks import count_parameters

    found = count_parameters(settings("--model", "mlp", "--parameters", str(million)))
    assert found == pytest.approx(million * 1e6, rel=0.01)


@needs_torch
def test_the_transformer_is_the_examples() -> None:
    from gradwire.bench.training.tasks import count_parameters

    assert count_parameters(settings()) == 636_160
    assert 10e6 < count_parameters(settings("--width", "512", "--layers", "4")) < 15e6


@needs_torch
@pytest.mark.parametrize("model", ["char_lm", "mlp"])
def test_models_learn_and_leave_torchs_generator_alone(model: str) -> None:
    import torch

    from gradwire.bench.training.char_lm import load_text
    from gradwire.bench.training.replica import Replica

    small = ["--width", "32", "--layers", "1"] if model == "char_lm" else ["--parameters", "0.1"]
    found = settings("--model", model, *small, "--context", "8", "--steps", "30")
    before = torch.random.get_rng_state()
    replica = Replica(found, AloneJob(), load_text())
    first = replica.held_out_loss()
    for step in range(found.steps):
        assert math.isfinite(replica.step(step, lambda gradients, number: 0.0).loss)
    assert replica.held_out_loss() < first - 0.3
    assert torch.equal(torch.random.get_rng_state(), before)
    again = Replica(found, AloneJob(), load_text())
    assert again.held_out_loss() == first


class AloneJob:
    """A job of one rank, without MPI."""

    rank, size, seed = 0, 1, 1

    class comm:
        """What the replica wants of a communicator."""

        @staticmethod
        def Bcast(array: Any, root: int) -> None:
            del array, root

        @staticmethod
        def allgather(value: Any) -> list[Any]:
            return [value]


@needs_torch
def test_the_rate_rises_and_falls() -> None:
    from gradwire.bench.training.char_lm import learning_rate

    rates = [learning_rate(step, 100, 2.0) for step in range(100)]
    assert max(rates) == rates[4] == 2.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[99] < 0.05


# Results.


def notes(seconds: list[float], links: int | None = 600) -> Notes:
    compute = [each / 2 for each in seconds]
    return Notes(seconds, compute, [1000, 1000, 40, 60], links, 2)


def two_ranks(networks: tuple[str, str] = ("x", "y"), **changes: Any) -> Result:
    first, second = notes([9.0, 9.0, 1.0, 3.0]), notes([9.0, 9.0, 2.0, 4.0], 200)
    points = [Point(2, 3.5, 18.0, 2000.0), Point(4, 3.0, 24.0, 2100.0)]
    name = ("oktopk/topk", 0.01)
    found = combined(name, True, [first, second], 2, networks, points, (0, ""))
    return Result(**{**vars(found), **changes})


def local() -> Result:
    named: Any = {"method": "local", "density": None, "wrong": None, "bytes_sent": 0.0}
    return two_ranks(**named, seconds=[1.0, 1.0])


def dense(**changes: Any) -> Result:
    named: Any = {"method": "dense/mpi", "density": None, "counted": False}
    return two_ranks(**{**named, "seconds": [6.0, 6.0], **changes})


def test_times_are_those_of_the_slowest_rank_after_the_untimed_steps() -> None:
    result = two_ranks()
    assert result.seconds == [2.0, 4.0]
    assert (result.median_seconds, result.median_compute_seconds) == (3.0, 1.5)
    assert result.median_seconds_of_ranks == [2.0, 3.0]
    assert result.exposed_seconds(local()) == 2.0


def test_bytes_are_those_of_a_rank_and_a_timed_step() -> None:
    assert two_ranks().bytes_sent == 50
    assert two_ranks().link_bytes == 200
    assert two_ranks(networks=("x", "x")).link_bytes == 50  # counted once, for two ranks
    unknown = [notes([1.0] * 4, None)] * 2
    found = combined(("local", None), True, unknown, 2, ("x", "y"), [], (None, ""))
    assert found.link_bytes is None


def test_a_method_given_up_early_has_no_times() -> None:
    short = [Notes([1.0], [1.0], [5])] * 2
    found = combined(("dense/none", None), True, short, 2, ("x", "y"), [], (0, "it was lost"))
    assert (found.median_seconds, found.bytes_sent, found.link_bytes) == (None, None, None)
    content = found.to_json(local())
    assert content["exposed_seconds"] is None
    line = table.lines([local(), dense(), found])[3]
    assert line.split()[2:] == ["-"] * 8 + ["0"]
    assert table.footer(report(local(), dense(), found)) == [
        "# given up: dense/none: it was lost",
        "# FAILED: losses that are not finite",
    ]


def report(*results: Result) -> Report:
    machine = {"processor": "Processor 9", "cores": 4, "cores_usable": 2}
    mpi = {
        "library": "Open MPI v5",
        "ranks": 2,
        "untuned": None,
        "places": [{"host": "a"}, {"host": "b"}],
    }
    environment = {"machine": machine, "versions": {"gradwire": "1.2.3"}, "mpi": mpi}
    found = settings("--curve")
    facts = {"numel": 636_160, "settled": found.settled, "allocator": "warm"}
    return Report(found.to_json() | facts, environment, list(results), [])


def test_table_has_ratios_to_its_first_two_lines() -> None:
    lines = table.lines([local(), dense(), two_ranks()])
    assert lines[1].split()[:2] == ["local", "-"]
    assert lines[1].split()[-1] == "-"
    assert lines[3].split() == [
        *["oktopk/topk", "0.01", "3000.000", "2000.000", "4000.000", "1500.000", "2000.000"],
        *["0.500", "0.000", "0.000", "0"],
    ]
    assert {len(line) for line in lines} == {len(table.HEADER)}


def test_table_of_curves_ends_with_what_they_took() -> None:
    header, *lines = table.curve_lines([dense(), two_ranks()])
    assert "step 2" in header
    assert "step 4" in header
    assert lines[1].split() == ["oktopk/topk", "0.01", "3.5000", "3.0000", "24.00", "0.00"]
    assert {len(line) for line in lines} == {len(header)}
    assert table.curve_lines([dense(points=[])]) == []


def test_table_of_curves_shows_a_few_steps_and_the_last() -> None:
    points = [Point(step, 3.0, 1.0, 1.0) for step in range(100, 2100, 100)]
    header = table.curve_lines([dense(points=points)])[0]
    shown = [int(word) for word in header.replace("step", "").split() if word.isdigit()]
    assert shown == [500, 1000, 1500, 2000]


def test_heading_tells_what_is_trained() -> None:
    text = "\n".join(table.heading(report(local())))
    assert "2 ranks on 2 hosts, Open MPI v5" in text
    assert "char_lm: 3 layers of 128, 636,160 parameters, context 64" in text
    assert "2000 steps: the first 515 untimed; density warm-up 256, ramp 256" in text


def test_footer_names_what_is_wrong() -> None:
    assert table.footer(report(local(), dense())) == ["# OK: 2 lines, none wrong"]
    broken = two_ranks(wrong=3)
    assert table.footer(report(local(), broken)) == ["# FAILED: wrong results of oktopk/topk"]
    assert table.uncounted_note([local(), two_ranks()]) == []
    assert table.uncounted_note([local(), dense()])[0].startswith("MB sent of dense/mpi: ")


def test_json_holds_what_the_table_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.json"
    write_json("test", report(local(), dense(), two_ranks()).to_json(), path)
    content = json.loads(path.read_text())
    assert (content["format"], content["benchmark"]) == (1, "training")
    row = content["rows"][2]
    assert (row["median_seconds"], row["min_seconds"], row["max_seconds"]) == (3.0, 2.0, 4.0)
    assert row["exposed_seconds"] == 2.0
    assert row["points"][1] == {"step": 4, "loss": 3.0, "seconds": 24.0, "bytes_sent": 2100.0}
    assert main(["bench", "compare", str(path), str(path)]) == 2
    assert "'training'" in capsys.readouterr().err


@needs_plot
def test_plot_has_a_line_for_each_curve(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    silent = Result(**{**vars(local()), "points": [Point(2, 3.0, 1.0, 0.0)]})
    drawn = report(silent, dense(), two_ranks(), two_ranks(method="gone", points=[]))
    for path in (first, second):
        plot(drawn, path)
    text = first.read_text()
    assert first.read_bytes() == second.read_bytes()
    for words in ("local", "dense/mpi", "oktopk/topk at 0.01", "MB sent by a rank", "held-out"):
        assert words in text
    assert "gone" not in text
    with pytest.raises(ConfigError, match="bench training --plot: "):
        plot(drawn, tmp_path / "f.nothing")
