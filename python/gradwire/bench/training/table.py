"""The tables of ``bench training``: fixed width, one line a method."""

from __future__ import annotations

from collections.abc import Sequence

from gradwire.bench.collectives.table import (
    NAME_WIDTH,
    baseline_lines,
    counted,
    label,
    megabytes,
    milliseconds,
    place_lines,
)
from gradwire.bench.training.result import Point, Report, Result

HEADER = (
    f"# {'method':<{NAME_WIDTH - 2}} {'density':>8} {'ms':>9} {'min':>9} {'max':>9} "
    f"{'compute':>9} {'exposed':>9} {'x dense':>8} {'MB sent':>8} {'link MB':>8} {'#wrong':>6}"
)
_LOCAL, _DENSE = 0, 1  # places of the lines that others are compared with
_COLUMNS_OF_A_CURVE = 4


def heading(report: Report) -> list[str]:
    """Return the lines above the table: what ran where, and what was trained how."""
    settings = report.settings
    shape = (
        f"{counted(settings['layers'], 'layer')} of {settings['width']}, "
        if settings["model"] == "char_lm"
        else ""
    )
    return [
        *place_lines(report.environment),
        f"# {settings['model']}: {shape}{settings['numel']:,} parameters, context "
        f"{settings['context']}; {settings['batch_size']} examples a rank and step, "
        f"rate {settings['lr']:g}, momentum {settings['momentum']:g}, clip {settings['clip']:g}",
        f"# {settings['steps']} steps: the first {settings['settled']} untimed; density warm-up "
        f"{settings['warmup_steps']}, ramp {settings['ramp_steps']}; "
        f"{settings['allocator']} allocator; ms: slowest rank",
        *baseline_lines(report.environment["mpi"]),
    ]


def lines(results: Sequence[Result]) -> list[str]:
    """Return the table; ``local`` is the first result and ``dense/mpi`` the second."""
    linked = any(each.link_bytes for each in results)
    local, dense = results[_LOCAL], results[_DENSE]
    return [HEADER, *(_line(each, local, dense, linked) for each in results)]


def _line(each: Result, local: Result, dense: Result, linked: bool) -> str:
    own, baseline = each.median_seconds, dense.median_seconds
    ratio = f"{'-':>8}" if own is None or not baseline else f"{own / baseline:>8.3f}"
    wrong = "-" if each.wrong is None else str(each.wrong)
    return (
        f"{label(each)} {milliseconds(own)} {milliseconds(min(each.seconds, default=None))} "
        f"{milliseconds(max(each.seconds, default=None))} "
        f"{milliseconds(each.median_compute_seconds)} "
        f"{milliseconds(each.exposed_seconds(local))} {ratio} {megabytes(each.bytes_sent)} "
        f"{megabytes(each.link_bytes if linked else None)} {wrong:>6}"
    )


def curve_lines(results: Sequence[Result]) -> list[str]:
    """Return the table of held-out losses, and what the last of them took; empty without curves."""
    steps = sorted({point.step for each in results for point in each.points})
    if not steps:
        return []
    shown = _spread(steps)
    names = " ".join(f"{f'step {step}':>10}" for step in shown)
    header = f"# {'held-out loss':<{NAME_WIDTH - 2}} {'density':>8} {names} {'s':>9} {'MB sent':>9}"
    return [header, *(_curve_line(each, shown) for each in results)]


def _curve_line(each: Result, steps: Sequence[int]) -> str:
    losses = {point.step: f"{point.loss:.4f}" for point in each.points}
    columns = " ".join(f"{losses.get(step, '-'):>10}" for step in steps)
    last: Point | None = each.points[-1] if each.points else None
    taken = f"{'-':>9} {'-':>9}"
    if last is not None:
        taken = f"{last.seconds:>9.2f} {last.bytes_sent * 1e-6:>9.2f}"
    return f"{label(each)} {columns} {taken}"


def _spread(steps: Sequence[int]) -> list[int]:
    """Return a few of the steps, evenly spread, the last one among them."""
    count = min(_COLUMNS_OF_A_CURVE, len(steps))
    return [steps[len(steps) * (number + 1) // count - 1] for number in range(count)]


def footer(report: Report) -> list[str]:
    """Return the lines below the tables: notes, and the verdict on all methods."""
    found = [f"# {note}" for note in report.notes]
    found += [f"# given up: {failure}" for failure in report.failures]
    if report.wrong_methods:
        found.append(f"# FAILED: wrong results of {', '.join(report.wrong_methods)}")
    elif report.failures:
        found.append("# FAILED: losses that are not finite")
    else:
        found.append(f"# OK: {counted(len(report.results), 'line')}, none wrong")
    return found


def uncounted_note(results: Sequence[Result]) -> list[str]:
    """Return the note on methods whose bytes nobody counts; none if all are counted."""
    names = ", ".join(each.method for each in results if not each.counted)
    return [f"MB sent of {names}: what a ring sends, MPI does not count"] if names else []
