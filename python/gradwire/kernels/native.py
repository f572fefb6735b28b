"""The native kernels: on the CPU or a GPU, with which instruction set, and how many threads.

None of that changes any result. A call runs where its arrays are; on a CPU, unless told otherwise,
with the best instruction set that it has and in one thread, because ranks usually share a machine.
Environment variables, read at import:

- GRADWIRE_ISA: generic, avx2 or avx512.
- GRADWIRE_THREADS: threads of one call; without it OMP_NUM_THREADS counts. More than one pays for
  vectors of some hundred thousand elements on, and most for operations that compute much; it does
  not where other processes want the same cores.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from gradwire.errors import ConfigError, MissingDependencyError
from gradwire.kernels.arguments import choice, integer
from gradwire.kernels.arrays import Array, allocate, on_device
from gradwire.kernels.openmp import load_cpu

ISA_VARIABLE = "GRADWIRE_ISA"
THREADS_VARIABLE = "GRADWIRE_THREADS"

_cpu: Any = load_cpu()
cpu: Any  # the operations, as the module _cpu.avx512 (or another) has them
_forked = False


def of(array: Array) -> Any:
    """Return the operations for arrays that are where this one is.

    Raises:
        MissingDependencyError: it is in a GPU's memory, and this build has no CUDA kernels.
    """
    if type(array) is np.ndarray or not on_device(array):  # what a call costs counts
        return cpu
    return cuda()


def cuda() -> Any:
    """Return the operations for arrays in the memory of NVIDIA GPUs.

    Raises:
        MissingDependencyError: this build has none, or they cannot be loaded.
    """
    try:
        from gradwire import _cuda
    except ImportError as error:
        raise MissingDependencyError(
            f"gradwire's CUDA kernels are {why_without_cuda(error)}"
        ) from error
    return _cuda


def why_without_cuda(error: BaseException) -> str:
    """Say what the CUDA kernels are, from what their import raised, and what to do about it."""
    unknown = isinstance(error, ModuleNotFoundError) and error.name == "gradwire._cuda"
    if unknown or "cannot import name '_cuda'" in str(error):
        return "not in this build: build gradwire where nvcc is found, with GRADWIRE_WITH_CUDA=1"
    return f"not to be loaded here ({error}): build gradwire on this machine"


def workspace(size: int, like: Array) -> Array:
    """Return uninitialised bytes where an array is."""
    if on_device(like):
        return allocate(size, "uint8", like)
    return np.empty(size, np.uint8)


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
    known = isas()
    cpu = getattr(_cpu, choice("instruction set", name, known) if name is not None else known[-1])


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

    Without OpenMP (see `has_threads`) there is one whatever is said. A forked process has one and
    stays with it: OpenMP, which torch may have used too, would wait for threads of its parent.

    Raises:
        ConfigError: count is not an integer in that range, or the process cannot have threads.
    """
    if isinstance(count, bool):
        raise ConfigError(f"threads must be an integer, got {count}")
    count = integer("threads", count, 1, max_threads())
    if count > 1 and _forked:
        raise ConfigError(
            "threads must be 1 in a forked process: OpenMP would wait for threads of its parent; "
            "spawn the process instead"
        )
    _cpu.set_threads(count)


class _Refusing:
    """Stands in for the operations where the environment asks for what cannot be."""

    def __init__(self, error: ConfigError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


def _use_environment() -> None:
    """Do what the variables say; what is wrong with them is raised at the first use.

    At the import of gradwire nobody could catch it, nor ask for help or for the version.
    """
    global cpu
    try:
        _use_variables()
    except ConfigError as error:
        cpu = _Refusing(error)


def _use_variables() -> None:
    name = os.environ.get(ISA_VARIABLE)
    use_isa(choice(ISA_VARIABLE, name, isas()) if name else None)
    most = max_threads()
    if text := os.environ.get(THREADS_VARIABLE):
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ConfigError(f"{THREADS_VARIABLE} must be a number from 1 to {most}, got {text!r}")
        use_threads(int(text))
    elif found := re.match("[0-9]{1,9}", os.environ.get("OMP_NUM_THREADS", "")):
        use_threads(min(max(int(found[0]), 1), most))


def _after_fork() -> None:
    global _forked
    _forked = True
    use_threads(1)


_use_environment()
os.register_at_fork(after_in_child=_after_fork)
