"""Runs rows: every subject of a row is called, checked, timed and checked again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from gradwire.bench.choice import matching
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.place import CUDA
from gradwire.bench.report import Measurement
from gradwire.bench.row import Case, Peer, Row
from gradwire.bench.timing import measure
from gradwire.kernels import native

# NumPy runs in the calling thread, and so do kernels that were built without OpenMP.
_ONE_THREAD = 1


@dataclass(frozen=True)
class Plan:
    """What to measure: which rows, in which instruction sets, with how many threads, how often.

    On a GPU "cuda" stands for the instruction set, and there is one thread: that which launches.
    """

    rows: Sequence[Row]
    isas: Sequence[str]
    threads: Sequence[int] = (_ONE_THREAD,)
    repetitions: int = 15
    peers: bool = True


class Runner:
    """Runs a plan on one set of inputs, where they are.

    Attributes:
        notes: what was left out and why.
        failed: rows whose kernels could not be run on a GPU; others were run all the same.
    """

    def __init__(self, plan: Plan, inputs: Inputs) -> None:
        self.plan = plan
        self.inputs = inputs
        self.notes: list[str] = []
        self.failed: list[str] = []
        self._on_gpu = inputs.place.name == CUDA

    def run(self, progress: Callable[[str], None]) -> Iterator[list[Measurement]]:
        """Yield the measurements of one row after the other."""
        for threads in self.plan.threads:
            if threads != _ONE_THREAD and not native.has_threads():
                self._note(
                    f"{threads} threads: torch's peers only; NumPy and the kernels of this build "
                    "run in one"
                )
        if self.plan.peers and _ONE_THREAD not in self.plan.threads:
            self._note("NumPy runs in one thread: its peers are left out")
        for number, row in enumerate(self.plan.rows, 1):
            progress(f"[{number}/{len(self.plan.rows)}] {row.name}")
            measured = list(self._tolerated(row) if self._on_gpu else self._row(row))
            if measured:
                yield measured

    def _tolerated(self, row: Row) -> Iterator[Measurement]:
        """Yield a row's measurements; a GPU's error must not cost what else a lent hour shows."""
        try:
            yield from self._row(row)
        except Exception as error:
            self.failed.append(row.name)
            self._note(f"{row.name} FAILED: {type(error).__name__}: {str(error).splitlines()[0]}")

    def _row(self, row: Row) -> Iterator[Measurement]:
        nbytes = row.nbytes(self.inputs)
        yield from self._own(row, nbytes)
        for peer in row.peers if self.plan.peers else ():
            yield from self._peer(peer, row, nbytes)

    def _own(self, row: Row, nbytes: float) -> Iterator[Measurement]:
        """Yield gradwire's measurements; its arrays are gone when those of peers are made."""
        counts = [t for t in self.plan.threads if t == _ONE_THREAD or native.has_threads()]
        if not counts:
            return
        try:
            case = row.prepare(self.inputs)
        except ImportError:
            self._note(f"torch is not installed: {row.name} is left out")
            return
        for threads in counts:
            for isa in self.plan.isas:
                with ExitStack() as settings:
                    if not self._on_gpu:
                        settings.enter_context(_isa(isa))
                        settings.enter_context(_kernel_threads(threads))
                    yield self._measure(case, row.name, None, isa, threads, nbytes)

    def _peer(self, peer: Peer, row: Row, nbytes: float) -> Iterator[Measurement]:
        if self._on_gpu and not peer.runs_on_gpu:
            return
        counts = [t for t in self.plan.threads if t == _ONE_THREAD or peer.library == "torch"]
        try:
            if counts:
                with self.inputs.place.factories():
                    case = peer.prepare(self.inputs)
            for threads in counts:
                with torch_threads(threads):
                    yield self._measure(case, row.name, peer.name, None, threads, nbytes)
        except ImportError:
            self._note(f"{peer.library} is not installed: its peers are left out")
        except Exception as error:  # a peer that cannot run must not end the benchmark
            self._note(f"{row.name}: {peer.name} failed: {str(error).splitlines()[0]}")

    def _measure(
        self, case: Case, row: str, peer: str | None, isa: str | None, threads: int, nbytes: float
    ) -> Measurement:
        place = self.inputs.place
        case.reset()
        result = place.fetch(case.call())
        before = case.wrong(result) if case.wrong else None
        samples, result = measure(case, self.inputs.copy, self.plan.repetitions, place)
        # Again, on what the last call left: a call must not depend on the ones before it.
        after = case.wrong(place.fetch(result)) if case.wrong else None
        wrong = None if before is None or after is None else max(before, after)
        return Measurement(
            row, peer, isa, threads, self.inputs.numel, nbytes, wrong, *map(list, samples)
        )

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def matching_rows(rows: Sequence[Row], patterns: Sequence[str] | None) -> list[Row]:
    """Return the rows whose names match one of the patterns; all if there are none.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    return matching("bench kernels", "row", rows, patterns)


@contextmanager
def _isa(name: str) -> Iterator[None]:
    before = native.current_isa()
    native.use_isa(name)
    try:
        yield
    finally:
        native.use_isa(before)


@contextmanager
def _kernel_threads(count: int) -> Iterator[None]:
    before = native.current_threads()
    native.use_threads(count)
    try:
        yield
    finally:
        native.use_threads(before)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads, if it is there."""
    try:
        torch = import_torch()
    except ImportError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def say_on_stderr(text: str) -> None:
    """Show progress apart from the results."""
    print(text, file=sys.stderr, flush=True)
