"""What ranks send, per entry: results of several simulations beside each other.

The volume of a schedule is flat if this does not change with the number of ranks P. Bytes are
divided by k (P - 1) / P, the entries that a rank has for others: so a bound of w words of 4 bytes
per entry, such as those published for Ok-Topk, is the same 4 w for any P.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwire.errors import ConfigError

_LEAST_RANKS = 2  # one rank has no entry for others
_NAME_WIDTH, _SIZE_WIDTH, _COLUMN_WIDTH = 26, 11, 8
_PHASE_INDENT = "  "


@dataclass
class Volumes:
    """One schedule, format and size on several numbers of ranks.

    Attributes:
        schedule: its name.
        values: the format in which values travel.
        numel: elements of the gradient.
        k: entries that each rank brings.
        phases: ranks -> name of the phase -> bytes per entry, the mean of the ranks.
    """

    schedule: str
    values: str
    numel: int
    k: int
    phases: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def total(self) -> dict[int, float]:
        """Ranks -> bytes per entry in all phases; ranks increase."""
        return {ranks: sum(self.phases[ranks].values()) for ranks in sorted(self.phases)}

    @property
    def spread(self) -> float:
        """The largest total over the smallest, less 1: 0 is flat."""
        totals = self.total.values()
        return max(totals) / min(totals) - 1.0


def per_entry(nbytes: float, k: int, ranks: int) -> float:
    """Return the bytes that a rank sends for each entry which it has for others.

    Args:
        nbytes: that a rank sends.
        k: entries that it brings, at least 1.
        ranks: how many, at least 2.
    """
    return nbytes / (k * (ranks - 1) / ranks)


def load_volumes(paths: Sequence[Path]) -> list[Volumes]:
    """Return what files of ``simulate --json`` hold, large k first; one rank alone is left out.

    Raises:
        ConfigError: no such file, or the same simulation twice.
    """
    found: dict[tuple[str, str, int, int], Volumes] = {}
    for path in paths:
        result = _read(path)
        try:
            for run in result["runs"]:
                key = (run["schedule"], result["settings"]["values"], run["numel"], run["k"])
                if run["ranks"] >= _LEAST_RANKS:
                    _add(found.setdefault(key, Volumes(*key)), run, path)
        except (KeyError, TypeError, AttributeError):
            raise ConfigError(f"simulate: {path} was not written by simulate --json") from None
    if not found:
        raise ConfigError("simulate: the files hold no run on 2 ranks or more")
    return sorted(found.values(), key=lambda each: (each.schedule, each.values, -each.k))


def volume_lines(volumes: Sequence[Volumes], phases: bool) -> list[str]:
    """Return a table: a line for each of the volumes and, if wanted, for each phase."""
    sizes = sorted({ranks for each in volumes for ranks in each.phases})
    columns = "".join(f" {f'P={ranks}':>{_COLUMN_WIDTH}}" for ranks in sizes)
    lines = [
        "# bytes that a rank sends, mean of the ranks, / (k (P - 1) / P)",
        f"# {'schedule':<{_NAME_WIDTH - 2}} {'k':>{_SIZE_WIDTH}}{columns} {'spread':>8}",
    ]
    for each in volumes:
        spread = f"{100 * each.spread:.1f} %"
        name = f"{each.schedule} {each.values}"
        lines.append(f"{_line(name, f'{each.k:,}', each.total, sizes)} {spread:>8}")
        for phase in _names(each) if phases else ():
            of_phase = {ranks: found.get(phase, 0.0) for ranks, found in each.phases.items()}
            lines.append(_line(_PHASE_INDENT + phase, "", of_phase, sizes))
    return lines


def _line(name: str, size: str, numbers: Mapping[int, float], sizes: Sequence[int]) -> str:
    columns = [f"{numbers[each]:.3f}" if each in numbers else "-" for each in sizes]
    return f"{name:<{_NAME_WIDTH}} {size:>{_SIZE_WIDTH}}" + "".join(
        f" {column:>{_COLUMN_WIDTH}}" for column in columns
    )


def _names(volumes: Volumes) -> list[str]:
    return list(dict.fromkeys(name for found in volumes.phases.values() for name in found))


def _add(volumes: Volumes, run: Mapping[str, Any], path: Path) -> None:
    ranks = run["ranks"]
    if ranks in volumes.phases:
        raise ConfigError(
            f"simulate: {path} has {volumes.schedule} of {volumes.values}, k {volumes.k:,}, on "
            f"{ranks} ranks again: name each simulation once"
        )
    volumes.phases[ranks] = {
        name: per_entry(phase["bytes_sent_mean"], run["k"], ranks)
        for name, phase in run["phases"].items()
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"simulate: cannot read results from {path}: {error}") from None
