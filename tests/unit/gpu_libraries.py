"""Libraries of arrays on a GPU for tests: pretended ones and, where asked for, real ones."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np
import pytest
from fake_device import Library, fake_library

FAKE = ["cupy", "torch"]
REAL_TORCH, REAL_CUPY = "torch on a GPU", "cupy on a GPU"


def _real() -> list[str]:
    if os.environ.get("GRADWIRE_TEST_CUDA") != "1":
        return []
    return [REAL_TORCH, *([REAL_CUPY] if importlib.util.find_spec("cupy") else [])]


LIBRARIES = [*FAKE, *_real()]


def library_named(name: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Return one of LIBRARIES for the rest of a test."""
    if name in FAKE:
        return fake_library(name, monkeypatch)
    return _torch() if name == REAL_TORCH else _cupy()


def _torch() -> Library:
    import torch

    def send(values: np.ndarray, dtype: str = "float32") -> Any:
        return torch.from_numpy(values.copy()).to("cuda", getattr(torch, dtype))

    def look(tensor: Any) -> np.ndarray:
        host = tensor.detach().cpu()
        values: np.ndarray = (host.float() if host.dtype == torch.bfloat16 else host).numpy()
        return values

    return Library(send, look, ("float32", "float16", "bfloat16", "float64"), counts=False)


def _cupy() -> Library:
    import cupy

    def send(values: np.ndarray, dtype: str = "float32") -> Any:
        with np.errstate(over="ignore"):
            return cupy.asarray(values.astype(dtype))

    return Library(send, cupy.asnumpy, ("float32", "float16", "float64"), counts=False)
