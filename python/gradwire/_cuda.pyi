"""The CUDA kernels, as a table of _cpu has them; gradwire.kernels is the public face."""

from typing import Any, TypedDict

class Device(TypedDict):
    name: str
    major: int
    minor: int
    processors: int
    memory_bytes: int
    cache_bytes: int

__version__: str
compiler: str
architectures: str  # such as "80 90 120+PTX"

def devices() -> list[Device]: ...
def runtime_version() -> int: ...  # 13000 for CUDA 13.0
def driver_version() -> int: ...  # 0 without a driver
def __getattr__(name: str) -> Any: ...
