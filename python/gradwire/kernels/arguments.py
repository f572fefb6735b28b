"""Checks of the scalar arguments of kernels."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import SupportsIndex

from gradwire.errors import ConfigError

WORD = 2**32
LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")


def integer(who: str, value: SupportsIndex, least: int, most: int) -> int:
    """Return value as int if it lies in [least, most]; raise ConfigError otherwise."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise ConfigError(f"{who} must be an integer, got {value!r}") from None
    if not least <= whole <= most:
        raise ConfigError(f"{who} must be in [{least}, {most}], got {whole}")
    return whole


def number(who: str, value: float) -> float:
    """Return value as float; raise ConfigError if it is no number, or one beyond float64."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{who} must be a number, got {value!r}") from None


def magnitude(who: str, value: float) -> float:
    """Return value as float if it is a number >= 0; raise ConfigError otherwise."""
    size = number(who, value)
    if math.isnan(size) or size < 0.0:
        raise ConfigError(f"{who} must be >= 0, got {size}")
    return size


def finite(who: str, value: float) -> float:
    """Return value as float if float32 can hold it; raise ConfigError otherwise."""
    factor = number(who, value)
    if not abs(factor) <= LARGEST_FLOAT32:
        raise ConfigError(f"{who} must be finite in float32, got {factor}")
    return factor


def flag(who: str, value: bool) -> bool:
    """Return value if it is True or False; raise ConfigError otherwise."""
    if not isinstance(value, bool):
        raise ConfigError(f"{who} must be True or False, got {value!r}")
    return value


def choice(who: str, value: str | None, known: Iterable[str]) -> str:
    """Return value if it is one of the known names; raise ConfigError otherwise."""
    if isinstance(value, str) and value in known:
        return value
    raise ConfigError(f"{who} must be one of {', '.join(known)}, got {value!r}")
