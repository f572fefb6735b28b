"""Results of ``bench training``: what the ranks have noted, brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from gradwire.bench.collectives.places import mean_link_bytes

FORMAT = 1


@dataclass
class Notes:
    """What one rank has noted of one method.

    Attributes:
        seconds: of each step so far.
        compute_seconds: of each step, without the reduction.
        sent: bytes in each step.
        links: bytes through the network interfaces in all timed rounds; None where nobody counts.
        linked_steps: timed steps in these rounds.
    """

    seconds: list[float] = field(default_factory=list)
    compute_seconds: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    links: int | None = 0
    linked_steps: int = 0

    def link_bytes(self) -> float | None:
        """Return the bytes through the network interfaces in a timed step; None if unknown."""
        if self.links is None or not self.linked_steps:
            return None
        return self.links / self.linked_steps

    def totals(self) -> tuple[float, int]:
        """Return seconds and bytes of all steps so far."""
        return sum(self.seconds), sum(self.sent)


@dataclass(frozen=True)
class Point:
    """A place on a method's curve.

    Attributes:
        step: so many steps have been made.
        loss: held out, mean cross-entropy in nats.
        seconds: of all steps so far, of the slowest rank; evaluations are left out.
        bytes_sent: by a rank so far, on average.
    """

    step: int
    loss: float
    seconds: float
    bytes_sent: float


@dataclass(frozen=True)
class Result:
    """One method.

    Attributes:
        method, density: which; density is None for methods that select nothing.
        seconds: of each timed step, of the slowest rank: the one with the largest median.
        compute_seconds: of each timed step of that rank: forward, backward and update.
        median_seconds_of_ranks: of a timed step.
        bytes_sent: by a rank in a timed step, on average.
        counted: these bytes were counted; else they are what a ring would have sent.
        link_bytes: through network interfaces, likewise; None if nobody counts them.
        points: the curve; empty without one.
        wrong: elements that are not what they must be; None for replicas that go their own ways.
        failure: why the method was given up; empty if it was not.
    """

    method: str
    density: float | None
    seconds: list[float]
    compute_seconds: list[float]
    median_seconds_of_ranks: list[float]
    bytes_sent: float | None
    counted: bool
    link_bytes: float | None
    points: list[Point]
    wrong: int | None
    failure: str

    @property
    def median_seconds(self) -> float | None:
        """Median time of a step; None if none was timed."""
        return median(self.seconds) if self.seconds else None

    @property
    def median_compute_seconds(self) -> float | None:
        """Median time of a step without the reduction; None if none was timed."""
        return median(self.compute_seconds) if self.compute_seconds else None

    def exposed_seconds(self, local: Result) -> float | None:
        """Return how much longer a step takes than one without any exchange."""
        own, floor = self.median_seconds, local.median_seconds
        return None if own is None or floor is None else own - floor

    def to_json(self, local: Result) -> dict[str, Any]:
        """Return the fields, and for readers without this class what follows from them."""
        return asdict(self) | {
            "seconds": _to_microseconds(self.seconds),
            "compute_seconds": _to_microseconds(self.compute_seconds),
            "median_seconds": self.median_seconds,
            "min_seconds": min(self.seconds, default=None),
            "max_seconds": max(self.seconds, default=None),
            "median_compute_seconds": self.median_compute_seconds,
            "exposed_seconds": self.exposed_seconds(local),
        }


@dataclass
class Report:
    """Everything that one run has to say; the first result is that of the method ``local``."""

    settings: dict[str, Any]
    environment: dict[str, Any]
    results: list[Result]
    notes: list[str]

    @property
    def wrong_methods(self) -> list[str]:
        """Names of the methods with wrong reductions, or replicas that differ."""
        return [each.method for each in self.results if each.wrong]

    @property
    def failures(self) -> list[str]:
        """What became of methods that were given up."""
        return [f"{each.method}: {each.failure}" for each in self.results if each.failure]

    def to_json(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        return {
            "format": FORMAT,
            "benchmark": "training",
            "settings": self.settings,
            "environment": self.environment,
            "notes": self.notes,
            "rows": [each.to_json(self.results[0]) for each in self.results],
        }


def combined(
    name: tuple[str, float | None],
    counted: bool,
    notes: Sequence[Notes],
    settled: int,
    networks: Sequence[str],
    points: list[Point],
    verdict: tuple[int | None, str],
) -> Result:
    """Return the result that all ranks' notes make.

    Args:
        name: method and density.
        counted: as in `Result`.
        notes: of all ranks.
        settled: the first timed step.
        networks: of each rank, which interfaces its links' bytes are of; ranks may share them.
        points: the curve.
        verdict: wrong elements, and why the method was given up.
    """
    timed = [each.seconds[settled:] for each in notes]
    medians = [median(each) for each in timed if each]
    slowest = medians.index(max(medians)) if medians else 0
    sent = [fmean(each.sent[settled:]) for each in notes if each.sent[settled:]]
    return Result(
        *name,
        timed[slowest],
        notes[slowest].compute_seconds[settled:],
        medians,
        fmean(sent) if sent else None,
        counted,
        mean_link_bytes(networks, [each.link_bytes() for each in notes]),
        points,
        *verdict,
    )


def _to_microseconds(seconds: Sequence[float]) -> list[float]:
    """Return times without the digits that no clock is good for, which make long files."""
    return [round(each, 6) for each in seconds]
