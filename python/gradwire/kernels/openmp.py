"""How OpenMP's threads wait for each other."""

from __future__ import annotations

import os
from typing import Any

_VARIABLE = "OMP_WAIT_POLICY"


def load_cpu() -> Any:
    """Import the native module, whose threads are to sleep while they wait.

    By default they spin, which is the fastest on idle cores and makes a call take dozens of times
    as long where ranks share them. OpenMP reads the variable when it is loaded; one that the user
    has set counts, and other libraries do not see this one.
    """
    mine = _VARIABLE not in os.environ
    if mine:
        os.environ[_VARIABLE] = "passive"
    try:
        from gradwire import _cpu
    finally:
        if mine:
            del os.environ[_VARIABLE]
    return _cpu
