"""What the kernels work on: the same gradient-like vectors for all rows, made when first needed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradwire.bench.checks import topk_in_blocks
from gradwire.bench.place import HOST, Array, Host
from gradwire.kernels import Selected, reference
from gradwire.kernels.arrays import aligned

Floats = NDArray[np.float32]
Indices = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

SCALE = 1e-3  # of gradient and residual
FLOOR = 0.85  # of the k-th magnitude: what a floor that has gone stale for some steps looks like
_FLOAT = 4  # bytes


class Inputs:
    """Vectors of numel elements, of which k = density * numel are selected.

    gradient and residual are Laplace-distributed and seeded; acc is their sum. Nobody changes any
    of these arrays. All are on the host; `put` brings them to the place where the kernels run.
    """

    def __init__(self, numel: int, density: float, seed: int = 1, place: Host = HOST) -> None:
        self.place = place
        self.numel = numel
        self.density = density
        self.seed = seed
        self.k = max(1, int(numel * density))
        self._copied = place.room(numel)
        self._copied[:] = 0.0  # its pages are there before the first copy
        self._chunks: list[tuple[Indices, Floats]] = []

    def copy(self) -> None:
        """Do what "1 copy" means: copy numel float32 from one warm array to another."""
        self.place.assign(self._copied, self._to_copy)

    @cached_property
    def _to_copy(self) -> Array:
        return self.put(self.gradient)

    def put(self, x: NDArray[Any]) -> Array:
        """Return a vector that nobody changes for the kernels: itself, or a copy on the GPU."""
        return self.place.put(x)

    def room(self, size: int, dtype: str = "float32") -> Array:
        """Return an uninitialised vector for the kernels; a long one begins at a page."""
        return self.place.room(size, dtype)

    def tensor(self, x: NDArray[Any]) -> Any:
        """Return a vector for torch where the kernels run; ImportError without torch."""
        return self.place.tensor(x)

    @cached_property
    def gradient(self) -> Floats:
        """(numel,) float32."""
        return _laplace(np.random.default_rng([self.seed, 0]), self.numel)

    @cached_property
    def residual(self) -> Floats:
        """(numel,) float32."""
        return _laplace(np.random.default_rng([self.seed, 1]), self.numel)

    def another(self) -> Floats:
        """Return a third vector like these, made anew: (numel,) float32."""
        return _laplace(np.random.default_rng([self.seed, 3]), self.numel)

    def codes(self, bits: int, size: int | None = None) -> Bytes:
        """Return random codes below 2**bits, numel or `size` of them, made anew: uint8."""
        generator = np.random.default_rng([self.seed, 4, bits])
        return generator.integers(0, 1 << bits, self.numel if size is None else size, np.uint8)

    @cached_property
    def acc(self) -> Floats:
        """What the kernels make of both, residual + gradient: (numel,) float32."""
        return copied(reference.add(self.residual, self.gradient))

    @cached_property
    def kth(self) -> float:
        """The k-th largest magnitude of acc."""
        return reference.kth_magnitude(self.acc, self.k)

    @cached_property
    def floor(self) -> float:
        """A good guess somewhat below kth."""
        return FLOOR * self.kth

    @cached_property
    def top(self) -> Selected:
        """The k entries of acc of largest magnitude, as the reference selects them."""
        return topk_in_blocks(self.acc, self.k, self.floor)

    def chunks(self, count: int) -> tuple[list[Indices], list[Floats]]:
        """Return `count` ranks' entries: k positions each, independent of the other ranks'."""
        for rank in range(len(self._chunks), count):
            generator = np.random.default_rng([self.seed, 2, rank])
            chosen = generator.choice(self.numel, self.k, replace=False, shuffle=False)
            indices = np.sort(chosen).astype(np.uint32)
            self._chunks.append((indices, _laplace(generator, self.k)))
        chunks = self._chunks[:count]
        return [indices for indices, _ in chunks], [values for _, values in chunks]

    def line_bytes(self, indices: Indices) -> int:
        """Return the bytes of the cache lines of a float32 vector that sorted indices touch."""
        lines = indices // (self.place.line // _FLOAT)
        return self.place.line * (int(np.count_nonzero(np.diff(lines))) + min(1, lines.size))


def copied(x: Floats) -> Floats:
    """Return a copy that begins at a page, as all long vectors here do."""
    copy: Floats = aligned(x.size)
    np.copyto(copy, x)
    return copy


def _laplace(generator: np.random.Generator, size: int) -> Floats:
    out: Floats = aligned(size)
    generator.standard_exponential(dtype=np.float32, out=out)
    out *= np.float32(SCALE)
    np.negative(out, out=out, where=generator.integers(0, 2, size, bool))
    return out
