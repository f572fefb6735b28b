"""Checks of the scalar arguments of kernels."""

from __future__ import annotations

import math
import operator
from typing import SupportsIndex

from gradwire.errors import ConfigError

WORD = 2**32
LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")


def integer(who: str, value: SupportsIndex, least: int, most: int) -> int:
    """Return value as int if it lies in [least, most]; raise ConfigError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ConfigError(f"{who} must be an integer, got {value!r}") from None
    if not least <= number <= most:
        raise ConfigError(f"{who} must be in [{least}, {most}], got {number}")
    return number


def magnitude(who: str, value: float) -> float:
    """Return value as float if it is a number >= 0; raise ConfigError otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{who} must be a number, got {value!r}") from None
    if math.isnan(number) or number < 0.0:
        raise ConfigError(f"{who} must be >= 0, got {number}")
    return number


def finite(who: str, value: float) -> float:
    """Return value as float if float32 can hold it; raise ConfigError otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{who} must be a number, got {value!r}") from None
    if not abs(number) <= LARGEST_FLOAT32:
        raise ConfigError(f"{who} must be finite in float32, got {number}")
    return number
