"""The table: fixed width, one line a subject, made to be read, searched and compared."""

from __future__ import annotations

from collections.abc import Sequence

from gradwire.bench.report import Measurement, Report

NAME_WIDTH = 38
_PEER_INDENT = "  "

HEADER = (
    f"# {'row, or peer':<{NAME_WIDTH - 2}} {'isa':<8} {'thr':>3} {'copies':>8} {'min':>8} "
    f"{'floor':>6} {'ms':>9} {'GB/s':>7} {'x row':>7} {'#wrong':>7}"
)


def heading(report: Report) -> list[str]:
    """Return the lines above the table: what ran where, and the header."""
    settings, environment = report.settings, report.environment
    machine = environment["machine"]
    return [
        f"# gradwire {environment['versions']['gradwire']}, {machine['processor']}, "
        f"{machine['cores_usable']} of {machine['cores']} cores",
        f"# n {settings['numel']:,} float32, density {settings['density']:g}, "
        f"{settings['repetitions']} repetitions, {settings['allocator']} allocator",
        HEADER,
    ]


def line(each: Measurement, first: Measurement | None) -> str:
    """Return a measurement's line; first: the row's own kernel, which peers are compared with."""
    name = each.row if each.peer is None else _PEER_INDENT + each.peer
    ratio = "-" if first is None else f"{each.copies / first.copies:.2f}"
    wrong = "-" if each.wrong is None else str(each.wrong)
    return (
        f"{name:<{NAME_WIDTH}} {each.isa or '-':<8} {each.threads:>3} {each.copies:>8.3f} "
        f"{each.copies_min:>8.3f} {each.floor:>6.3f} {each.median_seconds * 1e3:>9.3f} "
        f"{each.gigabytes_per_second:>7.2f} {ratio:>7} {wrong:>7}"
    )


def row_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Return the lines of one row: all its subjects with one number of threads."""
    own = [each for each in measurements if each.peer is None]
    first = own[0] if own else None
    return [line(each, first) for each in measurements]


def footer(report: Report) -> list[str]:
    """Return the lines below the table: notes, and the verdict on the results."""
    lines = [f"# {note}" for note in report.notes]
    if report.wrong_rows:
        return [*lines, f"# FAILED: wrong results in {', '.join(report.wrong_rows)}"]
    return [*lines, f"# OK: {len({each.row for each in report.measurements})} rows, none wrong"]
