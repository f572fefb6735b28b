"""A picture of a result: each row's time in copies against its floor."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from gradwire.bench.report import Report
from gradwire.errors import ConfigError, missing

_BAR, _FLOOR, _TEXT = "#4c78a8", "#d62728", 0.01
_INCHES_PER_BAR = 0.28


def plot(report: Report, path: Path) -> None:
    """Draw horizontal bars into a file whose ending chooses the format, such as .svg or .png.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: the report has no rows of gradwire's own, or matplotlib does not know the
            format.
    """
    figure_type = _figure_type()
    rows = [each for each in report.measurements if each.peer is None]
    if not rows:
        raise ConfigError("bench plot: the file has no rows of gradwire's kernels")
    several = len({(each.isa, each.threads) for each in rows}) > 1
    labels = [f"{each.row}  {each.isa}, {each.threads}" if several else each.row for each in rows]
    figure = figure_type(figsize=(8, 1.2 + _INCHES_PER_BAR * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    places = list(range(len(rows)))
    copies, floors = [each.copies for each in rows], [each.floor for each in rows]
    bars = axes.barh(places, copies, color=_BAR, label="time (median)")
    axes.bar_label(bars, [f"{each:.2f}" for each in copies], padding=3, fontsize=8)
    axes.vlines(
        floors,
        [place - 0.4 for place in places],
        [place + 0.4 for place in places],
        colors=_FLOOR,
        linewidth=2,
        label="floor: counted bytes at a copy's speed",
    )
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=_TEXT)
    axes.set_xlabel(f"copies (1 copy = memcpy of {report.settings['numel']:,} float32)")
    axes.set_title(f"gradwire kernels, {report.environment['machine']['processor']}", fontsize=10)
    axes.legend(fontsize=8, loc="lower right")
    try:
        # Without a date, the same result is the same file.
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except ValueError as error:
        raise ConfigError(f"bench plot: {path}: {error}") from None


def _figure_type() -> Any:
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        raise missing("matplotlib", "bench plot", "pip install 'gradwire[plot]'") from None
