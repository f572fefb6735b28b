"""Unions and intersections that are only queued; see `gradwire.kernels.sparse`.

out_found: (2,) uint64, the number of entries found and 0. Any other second word: the indices of a
chunk (or of a or b) are not strictly increasing, and the rest means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, length
from gradwire.kernels.sparse import check_chunks

_MOST_ENTRIES = 2**40  # of all chunks


def merge_workspace(chunks: int, entries: int) -> int:
    """Return the bytes of workspace of merge, for so many chunks with so many entries together."""
    who = "queued.merge_workspace"
    chunks = integer(f"{who}: chunks", chunks, 0, MAX_LENGTH)
    entries = integer(f"{who}: entries", entries, 0, _MOST_ENTRIES)
    return int(native.cuda().queued_merge_workspace(chunks, entries))


def merge(
    index_chunks: Sequence[Array],
    value_chunks: Sequence[Array],
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.merge`.

    Entries beyond the outputs' length are counted and not written. workspace:
    merge_workspace(chunks, entries) bytes.
    """
    check_chunks("queued.merge", index_chunks, value_chunks)
    operations = native.cuda()
    if workspace is None:
        entries = sum(length(chunk) for chunk in index_chunks)
        size = operations.queued_merge_workspace(len(index_chunks), entries)
        workspace = native.workspace(size, out_indices)
    operations.queued_merge(
        list(index_chunks), list(value_chunks), out_indices, out_values, out_found, workspace
    )


def intersect_workspace(count: int) -> int:
    """Return the bytes of workspace of intersect, for an ``a`` of so many elements."""
    count = integer("queued.intersect_workspace: count", count, 0, MAX_LENGTH)
    return int(native.cuda().queued_intersect_workspace(count))


def intersect(
    a: Array,
    b: Array,
    out: Array,
    out_positions: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.intersect`; workspace: intersect_workspace(len(a)) bytes."""
    operations = native.cuda()
    if workspace is None:
        workspace = native.workspace(operations.queued_intersect_workspace(length(a)), a)
    operations.queued_intersect(a, b, out, out_positions, out_found, workspace)
