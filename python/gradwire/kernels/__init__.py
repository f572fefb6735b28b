"""Kernels: one function per operation on raw vectors, checked here and run in native code.

Arrays are NumPy arrays, torch CPU tensors or others that offer DLPack; or all of them in the memory
of one NVIDIA GPU: torch's CUDA tensors, CuPy's and others that offer the CUDA array interface or
DLPack. They are one-dimensional, contiguous, and have fewer than 2**32 elements. Anything else
raises ConfigError naming the argument, and CUDA arrays raise MissingDependencyError in a build
without CUDA kernels. Calls run where the arrays are, on a GPU in the library's current stream.
Nothing is copied or converted behind the caller's back, and native code runs without the
interpreter lock. Results are bit-identical to the NumPy specification in
`gradwire.kernels.reference`. Kernels that take float64 compute with what ``x.astype(np.float32)``
gives: rounded to nearest even, infinite beyond float32's range. What comes out of arithmetic with
NaN, or of its conversion to another type, is NaN; its sign and payload are not specified.

Outputs may be longer than needed: what is written is their beginning, which is returned. What lies
behind may be written over too, up to the end.

`gradwire.kernels.queued` has the forms that never wait for a GPU.
"""

from gradwire.kernels import queued
from gradwire.kernels.arithmetic import add, scale, scale_add
from gradwire.kernels.bits import (
    base3_size,
    pack_base3,
    pack_bits,
    packed_size,
    unpack_base3,
    unpack_bits,
)
from gradwire.kernels.buffers import Selected
from gradwire.kernels.casts import from_bfloat16, from_float16, to_bfloat16, to_float16
from gradwire.kernels.dynamic import (
    compensate_quantize_dynamic,
    dequantize_dynamic,
    dequantize_dynamic_add,
    quantize_dynamic,
)
from gradwire.kernels.indices import (
    decode_indices,
    encode_indices,
    encoded_size,
    max_encoded_size,
)
from gradwire.kernels.minifloats import dequantize_mx, from_fp8, quantize_mx, to_fp8
from gradwire.kernels.momentum import momentum_select, momentum_topk
from gradwire.kernels.natural import (
    dequantize_natural,
    dequantize_natural_add,
    quantize_natural,
)
from gradwire.kernels.quantization import (
    Quantized,
    code_bytes,
    compensate_quantize,
    dequantize,
    dequantize_add,
    quantize,
    scale_count,
)
from gradwire.kernels.random_bits import RandomStream, random_bits
from gradwire.kernels.randomness import fnv1a32, philox4x32, random_indices
from gradwire.kernels.selection import (
    compensate_select,
    compensate_topk,
    select,
    topk,
    topk_workspace,
)
from gradwire.kernels.signs import (
    compensate_sign,
    dequantize_sign,
    dequantize_sign_add,
    quantize_sign,
)
from gradwire.kernels.sparse import clear, intersect, merge, scatter, scatter_add
from gradwire.kernels.statistics import absmax, finite_check, histogram, kth_magnitude, norm
from gradwire.kernels.transform import hadamard

__all__ = [
    "Quantized",
    "RandomStream",
    "Selected",
    "absmax",
    "add",
    "base3_size",
    "clear",
    "code_bytes",
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
    "encode_indices",
    "encoded_size",
    "finite_check",
    "fnv1a32",
    "from_bfloat16",
    "from_float16",
    "from_fp8",
    "hadamard",
    "histogram",
    "intersect",
    "kth_magnitude",
    "max_encoded_size",
    "merge",
    "momentum_select",
    "momentum_topk",
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
    "queued",
    "random_bits",
    "random_indices",
    "scale",
    "scale_add",
    "scale_count",
    "scatter",
    "scatter_add",
    "select",
    "to_bfloat16",
    "to_float16",
    "to_fp8",
    "topk",
    "topk_workspace",
    "unpack_base3",
    "unpack_bits",
]
