"""The kernels in plain NumPy: the specification that native results equal bit for bit.

Written to be read, not to be fast. Signatures are those of `gradwire.kernels` without output
buffers and workspace; arguments are taken to be valid.
"""

from gradwire.kernels.reference.arithmetic import add, scale, scale_add
from gradwire.kernels.reference.casts import from_bfloat16, to_bfloat16
from gradwire.kernels.reference.indices import decode_indices, encode_indices, encoded_size
from gradwire.kernels.reference.randomness import philox4x32, random_indices
from gradwire.kernels.reference.selection import (
    compensate_select,
    compensate_topk,
    finite_check,
    histogram,
    kth_magnitude,
    magnitude,
    select,
    topk,
)
from gradwire.kernels.reference.sparse import clear, intersect, merge, scatter, scatter_add
from gradwire.kernels.reference.transform import hadamard, random_signs

__all__ = [
    "add",
    "clear",
    "compensate_select",
    "compensate_topk",
    "decode_indices",
    "encode_indices",
    "encoded_size",
    "finite_check",
    "from_bfloat16",
    "hadamard",
    "histogram",
    "intersect",
    "kth_magnitude",
    "magnitude",
    "merge",
    "philox4x32",
    "random_indices",
    "random_signs",
    "scale",
    "scale_add",
    "scatter",
    "scatter_add",
    "select",
    "to_bfloat16",
    "topk",
]
