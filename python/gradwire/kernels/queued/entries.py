"""Operations on entries that are only queued; see `gradwire.kernels.sparse` and `.indices`."""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array
from gradwire.kernels.arrays import length as length_of
from gradwire.kernels.indices import codec_number, index_range, require_size

# Bits of out_status. Nothing was written then.
NOT_INCREASING = 1
OUT_OF_RANGE = 2
# The second word of out_outcome if all went well.
NO_TROUBLE = 2**64 - 1


def clear(x: Array, indices: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.clear` of some elements.

    out_status: (1,) uint32, which becomes 0; or NOT_INCREASING, OUT_OF_RANGE or both, and x stays
    as it is.
    """
    native.cuda().queued_clear(x, indices, out_status)


def scatter(out: Array, indices: Array, values: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.scatter`; out_status: see clear."""
    native.cuda().queued_scatter(out, indices, values, out_status)


def scatter_add(out: Array, indices: Array, values: Array, out_status: Array) -> None:
    """Queue `gradwire.kernels.scatter_add`; out_status: see clear."""
    native.cuda().queued_scatter_add(out, indices, values, out_status)


def encode_indices_workspace(count: int, codec: str) -> int:
    """Return the bytes of workspace of encode_indices."""
    who = "queued.encode_indices_workspace"
    count = integer(f"{who}: count", count, 0, MAX_LENGTH)
    number = codec_number(who, codec)
    return int(native.cuda().queued_encode_indices_workspace(count, number))


def encode_indices(
    indices: Array,
    begin: int,
    length: int,
    codec: str,
    out: Array,
    out_outcome: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.encode_indices`.

    out: at least (max_encoded_size(...),) uint8. out_outcome: (2,) uint64, the bytes of the message
    and NO_TROUBLE. Any other second word: indices are not strictly increasing or outside the range,
    and nothing was written to out. All of `indices` is encoded: what a selection did not fill is
    refused so. workspace: encode_indices_workspace(count, codec) bytes.
    """
    begin, length = index_range("queued.encode_indices", begin, length)
    number = codec_number("queued.encode_indices", codec)
    operations = native.cuda()
    if workspace is None:
        size = operations.queued_encode_indices_workspace(length_of(indices), number)
        workspace = native.workspace(size, indices)
    operations.queued_encode_indices(indices, begin, length, number, out, out_outcome, workspace)


def decode_indices_workspace(count: int, length: int, codec: str) -> int:
    """Return the bytes of workspace of decode_indices."""
    who = "queued.decode_indices_workspace"
    count = integer(f"{who}: count", count, 0, MAX_LENGTH)
    length = integer(f"{who}: length", length, 0, WORD)
    number = codec_number(who, codec)
    return int(native.cuda().queued_decode_indices_workspace(count, length, number))


def decode_indices(
    data: Array,
    count: int,
    begin: int,
    length: int,
    codec: str,
    out: Array,
    out_outcome: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.decode_indices`.

    data: all bytes of the message; a length that none of `count` indices has raises WireError at
    once. out: at least (count,) uint32. out_outcome: (2,) uint64, 0 and NO_TROUBLE. Any other
    second word: the message is wrong, and the contents of out mean nothing. workspace:
    decode_indices_workspace(count, length, codec) bytes.
    """
    who = "queued.decode_indices"
    count = integer(f"{who}: count", count, 0, MAX_LENGTH)
    begin, length = index_range(who, begin, length)
    number = codec_number(who, codec)
    operations = native.cuda()
    require_size(who, length_of(data), count, length, number)
    if workspace is None:
        size = operations.queued_decode_indices_workspace(count, length, number)
        workspace = native.workspace(size, data)
    operations.queued_decode_indices(
        data, count, begin, length, number, out, out_outcome, workspace
    )
