"""Counter-based random numbers: the same bits on every rank and device, with no state.

The generators of NumPy, torch and Python are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradwire.errors import ConfigError
from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, integer, shown
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate, on_device, trimmed

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def fnv1a32(name: str) -> int:
    """Return the 32-bit FNV-1a hash of name in UTF-8: the key word of a tensor's random numbers."""
    if not isinstance(name, str):
        raise ConfigError(f"fnv1a32: name must be a string, got {shown(name)}")
    value = _FNV_OFFSET
    for byte in name.encode(errors="surrogatepass"):
        value = ((value ^ byte) * _FNV_PRIME) % WORD
    return value


def philox4x32(counter4: Sequence[int], key2: Sequence[int]) -> tuple[int, int, int, int]:
    """Return one block of Philox4x32-10 (Salmon et al., SC 2011): four 32-bit words.

    counter4: four words; key2: two words; all in [0, 2**32).
    """
    counter = _words("philox4x32: counter4", counter4, 4)
    first, second, third, fourth = native.cpu.philox4x32(
        counter, _words("philox4x32: key2", key2, 2)
    )
    return first, second, third, fourth


def random_indices(
    n: int, k: int, seed: int, key: int, step: int, out: Array | None = None
) -> Array:
    """Return k distinct positions below n, sorted: (k,) uint32, every subset equally likely.

    n < 2**32, k <= n; seed, key (see fnv1a32) and step are 32-bit words, and the result is a
    function of the five numbers. out: at least (k,) uint32, on the host or a GPU; a NumPy array is
    allocated when None.

    Philox4x32-10 with key words (seed, key) and counter (b low, b high, step, 0) for block b. Each
    block gives two 64-bit draws u, words 0 and 1 (low first), then 2 and 3; a draw is the position
    ``(u * n) >> 64``. Draws are taken in order and repeats skipped until min(k, n - k) positions
    are marked; if k > n - k, the answer is what is not marked. Workspace: n / 8 bytes.
    """
    n = integer("random_indices: n", n, 0, MAX_LENGTH)
    k = integer("random_indices: k", k, 0, n)
    seed, key, step = _words("random_indices: (seed, key, step)", (seed, key, step), 3)
    if out is None:
        out = np.empty(k, np.uint32)
    operations, words = native.of(out), native.cpu.random_indices_words(n)
    # Where nothing is marked, the memory of a new array of NumPy's is never touched.
    bitmap = allocate(words, "uint64", out) if on_device(out) else np.zeros(words, np.uint64)
    operations.random_indices(n, k, seed, key, step, bitmap, out)
    return trimmed(out, k)


def _words(who: str, words: Sequence[int], count: int) -> list[int]:
    if not isinstance(words, Sequence) or len(words) != count:
        raise ConfigError(f"{who} must be {count} words of 32 bits, got {shown(words)}")
    return [integer(who, word, 0, WORD - 1) for word in words]
