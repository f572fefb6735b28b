"""Compressors: what is sent of a gradient, and in which form.

To add one, write a file beside these and add its class to the line below; for one in another
package see ``docs/adding-a-compressor.md``.
"""

from gradwire.compressors.base import Compressor, Context, Traits
from gradwire.compressors.bf16 import BF16
from gradwire.compressors.chain import Chain, with_values
from gradwire.compressors.efsignsgd import EFSignSGD
from gradwire.compressors.fp16 import FP16
from gradwire.compressors.none import NoCompression
from gradwire.compressors.qsgd import QSGD
from gradwire.compressors.quantizer import Quantizer
from gradwire.compressors.randomk import RandomK
from gradwire.compressors.registry import compressor_class, compressor_ids, get_compressor, register
from gradwire.compressors.topk import TopK

for _compressor in (NoCompression, FP16, BF16, TopK, RandomK, QSGD, EFSignSGD, Chain):
    register(_compressor)

__all__ = [
    "BF16",
    "FP16",
    "QSGD",
    "Chain",
    "Compressor",
    "Context",
    "EFSignSGD",
    "NoCompression",
    "Quantizer",
    "RandomK",
    "TopK",
    "Traits",
    "compressor_class",
    "compressor_ids",
    "get_compressor",
    "register",
    "with_values",
]
