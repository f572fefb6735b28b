"""The tables of ``bench allreduce``: fixed width, one line a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gradwire.bench.collectives.places import MCA_PREFIX, TUNED
from gradwire.bench.collectives.result import Report, Result, Spread

NAME_WIDTH = 22
HEADER = (
    f"# {'method':<{NAME_WIDTH - 2}} {'density':>8} {'ms':>9} {'min':>9} {'max':>9} "
    f"{'slowest':>9} {'x dense':>8} {'MB sent':>8} {'link MB':>8} {'B/entry':>7} {'#wrong':>6}"
)
PHASE_HEADER = (
    f"# {'method':<{NAME_WIDTH - 2}} {'density':>8} {'phase':<10} {'least':>9} {'average':>9} "
    f"{'largest':>9} {'MB sent':>8}"
)


class Labelled(Protocol):
    """A result with a name."""

    @property
    def method(self) -> str:
        """Name of the method."""

    @property
    def density(self) -> float | None:
        """None for methods that select nothing."""


def heading(report: Report) -> list[str]:
    """Return the lines above the table: what ran where, how dense/mpi was set, and the header."""
    settings, mpi = report.settings, report.environment["mpi"]
    return [
        *place_lines(report.environment),
        f"# n {settings['numel']:,} float32, {settings['repetitions']} repetitions, "
        f"{settings['allocator']} allocator; ms: "
        + ("first start to last end" if mpi["one_clock"] else "slowest rank, start to end"),
        *baseline_lines(mpi),
    ]


def place_lines(environment: dict[str, Any]) -> list[str]:
    """Return what ran where."""
    machine, mpi = environment["machine"], environment["mpi"]
    hosts = len({place["host"] for place in mpi["places"]})
    return [
        f"# gradwire {environment['versions']['gradwire']}, {machine['processor']}, "
        f"{machine['cores_usable']} of {machine['cores']} cores",
        f"# {counted(mpi['ranks'], 'rank')} on {counted(hosts, 'host')}, {mpi['library']}",
    ]


def baseline_lines(mpi: dict[str, Any]) -> list[str]:
    """Return how the dense baseline was launched, and how to launch it better."""
    missing = mpi["untuned"]
    if mpi["ranks"] == 1:
        return ["# one rank: nothing has to travel; launch several with mpirun"]
    if missing is None:
        return ["# dense/mpi: as this MPI chooses; it is not Open MPI, whose settings are known"]
    if not missing:
        return ["# dense/mpi: ring, waiting ranks yield (as launched)"]
    wanted = " ".join(f"{MCA_PREFIX}{name}={value}" for name, value in TUNED.items())
    return [
        "# dense/mpi: NOT TUNED, and so no fair baseline; for a ring whose waiting ranks yield",
        f"#   launch with {wanted}",
    ]


def lines(results: Sequence[Result]) -> list[str]:
    """Return the table; the first result is what "x dense" refers to."""
    dense = results[0].median_seconds
    linked = any(each.link_bytes for each in results)
    return [HEADER, *(_line(each, dense, linked) for each in results)]


def _line(each: Result, dense: float, linked: bool) -> str:
    entry = "-" if each.bytes_per_entry is None else f"{each.bytes_per_entry:.2f}"
    return (
        f"{label(each)} {milliseconds(each.median_seconds)} {milliseconds(min(each.seconds))} "
        f"{milliseconds(max(each.seconds))} {milliseconds(each.slowest_seconds)} "
        f"{each.median_seconds / dense:>8.3f} {megabytes(each.bytes_sent)} "
        f"{megabytes(each.link_bytes if linked else None)} {entry:>7} {each.wrong:>6}"
    )


def phase_lines(results: Sequence[Result]) -> list[str]:
    """Return the table of phases: medians of the ranks' times in ms, least to largest."""
    found = [PHASE_HEADER]
    for each in results:
        if each.phase_seconds:
            for name, nbytes in each.phase_bytes.items():
                found.append(_phase_line(each, name, each.phase_spread(name), nbytes))
            found.append(_phase_line(each, "total", each.own_spread(), each.bytes_sent))
    return found


def _phase_line(each: Result, name: str, spread: Spread, nbytes: float | None) -> str:
    return f"{label(each)} {name:<10} {' '.join(map(milliseconds, spread))} {megabytes(nbytes)}"


def footer(report: Report) -> list[str]:
    """Return the lines below the tables: notes, and the verdict on the results."""
    found = [f"# {note}" for note in report.notes]
    if report.wrong_methods:
        return [*found, f"# FAILED: wrong results of {', '.join(report.wrong_methods)}"]
    return [*found, f"# OK: {counted(len(report.results), 'line')}, none wrong"]


def counted(count: int, noun: str) -> str:
    """Return a number of things, for people."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def label(each: Labelled) -> str:
    """Return a line's first two columns: method and density."""
    density = "-" if each.density is None else f"{each.density:g}"
    return f"{each.method:<{NAME_WIDTH}} {density:>8}"


def milliseconds(seconds: float | None) -> str:
    """Return a column of times; None is unknown."""
    return f"{'-':>9}" if seconds is None else f"{seconds * 1e3:>9.3f}"


def megabytes(nbytes: float | None) -> str:
    """Return a column of bytes; None is unknown."""
    return f"{'-':>8}" if nbytes is None else f"{nbytes * 1e-6:>8.3f}"
