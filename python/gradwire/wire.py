"""Messages on the wire: a header of 32 bytes, then values, dense values and indices.

All numbers are little-endian. ``docs/wire-format.md`` describes every byte; a change of the layout
is a change of ``VERSION``. The decoder treats its input as hostile: the length must be the one that
the header implies, every index must lie in the region that the receiver expects, strictly
increasing. Anything else raises :class:`~gradwire.errors.WireError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import ConfigError, WireError
from gradwire.payload import (
    NO_INDICES,
    NO_VALUES,
    DenseValues,
    Float32,
    Indices,
    Payload,
    ValueFormat,
    dtype_of,
    format_of,
)

MAGIC = b"GW"
VERSION = 1
# magic, version, kind, index codec, dense value format, flags, reserved, agreement, step, numel,
# entries, dense values, load
_HEADER = struct.Struct("<2sBBBBBBIIIIII")
HEADER_BYTES = _HEADER.size
# Indices take the smaller of the codecs; the number is the code on the wire.
INDEX_CODECS = ("u32", "tile16")
LARGEST_ENTRY_BYTES = 8  # float32 value and u32 index

Bytes = npt.NDArray[np.uint8]


class Kind(IntEnum):
    """What a message is for."""

    PAYLOAD = 0  # a rank's whole payload
    SPLIT = 1  # entries for the owner of a region
    GATHER = 2  # the reduced entries of a region, from its owner


@dataclass(frozen=True)
class Message:
    """One message: who may use it (agreement, step), and what it carries."""

    kind: Kind
    agreement: int
    step: int
    indices: Indices = field(default_factory=lambda: NO_INDICES)
    values: Float32 = field(default_factory=lambda: NO_VALUES)
    dense: DenseValues = field(default_factory=lambda: NO_VALUES)
    load: int = 0


@dataclass(frozen=True)
class Expected:
    """What a receiver knows about a message before it looks."""

    kind: Kind
    agreement: int
    step: int
    begin: int
    length: int
    dense_format: ValueFormat
    dense_count: int
    max_entries: int


def largest_message(entries: int, dense_count: int, dense_format: ValueFormat) -> int:
    """Return an upper bound, in bytes, for a message with so many entries and dense values."""
    return (
        HEADER_BYTES + LARGEST_ENTRY_BYTES * entries + dtype_of(dense_format).itemsize * dense_count
    )


def encode(message: Message, begin: int, length: int) -> Bytes:
    """Return the bytes of a message whose indices lie in ``[begin, begin + length)``.

    Layout: header, float32 values, dense values, indices in the smaller of the index codecs.
    """
    count = len(message.indices)
    sizes = [kernels.encoded_size(count, length, codec) for codec in INDEX_CODECS]
    codec = int(np.argmin(sizes))
    dense_format = format_of(message.dense)
    dense_bytes = message.dense.nbytes
    out = np.empty(HEADER_BYTES + 4 * count + dense_bytes + sizes[codec], np.uint8)
    _HEADER.pack_into(
        out.data, 0, MAGIC, VERSION, message.kind, codec, dense_format, 0, 0, message.agreement,
        message.step & 0xFFFFFFFF, length, count, len(message.dense), message.load,
    )  # fmt: skip
    values_end = HEADER_BYTES + 4 * count
    out[HEADER_BYTES:values_end] = message.values.view(np.uint8)
    dense_end = values_end + dense_bytes
    out[values_end:dense_end] = np.ascontiguousarray(message.dense).view(np.uint8)
    kernels.encode_indices(message.indices, begin, length, INDEX_CODECS[codec], out[dense_end:])
    return out


def decode(data: Bytes, expected: Expected, sender: int) -> Message:
    """Return the message in ``data``, checked against what the receiver expects.

    The arrays of the result are copies or views of ``data`` that nobody else holds.

    Raises:
        WireError: the bytes are not such a message; the text names the sender and what differs.
    """
    who = f"message from rank {sender}"
    if len(data) < HEADER_BYTES:
        raise WireError(f"{who}: {len(data)} bytes are too few for a header of {HEADER_BYTES}")
    (magic, version, kind, codec, dense_format, flags, reserved, agreement, step, numel,
     count, dense_count, load) = _HEADER.unpack_from(data.data)  # fmt: skip
    found = {
        "magic": (magic, MAGIC),
        "version": (version, VERSION),
        "kind": (kind, int(expected.kind)),
        "flags": ((flags, reserved), (0, 0)),
        "agreement": (agreement, expected.agreement),
        "step": (step, expected.step & 0xFFFFFFFF),
        "region length": (numel, expected.length),
        "dense value format": (dense_format, int(expected.dense_format)),
        "number of dense values": (dense_count, expected.dense_count),
        "load": (load, load if expected.kind is Kind.GATHER else 0),
    }
    for name, (got, want) in found.items():
        if got != want:
            raise WireError(f"{who}: {name} should be {want!r}, got {got!r}")
    if codec >= len(INDEX_CODECS):
        raise WireError(f"{who}: index codec {codec} is unknown")
    if count > expected.max_entries:
        raise WireError(f"{who}: at most {expected.max_entries} entries expected, got {count}")
    values_end = HEADER_BYTES + 4 * count
    dense_end = values_end + dtype_of(expected.dense_format).itemsize * dense_count
    size = dense_end + kernels.encoded_size(count, expected.length, INDEX_CODECS[codec])
    if len(data) != size:
        raise WireError(f"{who}: {size} bytes expected, got {len(data)}")
    indices = kernels.decode_indices(
        data[dense_end:], count, expected.begin, expected.length, INDEX_CODECS[codec]
    )
    return Message(
        expected.kind,
        agreement,
        step,
        indices,
        _typed(data[HEADER_BYTES:values_end], np.dtype("<f4")),
        _typed(data[values_end:dense_end], dtype_of(expected.dense_format)),
        load,
    )


def _typed(data: Bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Reinterpret bytes, copying only where the buffer is not aligned for the dtype."""
    if data.ctypes.data % dtype.itemsize:
        data = data.copy()
    return data.view(dtype)


def encode_payload(payload: Payload) -> Bytes:
    """Return the bytes of a whole payload, for storage, tests and other programs."""
    message = Message(Kind.PAYLOAD, 0, 0, payload.indices, payload.values, payload.dense)
    return encode(message, 0, payload.numel)


def decode_payload(data: Bytes | bytes | bytearray | memoryview) -> Payload:
    """Return the payload in bytes that :func:`encode_payload` made, or that claim to be such.

    Its arrays may be views of ``data``; its budget is the number of its entries.

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
    fields = _HEADER.unpack_from(flat.data)
    dense_format, agreement, step, numel, count, dense_count = (fields[4], *fields[7:12])
    if dense_format not in list(ValueFormat):
        raise WireError(f"payload: dense value format {dense_format} is unknown")
    if count > numel:
        raise WireError(f"payload: {count} entries do not fit into {numel} elements")
    expected = Expected(
        Kind.PAYLOAD, agreement, step, 0, numel, ValueFormat(dense_format), dense_count, count
    )
    message = decode(flat, expected, sender=0)
    return Payload(numel, message.indices, message.values, message.dense, count)
