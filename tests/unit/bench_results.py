"""Fabricated results of benchmarks."""

from __future__ import annotations

from typing import Any

from gradwire.bench.report import Measurement, Report

NUMEL = 1000


def measurement(row: str, milliseconds: list[float], **changes: Any) -> Measurement:
    """Return a result of gradwire's own kernel beside copies of 2 ms."""
    fields: dict[str, Any] = {
        "peer": None,
        "isa": "avx2",
        "threads": 1,
        "numel": NUMEL,
        "nbytes": 4.0 * NUMEL,
        "wrong": 0,
        "seconds": [each * 1e-3 for each in milliseconds],
        "copy_seconds": [2e-3] * len(milliseconds),
    }
    return Measurement(row, **{**fields, **changes})


def peer(row: str, name: str, milliseconds: list[float], **changes: Any) -> Measurement:
    return measurement(row, milliseconds, peer=name, isa=None, **changes)


def report(*measurements: Measurement, **settings: Any) -> Report:
    environment = {
        "machine": {"processor": "Processor 9", "cores": 4, "cores_usable": 2},
        "versions": {"gradwire": "1.2.3"},
    }
    fixed = {"numel": NUMEL, "density": 0.01, "repetitions": 3, "allocator": "warm"}
    return Report({**fixed, **settings}, environment, list(measurements))
