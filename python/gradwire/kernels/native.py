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
_ever_threaded = False  # in this process
_parent_threaded = False  # before this process was forked


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


def max_threads() -> int:
    """Return how many threads one call may be given at most."""
    return int(_cpu.max_threads)


def current_threads() -> int:
    """Return how many threads one call of an operation may use."""
    return int(_cpu.threads())


def use_threads(count: int) -> None:
    """Let calls, whoever makes them, use up to `count` threads, 1 to 64.

    Without OpenMP (see `has_threads`) there is one whatever is said. A forked process begins with
    one, and stays with it if its parent ever had more.

    Raises:
        ConfigError: count is not an integer in that range, or the process cannot have threads.
    """
    global _ever_threaded
    require_integer("threads", count, 1)
    if count > max_threads():
        raise ConfigError(f"threads must be at most {max_threads()}, got {count}")
    if count > 1 and _parent_threaded:
        raise ConfigError(
            "threads must be 1 in a process forked from one that had more, whose threads OpenMP "
            "would wait for: spawn the process, or raise the number only in the child"
        )
    _ever_threaded = _ever_threaded or count > 1
    _cpu.set_threads(count)


def _use_environment() -> None:
    name = os.environ.get(ISA_VARIABLE) or None
    if name is not None and name not in isas():
        raise ConfigError(
            f"{ISA_VARIABLE} must be one that this processor has, {', '.join(isas())}, got {name!r}"
        )
    use_isa(name)
    most = max_threads()
    if text := os.environ.get(THREADS_VARIABLE):
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise ConfigError(f"{THREADS_VARIABLE} must be a number from 1 to {most}, got {text!r}")
        use_threads(int(text))
    elif (text := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]).isdecimal():
        use_threads(min(max(int(text), 1), most))


def _after_fork() -> None:
    """Leave OpenMP alone where it would wait for threads that only the parent has."""
    global _parent_threaded
    _parent_threaded = _parent_threaded or _ever_threaded
    use_threads(1)


_use_environment()
os.register_at_fork(after_in_child=_after_fork)
