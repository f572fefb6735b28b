"""The kernels in plain NumPy: the specification that native results equal bit for bit.

Written to be read, not to be fast. Signatures are those of `gradwire.kernels` without output
buffers and workspace; arguments are taken to be valid, and vectors to be float32: the 16-bit types
are widened first, and float64 is rounded (`casts.to_float32`).
"""

from gradwire.kernels.reference.arithmetic import add, scale, scale_add
from gradwire.kernels.reference.bits import (
    base3_size,
    pack_base3,
    pack_bits,
    packed_size,
    unpack_base3,
    unpack_bits,
)
from gradwire.kernels.reference.casts import (
    from_bfloat16,
    from_float16,
    to_bfloat16,
    to_float16,
    to_float32,
)
from gradwire.kernels.reference.dynamic import (
    compensate_quantize_dynamic,
    dequantize_dynamic,
    dequantize_dynamic_add,
    dynamic_table,
    quantize_dynamic,
)
from gradwire.kernels.reference.indices import decode_indices, encode_indices, encoded_size
from gradwire.kernels.reference.minifloats import dequantize_mx, from_fp8, quantize_mx, to_fp8
from gradwire.kernels.reference.natural import (
    dequantize_natural,
    dequantize_natural_add,
    quantize_natural,
)
from gradwire.kernels.reference.quantization import (
    compensate_quantize,
    dequantize,
    dequantize_add,
    quantize,
    random_bits,
)
from gradwire.kernels.reference.randomness import philox4x32, random_indices
from gradwire.kernels.reference.selection import (
    absmax,
    compensate_select,
    compensate_topk,
    finite_check,
    histogram,
    kth_magnitude,
    magnitude,
    momentum,
    norm,
    select,
    topk,
)
from gradwire.kernels.reference.signs import (
    compensate_sign,
    dequantize_sign,
    dequantize_sign_add,
    quantize_sign,
)
from gradwire.kernels.reference.sparse import clear, intersect, merge, scatter, scatter_add
from gradwire.kernels.reference.transform import hadamard, random_signs

__all__ = [
    "absmax",
    "add",
    "base3_size",
    "clear",
    "compensate_quantize",
    "compensate_quantize_dynamic",
    "compensate_select",
    "compensate_sign",
    "compensate_topk",
    "decode_indices",
    "dequantize",
    "dequantize_add",
    "dequantize_dynamic",
    "dequantize_dynamic_add",
    "dequantize_mx",
    "dequantize_natural",
    "dequantize_natural_add",
    "dequantize_sign",
    "dequantize_sign_add",
    "dynamic_table",
    "encode_indices",
    "encoded_size",
    "finite_check",
    "from_bfloat16",
    "from_float16",
    "from_fp8",
    "hadamard",
    "histogram",
    "intersect",
    "kth_magnitude",
    "magnitude",
    "merge",
    "momentum",
    "norm",
    "pack_base3",
    "pack_bits",
    "packed_size",
    "philox4x32",
    "quantize",
    "quantize_dynamic",
    "quantize_mx",
    "quantize_natural",
    "quantize_sign",
    "random_bits",
    "random_indices",
    "random_signs",
    "scale",
    "scale_add",
    "scatter",
    "scatter_add",
    "select",
    "to_bfloat16",
    "to_float16",
    "to_float32",
    "to_fp8",
    "topk",
    "unpack_base3",
    "unpack_bits",
]
