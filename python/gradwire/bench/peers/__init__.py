"""The same jobs by NumPy and torch, written as a user of those would write them.

Outputs are allocated beforehand where the library lets its callers do so.
"""

from __future__ import annotations

import importlib
from typing import Any


def import_torch() -> Any:
    """Return torch; ImportError if it is not installed."""
    return importlib.import_module("torch")
