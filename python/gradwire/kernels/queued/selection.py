"""Selections that are only queued; see `gradwire.kernels.selection` and `.momentum`.

Common to all: out_indices (uint32) and out_values (float32) are the capacity. out_found: (3,)
uint64, what became of it: how many entries were written; how many were found, more than written if
the capacity was too small; and in the low half of the third word (float32 number 4 of the six that
the array is) the threshold, the high half meaning nothing. `read_found` takes that apart. What lies
behind the written entries is unspecified.

A threshold or floor: a number >= 0, or (1,) float32 on the device, of which the magnitude counts;
nobody checks what is there.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from gradwire.errors import ConfigError
from gradwire.kernels import native
from gradwire.kernels.arguments import finite, flag, integer, magnitude
from gradwire.kernels.arrays import MAX_LENGTH, Array, length


class Found(NamedTuple):
    """What became of a selection: see `gradwire.kernels.Selected`."""

    written: int
    found: int
    threshold: float


def read_found(words: Array) -> Found:
    """Return what out_found says, given a copy of it on the host: (3,) uint64.

    Raises:
        ConfigError: it is no such array.
    """
    if not (isinstance(words, np.ndarray) and words.dtype == np.uint64 and words.shape == (3,)):
        raise ConfigError(f"read_found: words must be a NumPy array (3,) uint64, got {words!r}")
    half = 0 if sys.byteorder == "little" else 1
    threshold = np.ascontiguousarray(words[2:]).view(np.float32)[half]
    return Found(int(words[0]), int(words[1]), float(threshold))


def select_workspace(n: int) -> int:
    """Return the bytes of workspace of select and its relatives, n / 512 or so."""
    n = integer("queued.select_workspace: n", n, 0, MAX_LENGTH)
    return int(native.cuda().queued_select_workspace(n))


def topk_workspace(n: int, k: int) -> int:
    """Return the bytes of workspace of topk and its relatives: O(k) and n / 256 or so."""
    n = integer("queued.topk_workspace: n", n, 0, MAX_LENGTH)
    k = integer("queued.topk_workspace: k", k, 0, MAX_LENGTH)
    return int(native.cuda().queued_topk_workspace(n, k))


def select(
    x: Array,
    threshold: float | Array,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.select`. workspace: select_workspace(n) bytes."""
    threshold = _number("queued.select: threshold", threshold)
    work = _select_room(x, workspace)
    native.cuda().queued_select(x, threshold, out_indices, out_values, out_found, work)


def compensate_select(
    gradient: Array,
    residual: Array,
    threshold: float | Array,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.compensate_select`. workspace: select_workspace(n) bytes."""
    threshold = _number("queued.compensate_select: threshold", threshold)
    work = _select_room(gradient, workspace)
    native.cuda().queued_compensate_select(
        gradient, residual, threshold, out_acc, out_indices, out_values, out_found, work
    )


def momentum_select(
    gradient: Array,
    momentum: Array,
    residual: Array,
    factor: float,
    threshold: float | Array,
    out_momentum: Array,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
    *,
    nesterov: bool = False,
) -> None:
    """Queue `gradwire.kernels.momentum_select`. workspace: select_workspace(n) bytes."""
    factor = finite("queued.momentum_select: factor", factor)
    nesterov = flag("queued.momentum_select: nesterov", nesterov)
    threshold = _number("queued.momentum_select: threshold", threshold)
    work = _select_room(gradient, workspace)
    native.cuda().queued_momentum_select(
        gradient, momentum, residual, factor, nesterov, threshold, out_momentum, out_acc,
        out_indices, out_values, out_found, work,
    )  # fmt: skip


def topk(
    x: Array,
    k: int,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.topk`.

    out_indices, out_values: at least min(k, n) elements; workspace: topk_workspace(n, k) bytes.
    """
    k = integer("queued.topk: k", k, 0, MAX_LENGTH)
    work = _topk_room(x, k, workspace)
    native.cuda().queued_topk(x, k, out_indices, out_values, out_found, work)


def compensate_topk(
    gradient: Array,
    residual: Array,
    k: int,
    floor: float | Array,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
) -> None:
    """Queue `gradwire.kernels.compensate_topk`; outputs and workspace: see topk."""
    k = integer("queued.compensate_topk: k", k, 0, MAX_LENGTH)
    floor = _number("queued.compensate_topk: floor", floor)
    work = _topk_room(gradient, k, workspace)
    native.cuda().queued_compensate_topk(
        gradient, residual, k, floor, out_acc, out_indices, out_values, out_found, work
    )


def momentum_topk(
    gradient: Array,
    momentum: Array,
    residual: Array,
    factor: float,
    k: int,
    floor: float | Array,
    out_momentum: Array,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
    out_found: Array,
    workspace: Array | None = None,
    *,
    nesterov: bool = False,
) -> None:
    """Queue `gradwire.kernels.momentum_topk`; outputs and workspace: see topk."""
    factor = finite("queued.momentum_topk: factor", factor)
    nesterov = flag("queued.momentum_topk: nesterov", nesterov)
    k = integer("queued.momentum_topk: k", k, 0, MAX_LENGTH)
    floor = _number("queued.momentum_topk: floor", floor)
    work = _topk_room(gradient, k, workspace)
    native.cuda().queued_momentum_topk(
        gradient, momentum, residual, factor, nesterov, k, floor, out_momentum, out_acc,
        out_indices, out_values, out_found, work,
    )  # fmt: skip


def _number(who: str, value: float | Array) -> float | Array:
    """Return a number that is checked, or an array of one, which native code checks.

    float() of a tensor would wait for it.
    """
    if hasattr(value, "__dlpack__") or hasattr(value, "__cuda_array_interface__"):
        return value
    return magnitude(who, value)


def _select_room(x: Array, workspace: Array | None) -> Array:
    return native.workspace(select_workspace(length(x)), x) if workspace is None else workspace


def _topk_room(x: Array, k: int, workspace: Array | None) -> Array:
    return native.workspace(topk_workspace(length(x), k), x) if workspace is None else workspace
