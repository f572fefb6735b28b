"""The table: fixed width, one line a subject, made to be read, searched and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradwire.bench.report import Measurement, Report

NAME_WIDTH = 38
_PEER_INDENT = "  "

HEADER = (
    f"# {'row, or peer':<{NAME_WIDTH - 2}} {'isa':<7} {'thr':>3} {'copies':>7} {'min':>7} "
    f"{'floor':>6} {'ms':>8} {'GB/s':>6} {'x row':>6} {'x thr':>5} {'#wrong':>6}"
)


def heading(report: Report) -> list[str]:
    """Return the lines above the table: what ran where, and the header."""
    settings, environment = report.settings, report.environment
    machine = environment["machine"]
    where = (
        f"{machine['processor']}, {machine['cores_usable']} of {machine['cores']} cores"
        if environment.get("device") is None
        else report.where
    )
    return [
        f"# gradwire {environment['versions']['gradwire']}, {where}",
        f"# n {settings['numel']:,} float32, density {settings['density']:g}, "
        f"{settings['repetitions']} repetitions, {settings['allocator']} allocator",
        HEADER,
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}" if seconds >= 1e-4 else f"{seconds * 1e3:.5f}"


def line(each: Measurement, own: Measurement | None, single: Measurement | None) -> str:
    """Return a measurement's line.

    own: the row's own kernel with as many threads, which peers are compared with. single: the same
    with one thread.
    """
    name = each.row if each.peer is None else _PEER_INDENT + each.peer
    ratio = "-" if own is None else f"{each.copies / own.copies:.2f}"
    faster = "-" if single is None else f"{single.copies / each.copies:.2f}"
    wrong = "-" if each.wrong is None else str(each.wrong)
    return (
        f"{name:<{NAME_WIDTH}} {each.isa or '-':<7} {each.threads:>3} {each.copies:>7.3f} "
        f"{each.copies_min:>7.3f} {each.floor:>6.3f} {_milliseconds(each.median_seconds):>8} "
        f"{each.gigabytes_per_second:>6.2f} {ratio:>6} {faster:>5} {wrong:>6}"
    )


def row_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Return the lines of one row: all its subjects, with each number of threads."""
    lines = []
    for each in measurements:
        alike = [other for other in measurements if other.threads == each.threads]
        own = next((other for other in alike if other.peer is None), None)
        key = replace(each, threads=1).key
        single = next((other for other in measurements if other.key == key), None)
        lines.append(line(each, own, None if single is each else single))
    return lines


def footer(report: Report) -> list[str]:
    """Return the lines below the table: notes, and the verdict on the results."""
    lines = [f"# {note}" for note in report.notes]
    faults = []
    if report.wrong_rows:
        faults.append(f"wrong results in {', '.join(report.wrong_rows)}")
    if report.failed:
        faults.append(f"no results of {', '.join(report.failed)}")
    if faults:
        return [*lines, f"# FAILED: {'; '.join(faults)}"]
    count = len({each.row for each in report.measurements})
    return [*lines, f"# OK: {count} {'row' if count == 1 else 'rows'}, none wrong"]
