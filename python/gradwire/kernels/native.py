"""The native kernels: which instruction set they use, and how many threads.

Neither changes any result. By default it is the best instruction set that this processor runs, and
one thread, because ranks usually share a machine. Environment variables, read at import:

- GRADWIRE_ISA: generic, avx2 or avx512.
- GRADWIRE_THREADS: threads of one call; without it OMP_NUM_THREADS counts. More than one pays for
  vectors of some hundred thousand elements on, and most for operations that compute much; it does
  not where other processes want the same cores.
"""

from __future__ import annotations

import os
from typing import Any

from gradwire.errors import ConfigError, require_integer
from gradwire.kernels.openmp import load_cpu

ISA_VARIABLE = "GRADWIRE_ISA"
THREADS_VARIABLE = "GRADWIRE_THREADS"

_cpu: Any = load_cpu()
cpu: Any  # the operations, as the module _cpu.avx512 (or another) has them


def isas() -> tuple[str, ...]:
    """Return the names of the instruction sets that this processor runs, the best one last."""
    names: tuple[str, ...] = _cpu.isas
    return names


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


def has_threads() -> bool:
    """Return whether this build can use several threads (OpenMP)."""
    return bool(_cpu.has_threads)


def current_threads() -> int:
    """Return how many threads one call of an operation may use."""
    return int(_cpu.threads())


def use_threads(count: int) -> None:
    """Let calls, whoever makes them, use up to `count` threads, 1 to 64.

    Without OpenMP (see `has_threads`) there is one whatever is said.

    Raises:
        ConfigError: count is not an integer in that range.
    """
    require_integer("threads", count, 1)
    if count > _cpu.max_threads:
        raise ConfigError(f"threads must be at most {_cpu.max_threads}, got {count}")
    _cpu.set_threads(count)


def _use_environment() -> None:
    use_isa(os.environ.get(ISA_VARIABLE))
    if text := os.environ.get(THREADS_VARIABLE):
        if not text.isdecimal():
            raise ConfigError(f"{THREADS_VARIABLE} must be a number of threads, got {text!r}")
        use_threads(int(text))
    elif (text := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]).isdecimal():
        use_threads(min(max(int(text), 1), _cpu.max_threads))


_use_environment()
# A forked process has none of the threads that OpenMP would wait for.
os.register_at_fork(after_in_child=lambda: use_threads(1))
