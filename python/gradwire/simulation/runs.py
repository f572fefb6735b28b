"""One schedule on P virtual ranks: what every rank sent and received in every phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire.communicators import SimulatedCommunicator, Simulation
from gradwire.cost import Link, bound_of, published_words, slowest
from gradwire.cost.bounds import WORD_BYTES
from gradwire.errors import ConfigError
from gradwire.schedules import Report, Schedule, get_schedule
from gradwire.simulation.passing import PassingCommunicator, Tray
from gradwire.simulation.payloads import agreement_of, payload_of
from gradwire.simulation.selections import Source
from gradwire.values import ValueFormat, format_named

# Memory that a simulation has in use at once: for each pair of ranks the objects around a message,
# for each entry of all ranks its share of messages, sums and residuals. What holds all ranks'
# entries in one rank's hands takes more than what bounds its result.
_BYTES_PER_PAIR = 1000
_BYTES_PER_ENTRY = 40
_BYTES_PER_BOUNDED_ENTRY = 22
_BOUNDED = ("oktopk", "gtopk")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Traffic:
    """One phase, every rank and step: three arrays (steps, ranks) of int64."""

    messages: Counts
    bytes_sent: Counts
    bytes_received: Counts

    @property
    def imbalance(self) -> float:
        """Bytes of the busiest rank over the mean, in the step where that is largest."""
        busiest = np.maximum(self.bytes_sent, self.bytes_received)
        means = busiest.mean(axis=1)
        ratios = busiest.max(axis=1) / np.where(means > 0, means, 1)
        return float(max(1.0, ratios.max()))

    def seconds(self, link: Link) -> float:
        """Return the mean over the steps of the slowest rank's time."""
        steps = zip(self.messages, self.bytes_sent, self.bytes_received, strict=True)
        times = [slowest(link, zip(*map(_floats, step), strict=True)) for step in steps]
        return sum(times) / len(times)


@dataclass(frozen=True)
class Run:
    """What a schedule did on so many ranks.

    Attributes:
        schedule: its name.
        ranks: number of virtual ranks.
        numel: elements of the gradient.
        k: entries that each rank brought; numel where the schedule is dense.
        phases: name -> traffic, in their order.
        rounds: collective operations of a step, the largest number.
        load_imbalance: entries of the busiest owner over the mean, the largest of all steps.
        winners: entries of the last result.
    """

    schedule: str
    ranks: int
    numel: int
    k: int
    phases: dict[str, Traffic]
    rounds: int
    load_imbalance: float
    winners: int

    @property
    def total(self) -> Traffic:
        """The sum of all phases."""
        phases = self.phases.values()
        return Traffic(
            sum((each.messages for each in phases), np.int64(0)),
            sum((each.bytes_sent for each in phases), np.int64(0)),
            sum((each.bytes_received for each in phases), np.int64(0)),
        )

    @property
    def bound_bytes(self) -> float | None:
        """The published bound on the bytes that one rank sends; None if there is none."""
        scheme = bound_of(self.schedule)
        if scheme is None:
            return None
        return WORD_BYTES * published_words(scheme, self.numel, self.k, self.ranks)

    def seconds(self, link: Link) -> float:
        """Return the modelled time of a step: its phases, one after the other."""
        return sum(traffic.seconds(link) for traffic in self.phases.values())


def simulate(
    schedule: str,
    source: Source,
    ranks: int,
    steps: int = 1,
    seed: int = 0,
    values: str = "float32",
    ranks_per_host: int = 1,
) -> Run:
    """Run a schedule on virtual ranks and count.

    Args:
        schedule: its name.
        source: what the ranks bring.
        ranks: how many, at least 1.
        steps: exchanges in a row, at least 1.
        seed: of the order in which ranks go on; results do not depend on it.
        values: the format in which values travel.
        ranks_per_host: how many successive ranks are taken to run on the same host.

    Raises:
        ConfigError: unknown schedule or format, or a number out of range; "auto", which would
            measure this process.
        MissingDependencyError: greenlet is not installed.
    """
    if steps < 1:
        raise ConfigError(f"simulate: steps must be at least 1, got {steps}")
    if schedule == "auto":
        raise ConfigError("simulate: 'auto' measures the links of a job; name other schedules")
    form = format_named(values)
    simulation = Simulation(ranks, seed, shuffle=False, ranks_per_host=ranks_per_host)
    by_rank: list[list[_Step]] = simulation.run(_run_rank, schedule, source, steps, form, {})
    names = [*dict.fromkeys(name for rank in by_rank for step in rank for name in step.counts)]
    last = by_rank[0][-1].report
    return Run(
        schedule,
        ranks,
        source.numel,
        source.numel if get_schedule(schedule).moves_dense else source.k,
        {name: _traffic(by_rank, name) for name in names},
        max(step.rounds for step in by_rank[0]),
        max(step.report.imbalance for step in by_rank[0]),
        last.winners,
    )


def memory_needed(schedule: Schedule, source: Source, ranks: int) -> int:
    """Return about how many bytes a simulation has in use at once."""
    pairs = _BYTES_PER_PAIR * ranks * ranks
    if schedule.moves_dense:  # every rank's messages, and what one has in hand
        return pairs + 5 * source.numel * ranks
    each = _BYTES_PER_BOUNDED_ENTRY if schedule.id in _BOUNDED else _BYTES_PER_ENTRY
    return pairs + each * source.k * ranks


@dataclass(frozen=True)
class _Step:
    report: Report
    counts: dict[str, tuple[int, int, int]]
    rounds: int


def _run_rank(
    beneath: SimulatedCommunicator,
    name: str,
    source: Source,
    steps: int,
    form: ValueFormat,
    tray: Tray,
) -> list[_Step]:
    schedule, communicator = get_schedule(name), PassingCommunicator(beneath, tray)
    done = []
    for step in range(steps):
        payload = payload_of(source, schedule, communicator.rank, step, form)
        before = communicator.operations
        outcome = schedule.exchange(payload, agreement_of(schedule, step), communicator)
        if not outcome.finite:
            raise ConfigError(
                f"simulate: the gradients of step {step} hold Inf or NaN, or sum up to it"
            )
        report = outcome.report
        del outcome  # its entries are as many as those of all ranks
        counts = {
            phase: (count.messages_sent, count.bytes_sent, count.bytes_received)
            for phase, count in report.phases.items()
        }
        done.append(_Step(report, counts, communicator.operations - before))
    return done


def _traffic(by_rank: Sequence[Sequence[_Step]], name: str) -> Traffic:
    table: npt.NDArray[Any] = np.array(
        [[step.counts.get(name, (0, 0, 0)) for step in rank] for rank in by_rank], np.int64
    )
    messages, sent, received = table.transpose(2, 1, 0)
    return Traffic(messages, sent, received)


def _floats(counts: Counts) -> list[float]:
    return [float(count) for count in counts]
