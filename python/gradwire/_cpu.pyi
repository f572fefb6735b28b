"""The CPU kernels, one submodule for each instruction set; gradwire.kernels is the public face."""

from typing import Any

__version__: str
compiler: str
has_threads: bool
max_threads: int
isas: tuple[str, ...]
generic: Any
avx2: Any
avx512: Any

def threads() -> int: ...
def set_threads(count: int) -> None: ...
