"""Compressors: what is sent of a gradient, and in which form.

To add one, write a file beside these and add its class to the line below; for one in another
package see ``docs/adding-a-compressor.md``.
"""

from .base import Compressor, Context, Traits
from .bf16 import BF16
from .fp16 import FP16
from .none import NoCompression
from .randomk import RandomK
from .registry import compressor_class, compressor_ids, get_compressor, register
from .topk import TopK

for _compressor in (NoCompression, FP16, BF16, TopK, RandomK):
    register(_compressor)

__all__ = [
    "BF16",
    "FP16",
    "Compressor",
    "Context",
    "NoCompression",
    "RandomK",
    "TopK",
    "Traits",
    "compressor_class",
    "compressor_ids",
    "get_compressor",
    "register",
]
