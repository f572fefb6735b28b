"""Rates and times as people write them: 100mbit, 30us."""

from __future__ import annotations

import argparse
import re

_BITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12}  # per second, as tc writes them
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def bits_per_second(text: str) -> float:
    """Return a rate such as "1gbit" in bits per second; for argparse."""
    return _parse(text, _BITS, "a rate such as 100mbit or 1gbit, above 0", least=1e-3)


def seconds(text: str) -> float:
    """Return a time such as "30us" in seconds; for argparse."""
    return _parse(text, _SECONDS, "a time such as 30us or 1ms", least=0.0)


def _parse(text: str, units: dict[str, float], expected: str, least: float) -> float:
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]+)", text.strip().lower())
    unit = units.get(found[2]) if found else None
    if not found or not unit or float(found[1]) * unit < least:
        raise argparse.ArgumentTypeError(f"expected {expected} ({', '.join(units)}), got {text!r}")
    return float(found[1]) * unit
