"""A picture of volumes: bytes per entry against the number of ranks, and the published bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradwire.bench.picture import COLOURS, new_figure, require_figure, save_figure
from gradwire.cost import BOUNDS
from gradwire.cost.bounds import WORD_BYTES
from gradwire.simulation.volume import Volumes, per_entry

_WHO = "simulate --from --plot"
_LINE = "#bbbbbb"
_PANEL, _HEIGHT = 4.6, 4.2  # inches
# What is published for Ok-Topk: per entry, the same for any number of ranks and entries.
_DRAWN = {"oktopk_high": "Ok-Topk, published: at most", "lower_bound": "any scheme: at least"}


def require_volume_plot(path: Path) -> None:
    """Raise an error now if `plot_volumes` could not draw into a file later."""
    require_figure(_WHO, path)


def plot_volumes(volumes: Sequence[Volumes], path: Path) -> None:
    """Draw a panel for each format into a file whose ending is the picture's format.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: matplotlib does not know the format, or the file cannot be written.
    """
    require_volume_plot(path)
    formats = list(dict.fromkeys(each.values for each in volumes))
    lines = list(dict.fromkeys((each.schedule, each.k) for each in volumes))
    sizes = sorted({ranks for each in volumes for ranks in each.phases})
    figure = new_figure(_WHO, _PANEL * len(formats), _HEIGHT)
    panels = figure.subplots(1, len(formats), squeeze=False, sharey=True)[0]
    for axes, form in zip(panels, formats, strict=True):
        for each in volumes:
            if each.values == form:
                number = lines.index((each.schedule, each.k))
                label = f"{each.schedule}, k = {each.k:,}"
                axes.plot(
                    list(each.total), list(each.total.values()), label=label, marker="o",
                    markersize=4, color=COLOURS[number % len(COLOURS)],
                )  # fmt: skip
        _draw_bounds(axes, sizes)
        _label(axes, sizes, f"values in {form}")
    panels[0].set_ylabel("bytes sent / (k (P - 1) / P)")
    figure.legend(*_handles(panels), fontsize=8, loc="outside lower center",
        ncols=1 + len(formats))  # fmt: skip
    save_figure(_WHO, figure, path)


def _draw_bounds(axes: Any, sizes: Sequence[int]) -> None:
    for (scheme, label), style in zip(_DRAWN.items(), ("--", ":"), strict=True):
        words = BOUNDS[scheme](1, 1, sizes[0])
        height = per_entry(WORD_BYTES * words, 1, sizes[0])
        axes.axhline(height, color="black", linestyle=style, linewidth=1, label=label)


def _handles(panels: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Return every panel's lines for the legend, each name once."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _label(axes: Any, sizes: Sequence[int], title: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks(sizes, [str(each) for each in sizes])
    axes.set_xticks([], minor=True)
    axes.grid(color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("ranks P")
    axes.set_title(title, fontsize=10)
