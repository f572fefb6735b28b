"""Where a benchmark ran: machine, versions, compiler, commit, date."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gradwire import _cpu
from gradwire._version import __version__
from gradwire.bench.allocator import WARM
from gradwire.bench.place import CUDA, HOST, Host
from gradwire.errors import ConfigError
from gradwire.kernels import native

_CPU = Path("/sys/devices/system/cpu/cpu0")
# What changes the speed of kernels or peers from outside.
_VARIABLES = (
    *WARM,
    native.ISA_VARIABLE,
    native.THREADS_VARIABLE,
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "NUMPY_MADVISE_HUGEPAGE",
    "LD_PRELOAD",
)


def collect_environment(place: Host = HOST) -> dict[str, Any]:
    """Return everything that explains a result, as JSON can hold it; None for what is unknown."""
    return {
        "device": _device() if place.name == CUDA else None,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "native": {
            "compiler": _cpu.compiler,
            "isas": list(native.isas()),
            "isa": native.current_isa(),
            "threads": native.has_threads(),
        },
        "versions": {
            "gradwire": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": _version("torch"),
            "libc": " ".join(platform.libc_ver()),
        },
        "variables": {name: os.environ.get(name) for name in _VARIABLES},
    }


def _device() -> dict[str, Any]:
    """Return the first GPU, and what its kernels were built with."""
    module = native.cuda()
    return {
        **module.devices()[0],
        "compiler": module.compiler,
        "architectures": module.architectures,
        "driver_version": module.driver_version(),
        "runtime_version": module.runtime_version(),
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "caches": _caches(),
        "memory_bytes": memory_bytes(),
        "governor": _read(_CPU / "cpufreq" / "scaling_governor"),
        "huge_pages": _read(Path("/sys/kernel/mm/transparent_hugepage/enabled")),
        "system": platform.platform(),
        "load_average": list(os.getloadavg()),
    }


def _processor() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _caches() -> dict[str, str]:
    """Return sizes as the system writes them, such as {"L1d": "32K", "L2": "1024K"}."""
    caches = {}
    for folder in sorted((_CPU / "cache").glob("index*")):
        level, kind, size = (_read(folder / name) for name in ("level", "type", "size"))
        if level and size:
            letter = {"Data": "d", "Instruction": "i"}.get(kind or "", "")
            caches[f"L{level}{letter}"] = size
    return caches


def memory_bytes() -> int | None:
    """Return how much memory the machine has; None if it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def require_memory(what: str, needed: int, advice: str, host: str = "this machine") -> None:
    """Raise ConfigError for what a machine would end in the midst of.

    Args:
        what: needs it; the error's first words, as in "bench: --n 7 needs at least".
        needed: bytes.
        advice: what to do about it.
        host: the machine, for people.
    """
    memory = memory_bytes()
    if memory is not None and needed > memory:
        raise ConfigError(
            f"{what} {needed / 2**30:.0f} GiB and {host} has {memory / 2**30:.0f}: {advice}"
        )


def peak_memory_bytes() -> int:
    """Return the most memory that this process has had so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that this file is checked out from, with "+" if files have changed."""
    here = Path(__file__).resolve()
    # An untracked file lies in somebody else's checkout, as an installed package may.
    if _git(here, "ls-files", "--error-unmatch", here.name) is None:
        return None
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", ":/")
    return f"{_git(here, 'rev-parse', 'HEAD')}{'+' if changed else ''}"


def _git(file: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(file.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
