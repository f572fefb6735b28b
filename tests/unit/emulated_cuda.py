"""The CUDA kernels on the host: the module that scripts/test.sh builds, or none."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "GRADWIRE_EMULATED_CUDA"
EMULATED = "emulated CUDA"


def emulated_cuda() -> Any:
    """Return the module, or None if the variable does not say where it is."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    path = next(Path(folder).glob("_cuda_emulated*.so"), None)
    if path is None:
        raise FileNotFoundError(f"{FOLDER_VARIABLE}: no _cuda_emulated*.so in {folder}")
    spec = importlib.util.spec_from_file_location("_cuda_emulated", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
