"""Messages for tests of the wire form, with what a receiver expects of each."""

from __future__ import annotations

import numpy as np

from gradwire.values import BFLOAT16, FLOAT16, FLOAT32, Sign, Uniform, ValueFormat
from gradwire.wire import Expected, Kind, Message


def message(
    indices: list[int] | np.ndarray,
    dense: int = 0,
    dense_format: ValueFormat = FLOAT32,
    value_format: ValueFormat = FLOAT32,
    tail: int = 0,
    kind: Kind = Kind.SPLIT,
    load: int = 0,
) -> Message:
    """Return a message of agreement 0xC0FFEE01 and step 7."""
    at = np.array(indices, np.uint32)
    values = (np.arange(len(at)) - 1.5).astype(np.float32)
    return Message(
        kind,
        0xC0FFEE01,
        7,
        at,
        value_format.encode(values),
        dense_format.encode(np.linspace(-2, 2, dense).astype(np.float32)),
        np.arange(1, tail + 1, dtype=np.float32) / 4,
        load,
    )


def expected(of: Message, begin: int, length: int, max_entries: int | None = None) -> Expected:
    """Return what the receiver of a message expects; by default no more entries than it has."""
    return Expected(
        of.kind,
        of.agreement,
        of.step,
        begin,
        length,
        len(of.indices) if max_entries is None else max_entries,
        of.values.format,
        of.dense.format,
        len(of.dense),
        len(of.tail),
    )


# name -> (message, begin, length, index codec)
CASES: dict[str, tuple[Message, int, int, str]] = {
    "empty": (message([]), 0, 0, "all"),
    "nothing_selected": (message([]), 100, 5000, "u32"),
    "u32": (message([70_000, 70_001, 199_999]), 60_000, 140_000, "u32"),
    "tile16": (message([10, 12, 13, 14, 40, 4095], load=99, kind=Kind.GATHER), 10, 4086, "tile16"),
    "tiles": (message([65_535 * i for i in range(1, 5)] + [262_200]), 1, 262_200, "tile16"),
    "bitmap": (message([5, 6, 9, 12, 13, 14]), 5, 11, "bitmap"),
    "rice": (message([100, 103, 230, 231, 500]), 100, 1000, "rice"),
    "all": (message([7, 8, 9]), 7, 3, "all"),
    "end_of_range": (message([2**32 - 2]), 2**32 - 11, 10, "u32"),
    "dense": (message([], dense=5), 0, 0, "all"),
    "float16": (message([], dense=3, dense_format=FLOAT16), 0, 0, "all"),
    "bfloat16": (message([], dense=3, dense_format=BFLOAT16), 0, 0, "all"),
    "uniform": (message([], dense=20, dense_format=Uniform(4, 16)), 0, 0, "all"),
    "sign": (message([], dense=20, dense_format=Sign(16)), 0, 0, "all"),
    "short_values": (message([3, 8, 9], value_format=BFLOAT16), 2, 9, "u32"),
    "coded_values": (message([3, 8, 9], value_format=Uniform(8, 16)), 2, 9, "bitmap"),
    "both": (message([3, 8], dense=3, dense_format=FLOAT16, tail=2), 2, 7, "u32"),
}
