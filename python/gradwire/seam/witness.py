"""Do all ranks take part, and with the same intentions? Told from what Horovod itself sums.

A rank in ``hvd.join()`` adds zeros to every allreduce, so a summed 1 comes back too small. Ranks
that add different codes are found by the variance of the codes, on all ranks alike, since all of
them see the same sums.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from gradwire.errors import AgreementError, ConfigError
from gradwire.payload import Float32
from gradwire.seam.origin import Origin

WITNESS_VALUES = 3
# Few codes keep the sums exact in float32 for thousands of ranks. One code in 16 hides a
# difference, but every tensor and every step has another.
_CODES = 16


def check_all_take_part(summed_one: float, origin: Origin, size: int) -> None:
    """Check what Horovod made of a 1 from every rank.

    Raises:
        ConfigError: some ranks have left with ``hvd.join()``.
    """
    expected = origin.expected_token
    if not expected or math.isclose(summed_one, expected, rel_tol=0.5 / size):
        return
    raise ConfigError(
        f"{round(summed_one / expected * size)} of {size} ranks take part in this step: gradwire's "
        "exchange needs all of them, so hvd.join() cannot be used with it. Give every rank the "
        "same number of batches (drop the last ones), or use hvd.Compression.none"
    )


def witness(intention: str) -> Float32:
    """Return values to be summed beside others, which tell what this rank intends."""
    code = zlib.crc32(intention.encode()) % _CODES
    return np.array([1, code, code * code], np.float32)


def check_witness(summed: Float32, origin: Origin, size: int) -> None:
    """Check the sums of all ranks' witnesses, whatever factor Horovod applied to them.

    Raises:
        ConfigError: some ranks have left with ``hvd.join()``.
        AgreementError: on all ranks, if their intentions differ.
    """
    ones, codes, squares = (float(value) for value in summed)
    check_all_take_part(ones, origin, size)
    variance = squares / ones - (codes / ones) ** 2
    if variance > 0.25 / size:
        raise AgreementError(
            f"ranks disagree about what they send of {origin.name!r}: density, seed, warm-up and "
            "number of steps must be the same on all ranks; a state must be loaded on all of them"
        )
