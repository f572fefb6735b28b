"""A picture of the curves: held-out loss against bytes sent and against seconds."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path
from typing import Any

from gradwire.bench.method import described
from gradwire.bench.picture import COLOURS, new_figure, save_figure
from gradwire.bench.training.result import Report, Result

WHO = "bench training --plot"
_GRID, _FLOOR = "#bbbbbb", "#555555"
_PANEL, _HEIGHT = 5.0, 4.6  # inches
_LINE_STYLES = ("-", "--", ":")


def plot(report: Report, path: Path) -> None:
    """Draw all methods' curves into a file whose ending chooses the format.

    Methods that exchange nothing have no place in the panel of bytes.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: matplotlib does not know the format, or the file cannot be written.
    """
    figure = new_figure(WHO, 2 * _PANEL, _HEIGHT)
    volume, time = figure.subplots(1, 2, sharey=True)
    styles = cycle(product(_LINE_STYLES, COLOURS))
    for each in report.results:
        if each.points:
            exchanges = each.points[-1].bytes_sent > 0
            line, colour = next(styles) if exchanges else (_LINE_STYLES[-1], _FLOOR)
            _draw(volume if exchanges else None, time, each, line, colour)
    _label(volume, "MB sent by a rank, logarithmic")
    _label(time, "seconds of steps, slowest rank")
    volume.set_xscale("log")
    volume.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    volume.set_ylabel("held-out loss (nats per character)")
    settings, mpi = report.settings, report.environment["mpi"]
    hosts = len({place["host"] for place in mpi["places"]})
    figure.suptitle(
        f"{settings['model']}, {settings['numel']:,} parameters, {settings['steps']} steps, "
        f"{mpi['ranks']} ranks on {hosts} {'host' if hosts == 1 else 'hosts'}",
        fontsize=10,
    )
    figure.legend(*time.get_legend_handles_labels(), fontsize=8, loc="outside lower center",
        ncols=4)  # fmt: skip
    save_figure(WHO, figure, path)


def _draw(volume: Any, time: Any, each: Result, line: str, colour: str) -> None:
    name = described(each.method, each.density)
    style: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 1.4, "label": name}
    losses = [point.loss for point in each.points]
    time.plot([point.seconds for point in each.points], losses, **style)
    if volume is not None:
        volume.plot([point.bytes_sent * 1e-6 for point in each.points], losses, **style)


def _label(axes: Any, what: str) -> None:
    axes.set_xlabel(what)
    axes.grid(color=_GRID, linewidth=0.5)
    axes.set_axisbelow(True)
