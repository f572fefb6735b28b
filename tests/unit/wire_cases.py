"""Messages for tests of the wire form, with what a receiver expects of each."""

from __future__ import annotations

import numpy as np

from gradwire.payload import ValueFormat, format_of, to_format
from gradwire.wire import Expected, Kind, Message


def message(
    indices: list[int] | np.ndarray,
    dense: int = 0,
    value_format: ValueFormat = ValueFormat.FLOAT32,
    kind: Kind = Kind.SPLIT,
    load: int = 0,
) -> Message:
    """Return a message of agreement 0xC0FFEE01 and step 7."""
    at = np.array(indices, np.uint32)
    values = (np.arange(len(at)) - 1.5).astype(np.float32)
    parts = to_format(np.linspace(-2, 2, dense).astype(np.float32), value_format)
    return Message(kind, 0xC0FFEE01, 7, at, values, parts, load)


def expected(of: Message, begin: int, length: int, max_entries: int | None = None) -> Expected:
    """Return what the receiver of a message expects; by default no more entries than it has."""
    return Expected(
        of.kind,
        of.agreement,
        of.step,
        begin,
        length,
        format_of(of.dense),
        len(of.dense),
        len(of.indices) if max_entries is None else max_entries,
    )


# name -> (message, begin, length)
CASES: dict[str, tuple[Message, int, int]] = {
    "empty": (message([]), 0, 0),
    "nothing_selected": (message([]), 100, 5000),
    "u32": (message([70_000, 70_001, 199_999]), 60_000, 140_000),
    "tile16": (message([10, 12, 13, 14, 40, 4095], load=99, kind=Kind.GATHER), 10, 4086),
    "tiles": (message([65_535 * i for i in range(1, 5)] + [262_200]), 1, 262_200),
    "end_of_range": (message([2**32 - 2]), 2**32 - 11, 10),
    "dense": (message([], dense=5), 0, 0),
    "float16": (message([], dense=3, value_format=ValueFormat.FLOAT16), 0, 0),
    "bfloat16": (message([], dense=3, value_format=ValueFormat.BFLOAT16), 0, 0),
    "both": (message([3, 8], dense=3, value_format=ValueFormat.FLOAT16), 2, 7),
}
