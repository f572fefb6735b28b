"""The same jobs by NumPy and torch, written as a user of those would write them.

Outputs are allocated beforehand where the library lets its callers do so.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gradwire.bench.checks import by_blocks
from gradwire.bench.inputs import Floats, Inputs
from gradwire.kernels import reference


def import_torch() -> Any:
    """Return torch; ImportError if it is not installed."""
    return importlib.import_module("torch")


def in_bfloat16(inputs: Inputs, x: Floats) -> tuple[Any, Floats]:
    """Return x rounded to bfloat16: as a tensor, and as float32. ImportError without torch."""
    torch = import_torch()
    (bits,) = by_blocks(lambda part: (reference.to_bfloat16(x[part]),), x.size)
    tensor = inputs.tensor(bits.view(np.int16)).view(torch.bfloat16)
    return tensor, reference.from_bfloat16(bits)
