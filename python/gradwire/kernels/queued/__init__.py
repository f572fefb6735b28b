"""Kernels that never wait for the GPU: for CUDA graphs, and for programs that go on meanwhile.

The operations of `gradwire.kernels` that return something of what they found (how many entries, a
threshold, whether indices were sorted) wait for the GPU to tell it. Those here do the same with the
same bits, but only put their work on the current CUDA stream (torch's or CuPy's) and return:

- What they find is written to the GPU's memory, into arrays that the caller gives.
- A threshold, a floor or the step of a random stream may be an array of one element in the GPU's
  memory, read when the work is done: a graph that is replayed goes with what is there then.
- All memory is the caller's. ``workspace`` is uint8 of as many bytes as the function named says,
  at any address, and means nothing afterwards; None takes new memory of torch or CuPy, which is
  right in a graph as well, for torch keeps it.

So a CUDA graph can hold them. Call each once before a capture: CUDA loads kernels when they are
first used. Arrays are torch's CUDA tensors, CuPy's arrays and others of one NVIDIA GPU, which have
to live until the work is done, as with any operation on a stream. What the host can see is checked
at once and raises ConfigError, as in `gradwire.kernels`, whose docstrings say what is not said
here: shapes, dtypes, what may overlap and that results are deterministic. Outputs may not share
memory with anything else. In a build without CUDA kernels every call raises
MissingDependencyError; what CUDA itself reports is a DeviceError, of this call or one before.

===================================  ============================================================
operations of `gradwire.kernels`     on a GPU
===================================  ============================================================
select, topk and relatives;          wait: use those here
quantize_natural; scatter,
scatter_add, clear with indices;
absmax, norm, kth_magnitude,
finite_check; merge, intersect;
encode_indices, decode_indices;
pack and unpack functions
quantize, quantize_sign and          never wait; those here take the workspace, which the others
relatives                            may have to get from CUDA, and a step
random_bits, random_indices,         never wait; those here take a step
hadamard
dequantize and all other decoders    never wait: use them as they are, in graphs too, with outputs
of values; add, scale, scale_add;    that are given. Random rounding has the bits of the step that
casts; quantize_dynamic,             the call names, in every replay
compensate_quantize_dynamic,
quantize_mx, to_fp8; histogram;
clear without indices
===================================  ============================================================

A step of training as a graph, with torch: gradients and steps are written where the graph reads
them, and every replay selects, compensates and counts anew::

    from gradwire.kernels import queued

    gradient = torch.zeros(n, device="cuda")
    residual, acc = torch.zeros_like(gradient), torch.empty_like(gradient)
    indices = torch.zeros(k, dtype=torch.uint32, device="cuda")
    values = torch.empty(k, device="cuda")
    found = torch.zeros(3, dtype=torch.uint64, device="cuda")
    work = torch.empty(queued.topk_workspace(n, k), dtype=torch.uint8, device="cuda")
    floor = torch.zeros(1, device="cuda")

    def step():
        queued.compensate_topk(
            gradient, residual, k, floor, acc, indices, values, found, work
        )
        floor.copy_(found.view(torch.float32)[4:5])  # a good guess for the next one

    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for each in gradients:
        gradient.copy_(each)
        graph.replay()
    print(queued.read_found(found.cpu().numpy()))

torch counts no uint32: a step that the graph itself increments is an int32 tensor, and
``counter.view(torch.uint32)`` is what kernels get.
"""

from gradwire.kernels.queued.bits import pack_base3, pack_bits, unpack_base3, unpack_bits
from gradwire.kernels.queued.entries import (
    NO_TROUBLE,
    NOT_INCREASING,
    OUT_OF_RANGE,
    clear,
    decode_indices,
    decode_indices_workspace,
    encode_indices,
    encode_indices_workspace,
    scatter,
    scatter_add,
)
from gradwire.kernels.queued.quantizers import (
    compensate_quantize,
    compensate_sign,
    quantize,
    quantize_natural,
    quantize_sign,
    quantize_workspace,
    sign_workspace,
)
from gradwire.kernels.queued.randomness import (
    hadamard,
    random_bits,
    random_indices,
    random_indices_workspace,
)
from gradwire.kernels.queued.selection import (
    Found,
    compensate_select,
    compensate_topk,
    momentum_select,
    momentum_topk,
    read_found,
    select,
    select_workspace,
    topk,
    topk_workspace,
)
from gradwire.kernels.queued.sets import (
    intersect,
    intersect_workspace,
    merge,
    merge_workspace,
)
from gradwire.kernels.queued.statistics import (
    absmax,
    finite_check,
    kth_magnitude,
    kth_magnitude_workspace,
    norm,
    norm_workspace,
)

__all__ = [
    "NOT_INCREASING",
    "NO_TROUBLE",
    "OUT_OF_RANGE",
    "Found",
    "absmax",
    "clear",
    "compensate_quantize",
    "compensate_select",
    "compensate_sign",
    "compensate_topk",
    "decode_indices",
    "decode_indices_workspace",
    "encode_indices",
    "encode_indices_workspace",
    "finite_check",
    "hadamard",
    "intersect",
    "intersect_workspace",
    "kth_magnitude",
    "kth_magnitude_workspace",
    "merge",
    "merge_workspace",
    "momentum_select",
    "momentum_topk",
    "norm",
    "norm_workspace",
    "pack_base3",
    "pack_bits",
    "quantize",
    "quantize_natural",
    "quantize_sign",
    "quantize_workspace",
    "random_bits",
    "random_indices",
    "random_indices_workspace",
    "read_found",
    "scatter",
    "scatter_add",
    "select",
    "select_workspace",
    "sign_workspace",
    "topk",
    "topk_workspace",
    "unpack_base3",
    "unpack_bits",
]
