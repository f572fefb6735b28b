"""What kernels accept as arrays, and how they refuse the rest."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gradwire
from gradwire import __version__, _cpu, kernels
from gradwire.errors import ConfigError, MissingDependencyError
from gradwire.kernels.arrays import aligned

pytestmark = pytest.mark.usefixtures("each_isa")

REFUSED = {
    "a list": ([1.0, 2.0], "must be a NumPy array, a torch tensor or .* DLPack, got list"),
    "longdouble": (np.ones(3, np.longdouble), "must have dtype float32 .*, got (float|longdouble)"),
    "two dimensions": (np.ones((2, 2), np.float32), "must have one dimension, got 2"),
    "a stride": (np.ones(6, np.float32)[::2], "must be contiguous"),
    "reversed": (np.ones(6, np.float32)[::-1], "must be contiguous"),
    "misaligned": (np.zeros(13, np.uint8)[1:].view(np.float32), "must be contiguous and aligned"),
    "foreign bytes": (np.ones(3, np.float32).astype(">f4"), "must have dtype float32 .*, got >f4"),
}


@pytest.mark.parametrize(("array", "message"), REFUSED.values(), ids=REFUSED)
def test_other_arrays_are_refused_by_name(array, message):
    with pytest.raises(ConfigError, match=f"topk: x {message}"):
        kernels.topk(array, 1)


def test_wrong_index_types_are_refused():
    x = np.ones(3, np.float32)
    with pytest.raises(ConfigError, match="clear: indices must have dtype uint32, got int64"):
        kernels.clear(x, np.array([1]))


def test_read_only_outputs_are_refused():
    x = np.ones(3, np.float32)
    x.flags.writeable = False
    with pytest.raises(ConfigError, match="clear: x must be writable"):
        kernels.clear(x, np.array([1], np.uint32))
    assert kernels.finite_check(x)


def test_lengths_must_agree():
    x = np.ones(3, np.float32)
    with pytest.raises(ConfigError, match=r"residual must have as many elements as gradient \(3\)"):
        kernels.compensate_topk(x, x[:2].copy(), 1, 0.0, np.empty(3, np.float32))
    with pytest.raises(ConfigError, match=r"values must have as many elements as indices \(1\)"):
        kernels.scatter(x, np.array([1], np.uint32), np.ones(2, np.float32))


X = np.ones(64, np.float32)
ROOM = np.empty(64, np.uint32), np.empty(64, np.float32)
CODED = kernels.quantize(X, 4, 16)
WRONG_SCALARS = {
    "scale": [lambda v: kernels.quantize(X, 4, 16, scale=v), None, 3, [], "half", "mean"],
    "scale of codes": [lambda v: kernels.dequantize(*CODED, 64, 4, 16, scale=v), None, 3],
    "bits": [lambda v: kernels.quantize(X, v, 16), None, 1.5, 0, 2**70, -(2**70), X],
    "block": [lambda v: kernels.quantize(X, 4, v), None, 1.5, 15, -16, 2**70, X],
    "levels": [lambda v: kernels.quantize(X, 4, 16, levels=v), "x", 0, 8, 2**70],
    "random": [lambda v: kernels.quantize(X, 4, 16, random=v), 3, (), (1,) * 5, (-1,) * 6],
    "format": [lambda v: kernels.to_fp8(X, v), None, [], "e2m1"],
    "format of codes": [lambda v: kernels.from_fp8(CODED.codes, v), None, "int8"],
    "mx format": [lambda v: kernels.quantize_mx(X, v), None, {}, "mx"],
    "mx codes": [lambda v: kernels.dequantize_mx(CODED.codes, CODED.codes, 64, v), None, "mx"],
    "threshold": [lambda v: kernels.select(X, v, *ROOM), None, [1], np.nan, -1.0, 10**400],
    "floor": [lambda v: kernels.compensate_topk(X, X.copy(), 3, v, ROOM[1]), "x", 10**400],
    "factor": [lambda v: kernels.scale(X, v), None, "x", 10**400],
    "nesterov": [
        lambda v: kernels.momentum_select(*[X] * 3, 0.9, 1.0, *[X] * 2, *ROOM, nesterov=v),
        *(None, 1, "yes", X),
    ],
    "codec": [lambda v: kernels.encode_indices(ROOM[0][:0], 0, 64, v), None, [], "zip"],
    "size of codec": [lambda v: kernels.encoded_size(0, 64, v), None, [], "zip", "rice"],
    "signs": [lambda v: kernels.hadamard(X, 64, signs=v), [], 1, "between"],
    "order": [lambda v: kernels.norm(X, v), None, 0, 3, np.array([1, 2]), 2.0],
    "chunks": [lambda v: kernels.merge(v, v), 3, None, X],
    "count of codes": [lambda v: kernels.code_bytes(v, 4), None, -1, 2**32],
    "count of scales": [lambda v: kernels.scale_count(64, v), None, -1, 65537],
    "length of codes": [lambda v: kernels.dequantize(*CODED, v, 4, 16), None, 2**31, 2**70],
    "strided bytes": [lambda v: kernels.unpack_bits(v, 64, 4), memoryview(bytes(64))[::2]],
}


@pytest.mark.parametrize(
    ("call", "wrong"), [(c, w) for c, *ws in WRONG_SCALARS.values() for w in ws]
)
def test_wrong_scalars_are_config_errors(call, wrong):
    with pytest.raises(ConfigError):
        call(wrong)


class Exporter:
    """An array that offers DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_is_all_that_an_array_needs():
    x = np.arange(1, 2001, dtype=np.float32)
    expected = kernels.topk(x, 3)
    found = kernels.topk(Exporter(x), 3)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(kernels.quantize(Exporter(x), 4, 16).codes, kernels.quantize(x, 4, 16)[0])
    assert np.array_equal(kernels.add(Exporter(x), x), 2 * x)
    assert kernels.kth_magnitude(Exporter(x), 3) == 1998
    packed = kernels.pack_bits(np.arange(16, dtype=np.uint8), 4)
    assert kernels.unpack_bits(Exporter(packed), 16, 4).tolist() == list(range(16))


