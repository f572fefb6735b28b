"""Print training runs side by side: ``python compare_runs.py DENSE.json COMPRESSED.json ...``.

Each file holds what one run of an example wrote with ``--summary``. The first run is the one that
the others are compared with.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Summary = dict[str, Any]

KEYS = (
    "compressor",
    "ranks",
    "loss",
    "accuracy",
    "wire_bytes_per_step",
    "dense_bytes_per_step",
    "step_seconds",
    "steps",
    "parameters",
)

# Label, and how its value reads.
ROWS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("loss", lambda run: f"{run['loss']:.4f}"),
    ("accuracy", lambda run: f"{100 * run['accuracy']:.2f} %"),
    ("wire bytes per step and rank", lambda run: f"{run['wire_bytes_per_step']:,.0f}"),
    ("  after its warm-up", lambda run: text_of(steady_bytes(run))),
    ("time per step", lambda run: f"{1e3 * run['step_seconds']:.2f} ms"),
)


def steady_bytes(run: Summary) -> float | None:
    """Return the wire bytes per step and rank at the final density; None if it was not reached."""
    whole: float = run["wire_bytes_per_step"]
    steady: float | None = run.get("wire_bytes_per_step_after_warmup", whole)
    return steady


def text_of(count: float | None) -> str:
    """Return a number of bytes for people."""
    return "-" if count is None else f"{count:,.0f}"


def read_summary(path: Path) -> Summary:
    """Return the summary in ``path``; a missing key ends the program with a message naming it."""
    summary: Summary = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in KEYS if key not in summary]
    if missing:
        raise SystemExit(f"compare_runs: {path}: expected the keys {list(KEYS)}, missing {missing}")
    return summary


def table(runs: Sequence[Summary]) -> list[str]:
    """Return the lines of a table with one column a run."""
    cells = [["", *(str(run["compressor"]) for run in runs)]]
    cells += [[label, *(text(run) for run in runs)] for label, text in ROWS]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        values = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("   ".join([row[0].ljust(widths[0]), *values]))
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:], rule]


def comparison(first: Summary, other: Summary) -> str:
    """Return one sentence: how the bytes and the accuracy of ``other`` compare with ``first``'s."""
    names = f"{other['compressor']} against {first['compressor']}"
    points = f"accuracy {100 * (other['accuracy'] - first['accuracy']):+.2f} points"
    if other["wire_bytes_per_step"] <= 0 or first["wire_bytes_per_step"] <= 0:
        return f"{names}: {points} (a single rank sends nothing)"
    overall = first["wire_bytes_per_step"] / other["wire_bytes_per_step"]
    before, after = steady_bytes(first), steady_bytes(other)
    steady = f"/ {before / after:.1f} after warm-up" if before and after else "all in its warm-up"
    return f"{names}: wire bytes / {overall:.1f} overall, {steady}; {points}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the files named on the command line and print the table."""
    parser = argparse.ArgumentParser(description="Print training runs side by side.")
    parser.add_argument("summaries", nargs="+", type=Path, help="files written with --summary")
    runs = [read_summary(path) for path in parser.parse_args(arguments).summaries]
    first = runs[0]
    print(f"{first['parameters']:,} parameters, {first['steps']} steps, {first['ranks']} ranks")
    print("\n".join(table(runs)))
    for run in runs[1:]:
        print(comparison(first, run))


if __name__ == "__main__":
    main()
