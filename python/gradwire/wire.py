"""Messages on the wire: a header of 44 bytes, then tail, values, dense values and indices.

All numbers are little-endian. ``docs/wire-format.md`` describes every byte; a change of the layout
is a change of ``VERSION``. The decoder treats its input as hostile: the length must be one that
the header implies, every index must lie in the region that the receiver expects, strictly
increasing. Anything else raises :class:`~gradwire.errors.WireError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gradwire.errors import ConfigError, WireError
from gradwire.index_codecs import (
    CODECS,
    IndexCodec,
    decode_indices,
    encode_indices,
    smallest_codec,
)
from gradwire.payload import NO_INDICES, Indices, Payload
from gradwire.values import (
    FLOAT32,
    NO_VALUES,
    NOTHING,
    Encoded,
    Float32,
    ValueFormat,
    format_on_wire,
    typed,
)

MAGIC = b"GW"
VERSION = 2
# magic, version, kind, index codec, value format, dense format, reserved, agreement, step, numel,
# entries, dense values, tail, load, value parameters, dense parameters
_HEADER = struct.Struct("<2sBBBBBBIIIIIIIII")
HEADER_BYTES = _HEADER.size
LARGEST_INDEX_BYTES = 4  # a codec that takes more is never chosen

Bytes = npt.NDArray[np.uint8]


class Kind(IntEnum):
    """What a message is for."""

    PAYLOAD = 0  # a rank's whole payload
    SPLIT = 1  # entries for who adds them: the owner of a region, the next rank of a tree
    GATHER = 2  # reduced entries for all: of a region, from its owner, or of everything
    MOVE = 3  # reduced entries that an owner hands over to another rank, which tells them all


@dataclass(frozen=True)
class Message:
    """One message: who may use it (agreement, step), and what it carries."""

    kind: Kind
    agreement: int
    step: int
    indices: Indices = field(default_factory=lambda: NO_INDICES)
    values: Encoded = NOTHING
    dense: Encoded = NOTHING
    tail: Float32 = field(default_factory=lambda: NO_VALUES)
    load: int = 0


@dataclass(frozen=True)
class Expected:
    """What a receiver knows about a message before it looks."""

    kind: Kind
    agreement: int
    step: int
    begin: int
    length: int
    max_entries: int
    value_format: ValueFormat = FLOAT32
    dense_format: ValueFormat = FLOAT32
    dense_count: int = 0
    tail_count: int = 0

    @property
    def largest(self) -> int:
        """Upper bound for the bytes of the message."""
        return (
            HEADER_BYTES
            + LARGEST_INDEX_BYTES * self.max_entries
            + self.value_format.nbytes(self.max_entries)
            + self.dense_format.nbytes(self.dense_count)
            + 4 * self.tail_count
        )


def encode(message: Message, begin: int, length: int, codec: IndexCodec) -> Bytes:
    """Return the bytes of a message whose indices lie in ``[begin, begin + length)``.

    Layout: header, float32 tail, values, dense values, indices.
    """
    count = len(message.indices)
    parts = [message.tail.view(np.uint8), message.values.data, message.dense.data]
    ends = np.cumsum([HEADER_BYTES, *(len(part) for part in parts)]).tolist()
    out = np.empty(ends[-1] + codec.largest(count, length), np.uint8)
    _HEADER.pack_into(
        out.data, 0, MAGIC, VERSION, message.kind, codec.code, message.values.format.code,
        message.dense.format.code, 0, message.agreement, message.step & 0xFFFFFFFF, length, count,
        len(message.dense), len(message.tail), message.load, message.values.format.parameters,
        message.dense.format.parameters,
    )  # fmt: skip
    for part, (first, last) in zip(parts, pairwise(ends), strict=True):
        out[first:last] = part
    written = encode_indices(message.indices, begin, length, codec, out[ends[-1] :])
    return out[: ends[-1] + written]


@dataclass(frozen=True)
class _Header:
    """The fields of a message that its receiver needs."""

    codec: int
    count: int
    step: int
    load: int


def _read_header(data: Bytes, expected: Expected, who: str) -> _Header:
    if len(data) < HEADER_BYTES:
        raise WireError(f"{who}: {len(data)} bytes are too few for a header of {HEADER_BYTES}")
    (magic, version, kind, codec, value_code, dense_code, reserved, agreement, step, numel,
     count, dense_count, tail_count, load, value_parameters,
     dense_parameters) = _HEADER.unpack_from(data.data)  # fmt: skip
    values, dense = expected.value_format, expected.dense_format
    found = {
        "magic": (magic, MAGIC),
        "version": (version, VERSION),
        "kind": (kind, int(expected.kind)),
        "reserved byte": (reserved, 0),
        "agreement": (agreement, expected.agreement),
        "step": (step, expected.step & 0xFFFFFFFF),
        "region length": (numel, expected.length),
        "value format": ((value_code, value_parameters), values.on_wire),
        "dense value format": ((dense_code, dense_parameters), dense.on_wire),
        "number of dense values": (dense_count, expected.dense_count),
        "length of the tail": (tail_count, expected.tail_count),
        "load": (load, load if expected.kind is Kind.GATHER else 0),
    }
    for name, (got, want) in found.items():
        if got != want:
            raise WireError(f"{who}: {name} should be {want!r}, got {got!r}")
    if codec >= len(CODECS):
        raise WireError(f"{who}: index codec {codec} is unknown")
    if count > expected.max_entries:
        raise WireError(f"{who}: at most {expected.max_entries} entries expected, got {count}")
    return _Header(codec, count, step, load)


def decode(data: Bytes, expected: Expected, sender: int) -> Message:
    """Return the message in ``data``, checked against what the receiver expects.

    The arrays of the result are copies or views of ``data`` that nobody else holds.

    Raises:
        WireError: the bytes are not such a message; the text names the sender and what differs.
    """
    who = f"message from rank {sender}"
    header = _read_header(data, expected, who)
    count, codec = header.count, CODECS[header.codec]
    tail_end = HEADER_BYTES + 4 * expected.tail_count
    values_end = tail_end + expected.value_format.nbytes(count)
    dense_end = values_end + expected.dense_format.nbytes(expected.dense_count)
    if len(data) < dense_end:
        raise WireError(f"{who}: at least {dense_end} bytes expected, got {len(data)}")
    try:
        indices = decode_indices(data[dense_end:], count, expected.begin, expected.length, codec)
    except WireError as error:
        raise WireError(f"{who}: {error}") from None
    return Message(
        expected.kind,
        expected.agreement,
        header.step,
        indices,
        Encoded(expected.value_format, count, data[tail_end:values_end]),
        Encoded(expected.dense_format, expected.dense_count, data[values_end:dense_end]),
        typed(data[HEADER_BYTES:tail_end], np.dtype("<f4")),
        header.load,
    )


def encode_payload(payload: Payload) -> Bytes:
    """Return the bytes of a whole payload, for storage, tests and other programs."""
    values = payload.value_format.encode(payload.values, payload.stream)
    message = Message(Kind.PAYLOAD, 0, 0, payload.indices, values, payload.dense, payload.tail)
    return encode(message, 0, payload.numel, smallest_codec(len(payload.indices), payload.numel))


def decode_payload(data: Bytes | bytes | bytearray | memoryview) -> Payload:
    """Return the payload in bytes that :func:`encode_payload` made, or that claim to be such.

    Its values are the rounded ones, its dense values may be a view of ``data``; its budget is the
    number of its entries.

    Raises:
        ConfigError: not a contiguous buffer of bytes.
        WireError: the bytes are not one whole, consistent payload.
    """
    try:
        flat = np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ConfigError(f"decode_payload: expected contiguous bytes: {error}") from error
    if len(flat) < HEADER_BYTES:
        raise WireError(f"payload: {len(flat)} bytes are too few for a header of {HEADER_BYTES}")
    (_, _, _, _, value_code, dense_code, _, agreement, step, numel, count, dense_count,
     tail_count, _, value_word, dense_word) = _HEADER.unpack_from(flat.data)  # fmt: skip
    if count > numel:
        raise WireError(f"payload: {count} entries do not fit into {numel} elements")
    expected = Expected(
        Kind.PAYLOAD, agreement, step, 0, numel, count,
        format_on_wire(value_code, value_word), format_on_wire(dense_code, dense_word),
        dense_count, tail_count,
    )  # fmt: skip
    message = decode(flat, expected, sender=0)
    values = message.values.decode()
    return Payload(numel, message.indices, values, message.dense, count, tail=message.tail)
