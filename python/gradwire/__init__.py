"""gradwire: compressed gradients and the collectives made for them.

>>> import gradwire
>>> gradwire.get_compressor("topk", density=0.01)
TopK(density=0.01, warmup_steps=0, ramp_steps=0)

``gradwire.horovod.Compression`` plugs into an unmodified ``hvd.DistributedOptimizer``;
:func:`gradwire.sparse_allreduce` serves any MPI program. Importing gradwire needs NumPy only.
"""

from gradwire._version import __version__
from gradwire.compressors import Compressor, Context, Traits, compressor_ids, get_compressor
from gradwire.functional import sparse_allreduce
from gradwire.payload import Payload
from gradwire.residual import OwnedResidual
from gradwire.result import OwnedResult

__all__ = [
    "Compressor",
    "Context",
    "OwnedResidual",
    "OwnedResult",
    "Payload",
    "Traits",
    "__version__",
    "compressor_ids",
    "get_compressor",
    "sparse_allreduce",
]
