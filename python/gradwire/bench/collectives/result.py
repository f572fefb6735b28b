"""Results of ``bench allreduce``: what the ranks have noted, brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any, NamedTuple

from gradwire.bench.collectives.method import Phase
from gradwire.bench.collectives.places import mean_link_bytes

FORMAT = 1


@dataclass
class Notes:
    """What one rank has noted of one subject; one item for each repetition, in seconds and bytes.

    Attributes:
        begins, ends: of the step, on the machine's monotonic clock.
        phases: of the step.
        sent: bytes of messages; empty if nobody counts them.
        links: bytes through the network interfaces; empty if nobody counts them.
        entries: brought to the step; empty for dense methods.
    """

    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    phases: list[Mapping[str, Phase]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)


class Spread(NamedTuple):
    """Least, mean and largest of the ranks."""

    least: float
    average: float
    largest: float


@dataclass(frozen=True)
class Result:
    """One subject: a method at a density.

    Attributes:
        method, density, peer: which; density is None for dense methods.
        seconds: of each repetition: first start to last end, or the slowest rank's own time if
            the ranks' clocks differ.
        own_seconds: of each rank, each repetition: from its own start to its own end.
        phase_seconds: name -> of each rank, each repetition.
        phase_bytes: name -> sent by a rank in a step, on average.
        bytes_sent: of messages, by a rank in a step, on average; None if nobody counts them.
        link_bytes: through network interfaces, likewise.
        entries: brought by a rank to a step, on average; None for dense methods.
        wrong: elements that are not what they must be.
    """

    method: str
    density: float | None
    peer: bool
    seconds: list[float]
    own_seconds: list[list[float]]
    phase_seconds: dict[str, list[list[float]]]
    phase_bytes: dict[str, float]
    bytes_sent: float | None
    link_bytes: float | None
    entries: float | None
    wrong: int

    @property
    def median_seconds(self) -> float:
        """Median time of a step."""
        return median(self.seconds)

    @property
    def slowest_seconds(self) -> float:
        """Median of the slowest rank's own time."""
        slowest: float = median(map(max, zip(*self.own_seconds, strict=True)))
        return slowest

    @property
    def bytes_per_entry(self) -> float | None:
        """Bytes sent for each entry that was selected."""
        return self.bytes_sent / self.entries if self.bytes_sent and self.entries else None

    def own_spread(self) -> Spread:
        """Return the medians of the ranks' own times, least to largest, in seconds."""
        return _spread(self.own_seconds)

    def phase_spread(self, name: str) -> Spread:
        """Return the same of one phase."""
        return _spread(self.phase_seconds[name])

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and for readers without this class what follows from them."""
        return vars(self) | {
            "median_seconds": self.median_seconds,
            "min_seconds": min(self.seconds),
            "max_seconds": max(self.seconds),
            "slowest_seconds": self.slowest_seconds,
            "own_seconds_of_ranks": self.own_spread()._asdict(),
            "bytes_per_entry": self.bytes_per_entry,
        }


@dataclass
class Report:
    """Everything that one run has to say."""

    settings: dict[str, Any]
    environment: dict[str, Any]
    results: list[Result]
    copy_seconds: list[list[float]]
    notes: list[str]

    @property
    def wrong_methods(self) -> list[str]:
        """Names of the methods with wrong results."""
        return sorted({each.method for each in self.results if each.wrong})

    def to_json(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        return {
            "format": FORMAT,
            "benchmark": "allreduce",
            "settings": self.settings,
            "environment": self.environment,
            "notes": self.notes,
            "copy_seconds": self.copy_seconds,
            "rows": [each.to_json() for each in self.results],
        }


def combined(
    method: str,
    density: float | None,
    peer: bool,
    notes: Sequence[Notes],
    networks: Sequence[str],
    one_clock: bool,
    wrong: int,
) -> Result:
    """Return the result that all ranks' notes make.

    networks: of each rank, which interfaces its links' bytes are of; ranks may share them.
    one_clock: the ranks' clocks can be compared.
    """
    own = [[e - b for b, e in zip(each.begins, each.ends, strict=True)] for each in notes]
    if one_clock:
        begins = map(min, zip(*(each.begins for each in notes), strict=True))
        ends = map(max, zip(*(each.ends for each in notes), strict=True))
        seconds = [end - begin for begin, end in zip(begins, ends, strict=True)]
    else:
        seconds = list(map(max, zip(*own, strict=True)))
    names = notes[0].phases[0] if notes[0].phases else ()
    return Result(
        method,
        density,
        peer,
        seconds,
        own,
        {name: [[p[name].seconds for p in each.phases] for each in notes] for name in names},
        {name: mean(p[name].bytes_sent for each in notes for p in each.phases) for name in names},
        _mean_of([each.sent for each in notes]),
        mean_link_bytes(networks, [mean(each.links) if each.links else None for each in notes]),
        _mean_of([each.entries for each in notes]),
        wrong,
    )


def _mean_of(counts: Sequence[Sequence[int]]) -> float | None:
    return mean(map(mean, counts)) if all(counts) else None


def _spread(seconds: Sequence[Sequence[float]]) -> Spread:
    medians = [median(each) for each in seconds]
    return Spread(min(medians), mean(medians), max(medians))
