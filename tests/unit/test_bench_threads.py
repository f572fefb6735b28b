"""``bench kernels`` with several threads: what runs in how many, and what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from gradwire import kernels
from gradwire.__main__ import main
from gradwire.bench import table
from gradwire.kernels import native


def run_short(*arguments: str) -> int:
    return main(["bench", "kernels", "--n", "20000", "--repetitions", "2", *arguments])


class Threads:
    """Stands in for the native module's threads; remembers what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, built: bool) -> None:
        self.count = 1
        self.asked: list[int] = []
        monkeypatch.setattr(native, "has_threads", lambda: built)
        monkeypatch.setattr(native, "current_threads", lambda: self.count)
        monkeypatch.setattr(native, "use_threads", self.use)

    def use(self, count: int) -> None:
        self.count = count
        self.asked.append(count)


def subjects(output: str) -> list[tuple[str, str]]:
    """Return each line's first word and its number of threads."""
    lines = [line for line in output.splitlines() if line[0] != "#"]
    return [(line.split()[0], line[table.NAME_WIDTH :].split()[1]) for line in lines]


def test_threads_of_kernels_and_torch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    threads, before = Threads(monkeypatch, built=True), torch.get_num_threads()
    topk, counts = kernels.topk, []

    def recording(*arguments: Any) -> Any:
        counts.append(threads.count)
        return topk(*arguments)

    monkeypatch.setattr(kernels, "topk", recording)
    assert run_short("--rows", "topk", "--threads", "1", "2") == 0
    assert counts == [1, 1, 1, 2, 2, 2]  # checked once, timed twice
    assert threads.asked == [1, 1, 2, 1]  # and back each time
    assert torch.get_num_threads() == before
    output = capsys.readouterr().out
    assert subjects(output) == [
        ("topk", "1"),
        ("topk", "2"),
        ("torch.topk(|x|,", "1"),
        ("torch.topk(|x|,", "2"),
        ("np.argpartition(|x|)", "1"),
        ("np.partition(|x|),", "1"),
    ]
    assert "2 threads" not in output


def test_kernels_built_without_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    threads = Threads(monkeypatch, built=False)
    assert run_short("--rows", "kth*", "--threads", "1", "2") == 0
    output = capsys.readouterr().out
    assert subjects(output) == [
        ("kth_magnitude", "1"),
        ("torch.kthvalue(|x|)", "1"),
        ("torch.kthvalue(|x|)", "2"),
        ("np.partition(|x|)", "1"),
    ]
    assert "# 2 threads: torch's peers only; NumPy and the kernels of this build" in output
    assert set(threads.asked) == {1}


def test_nothing_to_measure_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Threads(monkeypatch, built=False)
    assert run_short("--rows", "select", "--no-peers", "--threads", "2") == 2
    errors = capsys.readouterr().err
    assert "nothing was measured: 2 threads: torch's peers only" in errors


def test_left_out_peers_are_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Threads(monkeypatch, built=True)
    assert run_short("--rows", "kth*", "--threads", "2", "2") == 0
    output = capsys.readouterr().out
    assert "# NumPy runs in one thread: its peers are left out" in output
    assert [name for name, _ in subjects(output)].count("kth_magnitude") == 1


def test_the_number_of_threads_in_use_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Threads(monkeypatch, built=True).count = 3
    assert run_short("--rows", "absmax", "--no-peers") == 0
    assert subjects(capsys.readouterr().out) == [("absmax", "3")]