def test_longer_outputs_by_dlpack_come_back_as_views():
    acc, residual = np.arange(16, dtype=np.float32), np.ones(16, np.float32)
    indices, values = np.zeros(20, np.uint32), np.zeros(20, np.float32)
    found = kernels.compensate_select(acc, residual, 3.0, acc, Exporter(indices), values)
    assert found.indices.tolist() == list(range(2, 16))
    assert np.shares_memory(found.indices, indices)
    codes = np.zeros(90, np.uint8)
    result = kernels.quantize(np.ones(16, np.float32), 4, 16, out_codes=Exporter(codes))
    assert np.shares_memory(result.codes, codes)
    assert result.codes.size == 8
    assert kernels.pack_bits(np.zeros(16, np.uint8), 4, Exporter(codes)).size == 8
    assert kernels.histogram(acc, 19, 12, out=Exporter(np.zeros(5000, np.uint64))).size == 4096


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array(np.ones(4, np.float32), [True, False, False, False])
    with pytest.raises(ConfigError, match=r"x must not be masked: call its filled\(\) first"):
        kernels.absmax(masked)


def test_scalar_outputs_are_refused():
    for out in (np.array(1, np.uint16), np.float32(1), {}, set()):
        with pytest.raises(ConfigError, match="out must"):
            kernels.random_bits(0, kernels.RandomStream(0, 0, 0), out)


class Rude:
    def __index__(self):
        raise RuntimeError("no")

    __float__ = __repr__ = __str__ = __len__ = __index__


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.topk(X, Rude()),
        lambda: kernels.scale(X, Rude()),
        lambda: kernels.quantize(X, Rude(), 16),
        lambda: kernels.quantize(X, 4, 16, scale=Rude()),
        lambda: kernels.quantize(X, 4, 16, random=Rude()),
        lambda: kernels.encode_indices(ROOM[0][:0], 0, 64, Rude()),
        lambda: kernels.topk(Rude(), 1),
        lambda: kernels.topk(X, 10**5000),
        lambda: kernels.quantize(X, 10**5000, 16),
        lambda: kernels.quantize(X, 4, 16, scale="\ud800"),
        lambda: kernels.quantize(X, 4, 16, scale=np.array([1, 2])),
        lambda: kernels.scale(X, "2"),
        lambda: kernels.scale(np.zeros(4, [("a", "f4")]), 2.0),
        lambda: kernels.native.use_isa(np.array([1, 2])),
        lambda: kernels.native.use_threads(10**5000),
        lambda: kernels.fnv1a32(5),
        lambda: kernels.philox4x32(5, (0, 0)),
    ],
)
def test_rude_arguments_are_config_errors(call):
    with pytest.raises(ConfigError):
        call()


def test_wrappers_of_other_tensors_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ConfigError, match="has no memory of its own"):
        torch.func.vmap(lambda x: kernels.add(x, x))(torch.randn(3, 4))


class Foreign:
    """An object whose DLPack says what it is told to say."""

    def __init__(self, device, capsule):
        self.device_tuple, self.capsule = device, capsule

    def __dlpack_device__(self):
        return self.device_tuple

    def __dlpack__(self, **_):
        return self.capsule()


