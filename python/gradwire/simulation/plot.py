"""A picture of simulations: bytes and modelled time against the number of ranks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from gradwire.bench.picture import COLOURS, new_figure, require_figure, save_figure
from gradwire.cost import bound_of

_WHO = "simulate --plot"
_LINE = "#bbbbbb"
_ALWAYS = {"lower_bound": "lower bound"}  # drawn whatever was simulated
_PANEL, _HEIGHT = 4.2, 4.4  # inches


def require_plot(path: Path) -> None:
    """Raise an error now if `plot` could not draw into a file later."""
    require_figure(_WHO, path)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw a result, as `simulate --json` holds it, into a file whose ending is its format.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: matplotlib does not know the format, or the file cannot be written.
    """
    require_plot(path)
    bandwidths = list(result["links"])
    figure = new_figure(_WHO, _PANEL * (1 + len(bandwidths)), _HEIGHT)
    volume, *times = figure.subplots(1, 1 + len(bandwidths), squeeze=False)[0]
    schedules = list(dict.fromkeys(run["schedule"] for run in result["runs"]))
    for number, schedule in enumerate(schedules):
        runs = [run for run in result["runs"] if run["schedule"] == schedule and run["ranks"] > 1]
        ranks = [run["ranks"] for run in runs]
        colour = COLOURS[number % len(COLOURS)]
        style: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4}
        volume.plot(ranks, [run["bytes_sent_max"] for run in runs], label=schedule, **style)
        _draw_bound(volume, result, bound_of(schedule), f"{schedule}, published", colour)
        for axes, bandwidth in zip(times, bandwidths, strict=True):
            seconds = [run["modelled_seconds"][bandwidth] for run in runs]
            axes.plot(ranks, [1e3 * each for each in seconds], **style)
    for scheme, label in _ALWAYS.items():
        _draw_bound(volume, result, scheme, label, "black")
    _label(volume, result, "bytes sent by the busiest rank", "bytes per step")
    for axes, bandwidth in zip(times, bandwidths, strict=True):
        _label(axes, result, "ms per step, modelled", f"time at {bandwidth}")
        _write_plainly(axes.yaxis)
    figure.legend(*volume.get_legend_handles_labels(), fontsize=8, loc="outside lower center",
        ncols=4)  # fmt: skip
    save_figure(_WHO, figure, path)


def _draw_bound(
    axes: Any, result: dict[str, Any], scheme: str | None, label: str, colour: str
) -> None:
    if scheme is not None:
        pairs = zip(result["settings"]["ranks"], result["bounds"][scheme], strict=True)
        ranks, nbytes = zip(*(pair for pair in pairs if pair[0] > 1), strict=True)
        axes.plot(ranks, nbytes, color=colour, linestyle="--", linewidth=1, label=label)


def _label(axes: Any, result: dict[str, Any], what: str, title: str) -> None:
    ranks = [each for each in result["settings"]["ranks"] if each > 1]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ranks, [str(each) for each in ranks])
    axes.set_xticks([], minor=True)
    axes.grid(color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("ranks")
    axes.set_ylabel(what)
    axes.set_title(title, fontsize=10)


def _write_plainly(axis: Any) -> None:
    """Write 20 and not a product with a power of ten."""
    ticker = importlib.import_module("matplotlib.ticker")
    axis.set_major_formatter(ticker.LogFormatter())
    axis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(1.5, 0.5)))
