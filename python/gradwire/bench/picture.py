"""What pictures of results share: matplotlib if it is installed, files that can be repeated."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from gradwire.errors import ConfigError, missing

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2")


def require_figure(who: str, path: Path) -> None:
    """Raise an error now if no picture could be drawn into a file later.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: the file's name does not end in a format.
    """
    if not path.suffix:
        raise ConfigError(f"{who}: {path} must end in the format, such as .svg or .png")
    _figure_type(who)


def new_figure(who: str, width: float, height: float) -> Any:
    """Return an empty figure of so many inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    return _figure_type(who)(figsize=(width, height), layout="constrained")


def save_figure(who: str, figure: Any, path: Path) -> None:
    """Write a figure into a file whose ending chooses the format.

    Raises:
        ConfigError: matplotlib does not know the format, or the file cannot be written.
    """
    try:
        # Without a date and with names that are not random, the same result is the same file.
        with importlib.import_module("matplotlib").rc_context({"svg.hashsalt": "gradwire"}):
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{who}: {path}: {error}") from None


def _figure_type(who: str) -> Any:
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        raise missing("matplotlib", who, "pip install 'gradwire[plot]'") from None
