"""Checks of the scalar arguments of kernels."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

from gradwire.errors import ConfigError

WORD = 2**32
_LONGEST = 80  # characters of a value in a message
LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")


def shown(value: object) -> str:
    """Return what a message says of a wrong value: it may be long, or refuse to be written."""
    try:
        text = repr(value)
    except Exception:
        text = f"something of type {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def integer(who: str, value: SupportsIndex, least: int, most: int) -> int:
    """Return value as int if it lies in [least, most]; raise ConfigError otherwise."""
    if type(value) is int and least <= value <= most:  # what a call costs counts in microseconds
        return value
    try:
        whole = operator.index(value)
    except Exception:  # of a class that is not ours
        raise ConfigError(f"{who} must be an integer, got {shown(value)}") from None
    if not least <= whole <= most:
        raise ConfigError(f"{who} must be in [{least}, {most}], got {shown(whole)}")
    return whole


def number(who: str, value: Any) -> float:
    """Return value as float; raise ConfigError if it is no number, or one beyond float64."""
    try:
        if not isinstance(value, (str, bytes, bytearray)):
            return float(value)
    except Exception:  # of a class that is not ours
        pass
    raise ConfigError(f"{who} must be a number, got {shown(value)}")


def magnitude(who: str, value: float) -> float:
    """Return value as float if it is a number >= 0; raise ConfigError otherwise."""
    if type(value) is float and value >= 0.0:
        return value
    size = number(who, value)
    if math.isnan(size) or size < 0.0:
        raise ConfigError(f"{who} must be >= 0, got {size}")
    return size


def finite(who: str, value: float) -> float:
    """Return value as float if float32 can hold it; raise ConfigError otherwise."""
    if type(value) is float and abs(value) <= LARGEST_FLOAT32:
        return value
    factor = number(who, value)
    if not abs(factor) <= LARGEST_FLOAT32:
        raise ConfigError(f"{who} must be finite in float32, got {factor}")
    return factor


def flag(who: str, value: bool) -> bool:
    """Return value if it is True or False; raise ConfigError otherwise."""
    if not isinstance(value, bool):
        raise ConfigError(f"{who} must be True or False, got {shown(value)}")
    return value


def choice(who: str, value: str | None, known: Iterable[str]) -> str:
    """Return value if it is one of the known names; raise ConfigError otherwise."""
    if isinstance(value, str) and value in known:
        return value
    raise ConfigError(f"{who} must be one of {', '.join(known)}, got {shown(value)}")
