"""The CUDA kernels, as a table of _cpu has them; gradwire.kernels is the public face."""

from typing import Any

__version__: str
compiler: str

def __getattr__(name: str) -> Any: ...
