"""What communicators share: optional transports, deadlines, waiting, refusals."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gradwire.communicators import (
    Communicator,
    HorovodCommunicator,
    MpiCommunicator,
    Simulation,
)
from gradwire.communicators.messages import as_bytes
from gradwire.communicators.polling import LONGEST_SLEEP, Patience, resolve_deadline
from gradwire.errors import ConfigError, MissingDependencyError, PeerError, WireError


def test_importing_loads_no_transport() -> None:
    program = (
        "import sys, gradwire.communicators;"
        "print([m for m in ('mpi4py', 'horovod', 'torch', 'greenlet') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("mpi4py", lambda: MpiCommunicator(None)),  # type: ignore[arg-type]
        ("mpi4py", lambda: MpiCommunicator.from_group([0])),
        ("horovod.torch", HorovodCommunicator),
        ("greenlet", lambda: Simulation(2).run(lambda communicator: None)),
    ],
)
def test_missing_transport_names_its_remedy(
    module: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        use()


def test_deadline_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADWIRE_DEADLINE", raising=False)
    assert resolve_deadline(None) == 300.0
    monkeypatch.setenv("GRADWIRE_DEADLINE", "12.5")
    assert resolve_deadline(None) == 12.5
    assert resolve_deadline(3.0) == 3.0


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", ""])
def test_bad_deadline_variable(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADWIRE_DEADLINE", text)
    with pytest.raises(ConfigError, match="GRADWIRE_DEADLINE: expected seconds"):
        resolve_deadline(None)


def test_patience_spins_then_sleeps_longer_then_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds
        sleeps.append(seconds)

    monkeypatch.setattr(time, "monotonic", lambda: clock)
    monkeypatch.setattr(time, "sleep", sleep)
    patience = Patience(deadline=1.0, spin=1e-4)
    patience.pause()
    assert sleeps == []
    clock = 2e-4
    while not patience.exhausted:
        patience.pause()
    assert 1.0 < clock < 1.0 + 2 * LONGEST_SLEEP
    assert sleeps == sorted(sleeps)
    assert sleeps[0] < sleeps[-1] == LONGEST_SLEEP
    patience.progress()
    assert not patience.exhausted


def test_patience_forgives_time_in_which_the_process_was_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job that is suspended as a whole goes on; polling at whatever pace, a rank gives up."""
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    patience = Patience(deadline=10.0)
    clock += 3600.0
    assert not patience.exhausted
    polls = 0
    while not patience.exhausted:
        clock += 60.0
        polls += 1
    assert polls == 10
    patience.progress()
    clock += 3600.0
    assert not patience.exhausted


def test_as_bytes_is_a_view() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    view = as_bytes(array, "test")
    assert view.shape == (6,)
    assert np.shares_memory(view, array)
    assert as_bytes(memoryview(b"ab"), "test").tobytes() == b"ab"
    assert as_bytes(memoryview(np.array([1], "<u2")), "test").tobytes() == b"\x01\x00"


@pytest.mark.parametrize(
    "bad", ["text", None, np.zeros(2, np.int8), np.zeros(4, np.uint8)[::2], memoryview(b"abc")[::2]]
)
def test_as_bytes_refuses(bad: object) -> None:
    with pytest.raises(ConfigError, match="test: expected"):
        as_bytes(bad, "test")  # type: ignore[arg-type]


def test_waits_are_used_and_work_is_finished() -> None:
    """What no wait had time for is done at the end, but not after an error."""

    def rank(communicator: Communicator) -> list[int]:
        done: list[int] = []

        def work() -> Iterator[None]:
            for number in range(5):
                done.append(number)
                yield

        with communicator.while_waiting(work()):
            assert communicator._use_wait()
            communicator.barrier()
        assert done == list(range(5)) and not communicator._use_wait()
        with pytest.raises(ValueError, match="broken"), communicator.while_waiting(work()):
            raise ValueError("broken")
        assert len(done) == 5
        return done

    Simulation(2).run(rank)


def test_unexpected_message_is_refused() -> None:
    """Where all ranks take part in moving named messages, one that nobody waits for is noticed."""

    def rank(communicator: Communicator) -> str:
        messages = {1: b"hello"} if communicator.rank == 0 else {}
        sources = [2] if communicator.rank == 1 else []
        if communicator.rank == 2:
            messages = {1: b"good day"}
        try:
            communicator.exchange_with(messages, sources, 8)
            communicator.barrier()
        except (PeerError, WireError) as error:
            return str(error)
        return ""

    texts = Simulation(3).run(rank)
    assert all("rank 0 sent 5 B to rank 1" in text for text in texts)
    assert all("expects messages from ranks [2] only" in text for text in texts)
