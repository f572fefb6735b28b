"""The native kernels, in the best instruction set that this processor runs.

The environment variable GRADWIRE_ISA (generic, avx2, avx512) chooses another one; results are the
same bits in each.
"""

from __future__ import annotations

import os
from typing import Any

from gradwire import _cpu
from gradwire.errors import ConfigError

ISA_VARIABLE = "GRADWIRE_ISA"

cpu: Any  # the operations, as the module _cpu.avx512 (or another) has them


def isas() -> tuple[str, ...]:
    """Return the names of the instruction sets that this processor runs, the best one last."""
    return _cpu.isas


def current_isa() -> str:
    """Return the name of the instruction set in use."""
    return str(cpu.__name__.rpartition(".")[2])


def use_isa(name: str | None) -> None:
    """Go on with the kernels of an instruction set, in all threads; None: the best one.

    Raises:
        ConfigError: no such set, or this processor does not have it.
    """
    global cpu
    name = name or isas()[-1]
    if name not in isas():
        raise ConfigError(
            f"instruction set {name!r} does not run here; this processor has {', '.join(isas())}"
        )
    cpu = getattr(_cpu, name)


_threads = 1


def has_threads() -> bool:
    """Return whether the kernels can use more than one thread."""
    return False


def current_threads() -> int:
    """Return how many threads the kernels use."""
    return _threads


def use_threads(count: int) -> None:
    """Let the kernels use `count` threads."""
    global _threads
    _threads = count


use_isa(os.environ.get(ISA_VARIABLE))
