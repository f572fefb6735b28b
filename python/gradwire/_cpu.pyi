"""The CPU kernels, one submodule for each instruction set; gradwire.kernels is the public face."""

from typing import Any

__version__: str
compiler: str
isas: tuple[str, ...]
generic: Any
avx2: Any
avx512: Any
