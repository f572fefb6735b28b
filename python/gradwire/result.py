"""Where the dense result of a bucket goes: memory, and what of it must be cleared first.

A sparse result is few entries among zeros. In memory that only gradwire writes the zeros are there
already but for the last result's entries, so clearing takes O(k) writes; in anybody else's, O(n).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradwire import kernels
from gradwire.errors import ConfigError, require_integer
from gradwire.kernels.arrays import Array, on_device
from gradwire.payload import Float32, Indices
from gradwire.staging import fill, vector

# On the host, so that whoever waits can look around in between; a GPU is told all at once.
CLEARED_AT_ONCE = 1 << 18  # elements: some 50 us
ENTRIES_AT_ONCE = 1 << 13  # scattered ones: about as long


class Result:
    """Memory of (n,) float32 and what of it may be other than zero.

    Attributes:
        values: (n,) float32, the memory as others see it; on the host or a GPU.
    """

    def __init__(self, memory: Float32) -> None:
        self._memory = self.values = memory
        self._at_once = max(1, len(memory)) if on_device(memory) else 0
        self._written: list[slice | Indices] = []
        self.wrote(None)

    @property
    def memory(self) -> Float32:
        """Where to write: (n,) float32."""
        return self._memory

    def wrote(self, indices: Indices | None, tail: int = 0) -> None:
        """Note that among zeros these elements and the last ``tail`` were written; None: all.

        The indices are where the memory is.
        """
        numel = len(self._memory)
        cleared, entries = (self._at_once or limit for limit in (CLEARED_AT_ONCE, ENTRIES_AT_ONCE))
        if indices is None:
            self._written, tail = [], numel
        else:
            for begin in range(0, len(indices), entries):
                self._written.append(indices[begin : begin + entries])
        for begin in range(numel - tail, numel, cleared):
            self._written.append(slice(begin, begin + cleared))

    def fill(self, value: float) -> None:
        """Set all elements."""
        fill(self._memory, value)
        self.wrote(None)

    def clearing(self) -> Iterator[None]:
        """Set to zero what may be something else, step by step; steps that are left stay noted."""
        while self._written:
            part = self._written[-1]
            if isinstance(part, slice):
                kernels.clear(self._memory[part])
            else:
                kernels.clear(self._memory, part)
            self._written.pop()
            yield

    def clear(self) -> None:
        """Set to zero what is something else."""
        for _ in self.clearing():
            pass


class OwnedResult(Result):
    """A result in memory of its own, which others only read.

    Made once per bucket and handed over at every exchange as ``out``. For results that their user
    changes in place, such as gradients that are clipped, take an array of one's own instead.

    Args:
        numel: elements of the gradient.
        like: an array, such as the gradient, in whose GPU's memory the result is to be, if that is
            where it is and this build has CUDA kernels; else it is on the host.

    Attributes:
        values: (n,) float32, read-only: what the last exchange brought. The next one overwrites it.
            In a GPU's memory, for which torch and CuPy have no read-only arrays, it is on the
            reader not to write.
    """

    def __init__(self, numel: int, like: Array | None = None) -> None:
        require_integer("OwnedResult: numel", numel, 0)
        super().__init__(vector(numel, like))
        self.clear()
        if isinstance(self._memory, np.ndarray):
            # Through a read-only buffer: nobody can make such an array writable again.
            self.values = np.asarray(self._memory.data.toreadonly())


def result_in(out: Float32 | Result, numel: int) -> Result:
    """Return the result in ``out`` of a bucket of so many elements.

    Raises:
        ConfigError: it has another size.
    """
    result = out if isinstance(out, Result) else Result(out)
    if len(result.values) != numel:
        raise ConfigError(f"out must have {numel} elements, got {len(result.values)}")
    return result
