"""A picture of a result: each row's time in copies against its floor and its best peer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from gradwire.bench.picture import COLOURS, new_figure, require_figure, save_figure
from gradwire.bench.report import Measurement, Report
from gradwire.errors import ConfigError

_WHO = "bench plot"
_FLOOR, _PEER, _BAND, _LINE = "#d62728", "#555555", "#f3f3f3", "#bbbbbb"
_WIDTH, _INCHES_PER_ROW, _INCHES_AROUND = 9.0, 0.22, 1.6
_HALF_ROW = 0.5
_FLOOR_MARK = 0.36  # of a row, up and down
_SPREAD = 0.6  # of a row, shared by its points if there are several


def plot(report: Report, path: Path) -> None:
    """Draw all rows into a file whose ending chooses the format, such as .svg or .png.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: the report has no rows of gradwire's own, or matplotlib does not know the
            format.
    """
    require_figure(_WHO, path)
    own = [each for each in report.measurements if each.peer is None]
    if not own:
        raise ConfigError("bench plot: the file has no rows of gradwire's kernels")
    rows = list(dict.fromkeys(each.row for each in own))
    figure = new_figure(_WHO, _WIDTH, _INCHES_AROUND + _INCHES_PER_ROW * len(rows))
    axes = figure.add_subplot()
    _draw_bands(axes, rows)
    _draw_floors(axes, rows, own)
    _draw_own(axes, rows, own)
    _draw_peers(axes, rows, [each for each in report.measurements if each.peer is not None])
    _label(axes, rows, report)
    save_figure(_WHO, figure, path)


def _draw_bands(axes: Any, rows: Sequence[str]) -> None:
    """Shade every other operation: rows that differ behind the "/" belong together."""
    begin = 0
    for number, (_, alike) in enumerate(groupby(rows, lambda row: row.partition("/")[0])):
        end = begin + len(list(alike))
        if number % 2:
            axes.axhspan(begin - _HALF_ROW, end - _HALF_ROW, color=_BAND, zorder=0)
        begin = end


def _draw_floors(axes: Any, rows: Sequence[str], own: Sequence[Measurement]) -> None:
    floors = {each.row: each.floor for each in own}
    axes.vlines(
        [floors[row] for row in rows],
        [place - _FLOOR_MARK for place in range(len(rows))],
        [place + _FLOOR_MARK for place in range(len(rows))],
        colors=_FLOOR,
        linewidth=2,
        label="floor: counted bytes at a copy's speed",
    )


def _draw_own(axes: Any, rows: Sequence[str], own: Sequence[Measurement]) -> None:
    """Draw one colour of points for each instruction set and number of threads."""
    kinds = list(dict.fromkeys((each.isa, each.threads) for each in own))
    for number, (isa, threads) in enumerate(kinds):
        shift = _SPREAD * ((number + _HALF_ROW) / len(kinds) - _HALF_ROW)
        found = [each for each in own if (each.isa, each.threads) == (isa, threads)]
        places = [rows.index(each.row) + shift for each in found]
        copies = [each.copies for each in found]
        floors = [each.floor for each in found]
        colour = COLOURS[number % len(COLOURS)]
        axes.hlines(places, floors, copies, colors=_LINE, linewidth=1, zorder=1)
        name = f"{isa}, {threads} {'thread' if threads == 1 else 'threads'}"
        axes.plot(copies, places, "o", color=colour, markersize=5, label=name)
        if len(kinds) == 1:
            _write_numbers(axes, places, copies)


def _write_numbers(axes: Any, places: Sequence[float], copies: Sequence[float]) -> None:
    for place, each in zip(places, copies, strict=True):
        axes.annotate(
            f"{each:.2f}",
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )


def _draw_peers(axes: Any, rows: Sequence[str], peers: Sequence[Measurement]) -> None:
    """Draw the fastest peer of each row that has one."""
    best: dict[str, float] = {}
    for each in peers:
        if each.row in rows:
            best[each.row] = min(each.copies, best.get(each.row, each.copies))
    if best:
        places = [rows.index(row) for row in best]
        axes.plot(
            list(best.values()), places, "D", color=_PEER, markerfacecolor="none", markersize=4,
            linestyle="none", label="fastest peer",
        )  # fmt: skip


def _label(axes: Any, rows: Sequence[str], report: Report) -> None:
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylim(len(rows) - _HALF_ROW, -_HALF_ROW)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(
        f"copies (1 copy = memcpy of {report.settings['numel']:,} float32), logarithmic"
    )
    axes.set_title(f"gradwire kernels, {report.where}", fontsize=10)
    axes.figure.legend(fontsize=8, loc="outside lower center", ncols=3)