def _raise():
    raise RuntimeError("not today\nnor tomorrow")


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (Foreign((1, 0), _raise), "x cannot be read by DLPack: RuntimeError: not today$"),
        (Foreign((1, 0), lambda: 3), "x cannot be read by DLPack"),
        (Foreign(None, X.__dlpack__), "x cannot be read by DLPack"),
        (Foreign((), X.__dlpack__), "x cannot be read by DLPack"),
        (Foreign(("cpu", 0), X.__dlpack__), "x cannot be read by DLPack"),
    ],
)
def test_broken_dlpack_is_refused(foreign, message):
    with pytest.raises(ConfigError, match=message):
        kernels.absmax(foreign)


CUDA, OPENCL = 2, 4  # DLPack's numbers


def test_dlpack_of_another_device_is_refused():
    with pytest.raises(ConfigError, match="x is on another device"):
        kernels.absmax(Foreign((OPENCL, 0), X.__dlpack__))


def test_arrays_of_a_gpu_need_its_kernels(monkeypatch):
    monkeypatch.delattr(gradwire, "_cuda", raising=False)
    monkeypatch.setitem(sys.modules, "gradwire._cuda", None)
    with pytest.raises(MissingDependencyError, match=r"not in this build: .* GRADWIRE_WITH_CUDA=1"):
        kernels.absmax(Foreign((CUDA, 0), X.__dlpack__))


@pytest.mark.parametrize("k", [-1, 2**32, 1.5, None])
def test_bad_counts_are_refused(k):
    with pytest.raises(ConfigError, match="topk: k must be"):
        kernels.topk(np.ones(3, np.float32), k)


def test_numpy_integers_are_counts():
    assert kernels.topk(np.ones(3, np.float32), np.int64(2)).found == 2


def test_torch_tensors_are_used_in_place():
    torch = pytest.importorskip("torch")
    gradient, residual = torch.tensor([1.0, -5.0, 2.0]), torch.zeros(3)
    acc = torch.empty(3)
    result = kernels.compensate_topk(gradient, residual, 2, 0.0, acc)
    assert acc.tolist() == [1.0, -5.0, 2.0]
    assert (result.indices.dtype, result.values.dtype) == (torch.uint32, torch.float32)
    assert result.indices.tolist() == [1, 2]
    kernels.clear(acc, result.indices)
    assert acc.tolist() == [1.0, 0.0, 0.0]
    mixed = kernels.topk(gradient, 1, np.empty(1, np.uint32), np.empty(1, np.float32))
    assert mixed.indices.tolist() == [1]


def test_torch_tensors_are_checked_too():
    torch = pytest.importorskip("torch")
    with pytest.raises(ConfigError, match=r"dtype float32 .*, got int32"):
        kernels.finite_check(torch.ones(3, dtype=torch.int32))
    with pytest.raises(ConfigError, match="contiguous"):
        kernels.finite_check(torch.ones(6)[::2])
    with pytest.raises(ConfigError, match="resolve_neg"):
        kernels.finite_check(torch._neg_view(torch.ones(6)))
    unaligned = torch.frombuffer(bytearray(13), dtype=torch.float32, offset=1)
    with pytest.raises(ConfigError, match="contiguous and aligned"):
        kernels.finite_check(unaligned)
    with pytest.raises(ConfigError, match=r"must (all be on the CPU|be on one CUDA device)"):
        kernels.finite_check(torch.ones(3, device="meta"))


def test_shared_memory_is_noticed_between_frameworks():
    torch = pytest.importorskip("torch")
    memory = np.zeros(8, np.float32)
    with pytest.raises(ConfigError, match="must not overlap"):
        kernels.compensate_topk(np.ones(8, np.float32), memory, 1, 0.0, torch.from_numpy(memory))


@pytest.mark.parametrize("size", [0, 1, 2**18 - 1, 2**18, 2**18 + 7])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint64"])
def test_large_vectors_begin_at_pages(size, dtype):
    x = aligned(size, dtype)
    assert (x.shape, x.dtype) == ((size,), np.dtype(dtype))
    assert x.flags.c_contiguous
    assert x.flags.aligned
    assert x.flags.writeable
    if x.nbytes >= 2**20:
        assert x.ctypes.data % 4096 == 0
    x.fill(1)
    assert int(x.sum()) == size


def test_kernels_do_not_import_torch():
    code = "import sys; import gradwire.kernels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_native_module_is_of_this_version():
    assert _cpu.__version__ == __version__
