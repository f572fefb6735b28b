"""Two results of the same benchmark, row by row: what became slower?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradwire.bench.report import Measurement, Report
from gradwire.bench.table import NAME_WIDTH
from gradwire.errors import ConfigError

TOLERANCE = 1.10  # above which a row is called slower: two runs on a quiet machine differ less

_NAMES = {"numel": "n", "density": "density"}  # what must be alike, as the command line names it

Statistic = Literal["median", "min"]


@dataclass(frozen=True)
class Comparison:
    """One subject's time in both reports, in copies; None where a report lacks it."""

    measurement: Measurement
    before: float | None
    after: float | None
    slower: bool

    @property
    def ratio(self) -> float | None:
        """What became of the time: after / before."""
        return self.after / self.before if self.before and self.after else None


def compare(
    before: Report, after: Report, tolerance: float = TOLERANCE, statistic: Statistic = "median"
) -> list[Comparison]:
    """Return what both reports say about each subject; only gradwire's own can be "slower".

    Raises:
        ConfigError: the reports are about vectors of different size or density, or have nothing
            in common.
    """
    for setting in _NAMES:
        if before.settings[setting] != after.settings[setting]:
            raise ConfigError(
                f"bench compare: {_NAMES[setting]} differs: {before.settings[setting]} and "
                f"{after.settings[setting]}; only like can be compared with like"
            )
    old = {each.key: each for each in before.measurements}
    new = {each.key: each for each in after.measurements}
    if not any(old[key].peer is None for key in old.keys() & new.keys()):
        raise ConfigError("bench compare: the two have no row of gradwire's in common")
    comparisons = []
    for key in [*new, *(key for key in old if key not in new)]:
        times = [_copies(found.get(key), statistic) for found in (old, new)]
        measurement = new.get(key) or old[key]
        slower = (
            measurement.peer is None
            and None not in times
            and (times[1] or 0.0) > tolerance * (times[0] or 0.0)
        )
        comparisons.append(Comparison(measurement, times[0], times[1], slower))
    return comparisons


def comparison_lines(comparisons: Sequence[Comparison], tolerance: float) -> list[str]:
    """Return the table, and the verdict as its last line."""
    lines = [
        f"# {'row, or peer':<{NAME_WIDTH - 2}} {'isa':<8} {'thr':>3} {'before':>8} {'after':>8} "
        f"{'ratio':>7}"
    ]
    for each in comparisons:
        found = each.measurement
        name = found.row if found.peer is None else f"  {found.peer}"
        ratio = "-" if each.ratio is None else f"{each.ratio:.3f}"
        lines.append(
            f"{name:<{NAME_WIDTH}} {found.isa or '-':<8} {found.threads:>3} "
            f"{_number(each.before):>8} {_number(each.after):>8} {ratio:>7}"
            f"{'  SLOWER' if each.slower else ''}"
        )
    slower = [each.measurement.row for each in comparisons if each.slower]
    count = sum(each.ratio is not None for each in comparisons if each.measurement.peer is None)
    verdict = f"more than {tolerance:g} times the time in copies"
    lines.append(
        f"# {len(slower)} of {count} rows take {verdict}{': ' if slower else ''}"
        f"{', '.join(dict.fromkeys(slower))}"
    )
    return lines


def _copies(measurement: Measurement | None, statistic: Statistic) -> float | None:
    if measurement is None:
        return None
    return measurement.copies if statistic == "median" else measurement.copies_min


def _number(copies: float | None) -> str:
    return "-" if copies is None else f"{copies:.3f}"
