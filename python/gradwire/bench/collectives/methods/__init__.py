"""All methods of ``bench allreduce``, by family: to add one, add it to its family's tuple."""

from gradwire.bench.collectives.method import Method
from gradwire.bench.collectives.methods.baseline import BASELINE
from gradwire.bench.collectives.methods.gloo import GLOO
from gradwire.bench.collectives.methods.own import OWN
from gradwire.bench.collectives.methods.powersgd import POWERSGD
from gradwire.bench.collectives.methods.torch_topk import TORCH_TOPK

METHODS: tuple[Method, ...] = (BASELINE, *OWN, *GLOO, *POWERSGD, *TORCH_TOPK)

__all__ = ["BASELINE", "METHODS"]
