"""A warm allocator: freed memory stays with the process, so temporaries do not fault again.

The kindest setting for peers that allocate temporaries: with glibc's default, each large array is
mapped afresh and every page of it faults, which can take longer than the work itself.
"""

from __future__ import annotations

import os
import platform
import sys

# mallopt(3): never map large blocks one by one, never give the heap's end back.
WARM = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"}


def is_warm() -> bool:
    """Return whether this process was started with glibc's allocator set warm."""
    return _is_glibc() and all(os.environ.get(name) == value for name, value in WARM.items())


def restart_with_warm_allocator() -> None:
    """Start this very command again with the environment that glibc reads at its start.

    Does nothing if the allocator is warm already, or is not glibc's.
    """
    if not _is_glibc() or is_warm():
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **WARM})


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
