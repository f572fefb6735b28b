"""The arrays around a selection: output buffers, workspace, and what may share memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradwire.kernels.arrays import (
    Array,
    View,
    allocate,
    require_disjoint,
    require_length,
    view,
    writable,
)

Named = tuple[str, View]


class Selected(NamedTuple):
    """Entries chosen from a vector, in index order.

    indices: (count,) uint32 and values: (count,) float32 are views of the output buffers, trimmed
    to what was written. found: how many entries qualified; more than count if the buffers were too
    small. threshold: smallest selected magnitude, or what the operation's docstring says.
    """

    indices: Array
    values: Array
    found: int
    threshold: float


class EntryBuffers(NamedTuple):
    """Output buffers of one selection and where they are."""

    indices: Array
    values: Array
    at_indices: View
    at_values: View

    @property
    def capacity(self) -> int:
        """Return the number of entries that fit."""
        return min(self.at_indices.size, self.at_values.size)

    def named(self) -> list[Named]:
        """Return the buffers with their argument names, for messages."""
        return [("out_indices", self.at_indices), ("out_values", self.at_values)]

    def selected(self, result: tuple[int, int, float]) -> Selected:
        """Return the written part of the buffers; result: (written, found, threshold)."""
        count, found, threshold = result
        return Selected(self.indices[:count], self.values[:count], found, threshold)


def entries(
    who: str, indices: Array | None, values: Array | None, least: int, like: Array
) -> EntryBuffers:
    """Return checked buffers for at least `least` entries, allocated like `like` where None."""
    indices = allocate(least, "uint32", like) if indices is None else indices
    values = allocate(least, "float32", like) if values is None else values
    return EntryBuffers(
        indices,
        values,
        writable(f"{who}: out_indices", indices, "uint32", least),
        writable(f"{who}: out_values", values, "float32", least),
    )


def workspace_view(who: str, workspace: Array | None, least: int) -> View:
    """Return a workspace of at least `least` bytes, allocated when None."""
    if workspace is None:
        workspace = np.empty(least, np.uint8)
    return writable(f"{who}: workspace", workspace, "uint8", least)


def require_apart(who: str, inputs: Sequence[Named], outputs: Sequence[Named]) -> None:
    """Raise ConfigError if an output shares memory with an input or with another output."""
    for position, (name, output) in enumerate(outputs):
        for other_name, other in [*inputs, *outputs[:position]]:
            require_disjoint(who, other, output, f"{other_name} and {name}")


def compensation(
    who: str, gradient: Array, residual: Array, out_acc: Array, outputs: Sequence[Named]
) -> tuple[View, View, View]:
    """Check the dense arrays of acc = residual + gradient; return where they are, acc last.

    out_acc may be gradient itself, but must not overlap it in part, nor the residual at all.
    """
    at_gradient = view(f"{who}: gradient", gradient, "float32")
    at_residual = view(f"{who}: residual", residual, "float32")
    at_acc = writable(f"{who}: out_acc", out_acc, "float32")
    require_length(f"{who}: residual", at_residual, at_gradient.size, "gradient")
    require_length(f"{who}: out_acc", at_acc, at_gradient.size, "gradient")
    inputs = [("residual", at_residual)]
    if at_acc.address != at_gradient.address:
        inputs.append(("gradient", at_gradient))
    require_apart(who, inputs, [("out_acc", at_acc), *outputs])
    return at_gradient, at_residual, at_acc
