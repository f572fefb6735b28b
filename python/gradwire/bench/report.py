"""Results of a benchmark and the JSON they are kept in."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from gradwire.bench.files import cannot, write_json
from gradwire.errors import ConfigError

FORMAT = 1
COPY_BYTES = 8  # of traffic per element of a copy of float32: one read, one written


@dataclass(frozen=True)
class Measurement:
    """One subject's times for one row.

    peer: name of the peer, None for gradwire's own kernel. isa: None for peers. nbytes: counted
    bytes of one call. wrong: elements that are not what they must be; None if not comparable.
    """

    row: str
    peer: str | None
    isa: str | None
    threads: int
    numel: int
    nbytes: float
    wrong: int | None
    seconds: list[float]
    copy_seconds: list[float]

    @property
    def key(self) -> tuple[str, str | None, str | None, int]:
        """What makes two measurements those of the same thing."""
        return (self.row, self.peer, self.isa, self.threads)

    @property
    def median_seconds(self) -> float:
        """Median time of a call."""
        return median(self.seconds)

    @property
    def copies(self) -> float:
        """Median time in medians of a copy of numel float32."""
        return self.median_seconds / median(self.copy_seconds)

    @property
    def copies_min(self) -> float:
        """Shortest time in shortest times of a copy."""
        return min(self.seconds) / min(self.copy_seconds)

    @property
    def floor(self) -> float:
        """Time in copies if counted bytes moved as fast as a copy's."""
        return self.nbytes / (COPY_BYTES * self.numel)

    @property
    def gigabytes_per_second(self) -> float:
        """Counted bytes in median time."""
        return self.nbytes / self.median_seconds * 1e-9

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and for readers without this class what follows from them."""
        return asdict(self) | {
            "median_seconds": self.median_seconds,
            "min_seconds": min(self.seconds),
            "copies": self.copies,
            "copies_min": self.copies_min,
            "floor": self.floor,
            "gigabytes_per_second": self.gigabytes_per_second,
        }


@dataclass
class Report:
    """Everything that one run of a benchmark has to say."""

    settings: dict[str, Any]
    environment: dict[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # rows of which nothing was measured

    @property
    def where(self) -> str:
        """Name of the GPU, or of the processor if it ran there."""
        device = self.environment.get("device")
        return str((device or {}).get("name") or self.environment["machine"]["processor"])

    @property
    def wrong_rows(self) -> list[str]:
        """Names of the rows with wrong results, gradwire's or a peer's."""
        return sorted({each.row for each in self.measurements if each.wrong})


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON.

    Raises:
        ConfigError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "benchmark": "kernels",
        "settings": report.settings,
        "environment": report.environment,
        "notes": report.notes,
        "rows": [each.to_json() for each in report.measurements],
    }
    write_json("bench kernels", content, path)


def read_report(path: Path) -> Report:
    """Return the report that write_report wrote.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["benchmark"]) != (FORMAT, "kernels"):
            raise ValueError(f"format {content['format']} of {content['benchmark']!r}")
        names = Measurement.__dataclass_fields__
        rows = [Measurement(**{name: row[name] for name in names}) for row in content["rows"]]
        report = Report(content["settings"], content["environment"], rows, content["notes"])
        _check_content(report)
    except OSError as error:
        raise cannot("bench", "read", path, error) from None
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"bench: {path} is no result of 'bench kernels --json' of this version ({why})"
        ) from None
    return report


def _check_content(report: Report) -> None:
    """Raise what comes of it if a part is not what write_report writes."""
    settings = report.settings
    if not (settings["numel"] > 0 and 0 < settings["density"] <= 1):
        raise ValueError("numel and density must be above 0")
    str(report.where)
    for each in report.measurements:
        hash(each.key)
        times = [*each.seconds, *each.copy_seconds, each.nbytes, each.numel]
        if not all(math.isfinite(time) and time > 0 for time in times):
            raise ValueError(f"times of {each.row} must be above 0")
        each.to_json()
