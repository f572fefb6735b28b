"""Error feedback: what did not get through stays, and is added to the next gradient.

During an exchange the accumulator (residual + gradient) is written beside the residual, never over
it. Only :meth:`Residual.commit`, called when the exchange has succeeded, replaces the residual; an
exchange that failed or met non-finite values has changed nothing.

Memory: two float32 vectors, 8 bytes per element. After a commit the old residual's memory is free
until the next exchange and holds the result meanwhile.
"""

from __future__ import annotations

import abc

from gradwire.errors import ConfigError, require_integer
from gradwire.kernels.arrays import Array, overlap
from gradwire.payload import Float32
from gradwire.staging import fill, put, vector

# The next step's k-th magnitude is rarely below this share of the last one. A floor that is too
# high costs one more read of the bucket; so does one that more than 3 k entries reach, and where
# residuals pile up below the k-th magnitude as many reach 0.8 of it.
_FLOOR_SHARE = 0.92


def next_floor(magnitude: float) -> float:
    """Return a floor for the next selection, given the k-th magnitude of this one."""
    return _FLOOR_SHARE * magnitude


class Residual(abc.ABC):
    """The residual of one bucket and the accumulator beside it.

    Attributes:
        values: (n,) float32, what earlier exchanges left behind; on the host or in a GPU's memory.
        acc: (n,) float32, written by the exchange.
        floor: a magnitude that speeds up the next selection; never changes its result.
    """

    values: Float32
    acc: Float32
    floor: float = 0.0

    @abc.abstractmethod
    def commit(self) -> Float32:
        """Make the settled accumulator the residual; return memory that is free for the result."""


class OwnedResidual(Residual):
    """A residual in memory of its own: a commit swaps two buffers and copies nothing.

    Args:
        numel: elements of the gradient.
        like: an array, such as the gradient, in whose GPU's memory the residual is to be, if that
            is where it is and this build has CUDA kernels; else it is on the host.
    """

    def __init__(self, numel: int, like: Array | None = None) -> None:
        require_integer("OwnedResidual: numel", numel, 0)
        self.values = vector(numel, like)
        self.acc = vector(numel, like)
        fill(self.values, 0.0)
        fill(self.acc, 0.0)

    def commit(self) -> Float32:
        """Swap residual and accumulator."""
        self.values, self.acc = self.acc, self.values
        return self.acc


class BorrowedResidual(Residual):
    """A residual in the caller's array, updated in place; ``out`` serves as the accumulator.

    Args:
        values: (n,) float32 array of the caller.
        out: (n,) float32 where the result will be, of the same library and on the same device;
            holds the accumulator during the exchange.
    """

    def __init__(self, values: Float32, out: Float32) -> None:
        if overlap(values, out):
            raise ConfigError("residual and out must not share memory")
        self.values, self.acc = values, out

    def commit(self) -> Float32:
        """Copy the accumulator over the caller's residual."""
        put(self.values, self.acc)
        return self.acc
