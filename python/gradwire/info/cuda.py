"""What this installation can do on NVIDIA GPUs, and a real round trip through the first one."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.errors import MissingDependencyError
from gradwire.kernels import native, reference

_NUMEL, _K = 100_000, 1000


def describe_cuda() -> str:
    """Return what the CUDA kernels were built with and which devices they find.

    Raises:
        RuntimeError: there are none in this build; says what to do.
    """
    try:
        module = native.cuda()
    except MissingDependencyError as error:
        raise RuntimeError(_why_not(error)) from error
    built = f"{module.compiler}, for {module.architectures}"
    found = module.devices()
    if not found:
        return f"{built}; no device: {_without_device(module)}"
    return f"{built}; {', '.join(_described(each) for each in found)}"


def _why_not(error: MissingDependencyError) -> str:
    return f"{native.why_without_cuda(error.__cause__ or error)}; CUDA tensors go over the host"


def _without_device(module: Any) -> str:
    driver, runtime = module.driver_version(), module.runtime_version()
    if driver == 0:
        return "there is no NVIDIA driver"
    if driver // 1000 < runtime // 1000:
        return f"the driver knows CUDA {_version(driver)}, and these need {_version(runtime)}"
    return "the driver shows none (CUDA_VISIBLE_DEVICES?)"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _described(device: Any) -> str:
    capability = f"{device['major']}.{device['minor']}"
    return f"{device['name']} ({capability}, {device['memory_bytes'] / 2**30:.0f} GiB)"


def cuda_devices() -> list[Any]:
    """Return the GPUs that the CUDA kernels find; none without kernels."""
    try:
        return list(native.cuda().devices())
    except MissingDependencyError:
        return []


def device_round_trip() -> dict[str, Any] | None:
    """Select and quantise on the first GPU and compare with NumPy; None where there is none."""
    if not cuda_devices():
        return None
    try:
        array, on_host = _library()
    except ImportError:
        return {"ok": True, "details": "not tried: there is neither torch nor CuPy to make arrays"}
    try:
        ok = round_trip_agrees(array, on_host)
    except Exception as error:  # of the kernels, the driver or the library that makes arrays
        return {"ok": False, "details": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    details = f"top {_K:,} of {_NUMEL:,} values, packed into 4 bits and back: "
    return {"ok": ok, "details": details + f"{'same' if ok else 'DIFFERENT'} bits as NumPy"}


def _library() -> tuple[Any, Any]:
    """Return functions that make an array of a GPU of one of NumPy's, and the reverse."""
    try:
        torch = importlib.import_module("torch")
        if torch.cuda.is_available():
            return (lambda x: torch.from_numpy(x).cuda()), (lambda x: x.cpu().numpy())
    except ImportError:
        pass
    cupy = importlib.import_module("cupy")
    return cupy.asarray, cupy.asnumpy


def round_trip_agrees(array: Any, on_host: Any) -> bool:
    """Return whether kernels give NumPy's bits for arrays that ``array`` makes of NumPy's.

    Args:
        array: copies a NumPy array to where the kernels run.
        on_host: copies it back.
    """
    x = np.random.Generator(np.random.PCG64(1)).standard_normal(_NUMEL).astype(np.float32)
    selected, expected = kernels.topk(array(x), _K), reference.topk(x, _K)
    quantized = kernels.quantize(array(x), 4, 512)
    back = kernels.dequantize(*quantized, _NUMEL, 4, 512)
    wanted = reference.dequantize(*reference.quantize(x, 4, 512), _NUMEL, 4, 512)
    pairs = (
        (selected.indices, expected.indices),
        (selected.values, expected.values),
        (back, wanted),
    )
    return all(on_host(mine).tobytes() == theirs.tobytes() for mine, theirs in pairs)
