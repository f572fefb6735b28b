"""Counter-based random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[Any]
Indices = NDArray[np.uint32]

_LOW_WORD = np.uint64(0xFFFFFFFF)
_WORD_BITS = np.uint64(32)


def philox4x32(counter4: Words, key2: Sequence[int], rounds: int = 10) -> Words:
    """Return blocks of Philox4x32: counter4 is (4,) or (4, blocks) uint64 words below 2**32."""
    first, second, third, fourth = counter4
    low_key, high_key = (np.uint64(word) for word in key2)
    for _ in range(rounds):
        left = np.uint64(0xD2511F53) * first
        right = np.uint64(0xCD9E8D57) * third
        first = (right >> _WORD_BITS) ^ second ^ low_key
        third = (left >> _WORD_BITS) ^ fourth ^ high_key
        second, fourth = right & _LOW_WORD, left & _LOW_WORD
        low_key = (low_key + np.uint64(0x9E3779B9)) & _LOW_WORD
        high_key = (high_key + np.uint64(0xBB67AE85)) & _LOW_WORD
    return np.array([first, second, third, fourth])


def random_indices(n: int, k: int, seed: int, key: int, step: int) -> Indices:
    """Return k distinct positions below n, sorted, drawn as `gradwire.kernels` describes."""
    wanted = min(k, n - k)
    marked: set[int] = set()
    block = 0
    while len(marked) < wanted:
        counter = np.array([block % 2**32, block >> 32, step, 0], np.uint64)
        words = [int(word) for word in philox4x32(counter, (seed, key))]
        for draw in (words[0] | words[1] << 32, words[2] | words[3] << 32):
            if len(marked) < wanted:
                marked.add((draw * n) >> 64)
        block += 1
    chosen = np.array(sorted(marked), np.uint32)
    if k > n - k:
        return np.setdiff1d(np.arange(n, dtype=np.uint32), chosen, assume_unique=True)
    return chosen
