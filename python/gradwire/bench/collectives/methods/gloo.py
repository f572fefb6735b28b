"""Dense reductions by torch.distributed over Gloo, as its users call it, and its process group."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gradwire.bench.collectives.method import Case, Method
from gradwire.bench.inputs import Floats
from gradwire.bench.method import FLOAT16, Job, Rounding
from gradwire.bench.peers import import_torch
from gradwire.errors import ConfigError
from gradwire.kernels.arrays import aligned

INTERFACE_VARIABLE = "GLOO_SOCKET_IFNAME"
_TIMEOUT = timedelta(seconds=300)
_LOOPBACK = "lo"


class GlooGroup:
    """torch.distributed's default process group, shared by all cases that need it."""

    _users = 0

    def __init__(self, job: Job) -> None:
        import torch.distributed as dist

        self.dist = dist
        if not GlooGroup._users:
            if dist.is_initialized():
                raise ConfigError("bench allreduce: torch.distributed is in use already")
            _start(dist, job)
        GlooGroup._users += 1

    def close(self) -> None:
        """End the process group after its last user. Collective."""
        GlooGroup._users -= 1
        if not GlooGroup._users:
            self.dist.destroy_process_group()


def _start(dist: Any, job: Job) -> None:
    """Let all ranks meet at rank 0's address, which MPI tells them."""
    interface = _interface(job)
    if interface:
        os.environ[INTERFACE_VARIABLE] = interface
    store = None
    if job.rank == 0:
        host = address_of(interface) if interface else socket.gethostbyname(socket.gethostname())
        store = dist.TCPStore(host, 0, job.size, True, _TIMEOUT, wait_for_workers=False)
        where = (host, store.port)
    else:
        where = None
    where = job.comm.bcast(where, root=0)
    if store is None:
        store = dist.TCPStore(*where, job.size, False, _TIMEOUT)
    dist.init_process_group("gloo", store=store, rank=job.rank, world_size=job.size)


def _interface(job: Job) -> str | None:
    """Return the network interface to use on this rank; None: the one of the host's name.

    Gloo takes the address that the host's name stands for, which may be none, or the loopback's.
    """
    if os.environ.get(INTERFACE_VARIABLE):
        return os.environ[INTERFACE_VARIABLE]
    if len(set(job.comm.allgather(socket.gethostname()))) == 1:
        return _LOOPBACK
    try:
        if not socket.gethostbyname(socket.gethostname()).startswith("127."):
            return None
    except OSError:
        pass
    for _, name in socket.if_nameindex():
        if name != _LOOPBACK and _has_address(name):
            return name
    raise ConfigError(f"gloo: no network interface has an address; set {INTERFACE_VARIABLE}")


def address_of(interface: str) -> str:
    """Return the IPv4 address of a network interface; OSError if it has none. Linux."""
    import fcntl

    get_address = 0x8915  # SIOCGIFADDR
    request = interface.encode()[:15].ljust(256, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return socket.inet_ntoa(fcntl.ioctl(any_socket.fileno(), get_address, request)[20:24])


def _has_address(interface: str) -> bool:
    try:
        return bool(address_of(interface))
    except OSError:
        return False


class GlooFloat32(Case):
    """all_reduce of float32 in place; the sum is not divided."""

    divides = False

    def __init__(self, job: Job, density: float) -> None:
        del density
        self._group = GlooGroup(job)
        self._values: Floats = aligned(job.numel)
        self._tensor = import_torch().from_numpy(self._values)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Sum in the memory that holds the gradient."""
        self._values[:] = gradient
        start()
        self._group.dist.all_reduce(self._tensor)
        return self._values

    def close(self) -> None:
        """Leave the process group."""
        self._group.close()


class GlooFloat16(Case):
    """What torch's fp16_compress_hook does: cast, divide, all_reduce, cast back."""

    rounding: Rounding = FLOAT16

    def __init__(self, job: Job, density: float) -> None:
        del density
        self._torch = import_torch()
        self._group, self._size = GlooGroup(job), job.size
        self._values: Floats = aligned(job.numel)
        self._tensor = self._torch.from_numpy(self._values)
        self._half = self._torch.empty(job.numel, dtype=self._torch.float16)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Reduce in the memory that holds the gradient."""
        self._values[:] = gradient
        start()
        self._half.copy_(self._tensor).div_(self._size)
        self._group.dist.all_reduce(self._half)
        self._tensor.copy_(self._half)
        return self._values

    def close(self) -> None:
        """Leave the process group."""
        self._group.close()


_NEEDS = ("torch",)
GLOO: tuple[Method, ...] = (
    Method("gloo/float32", "torch.distributed all_reduce", GlooFloat32, needs=_NEEDS, peer=True),
    Method("gloo/fp16", "the same, as in fp16_compress_hook", GlooFloat16, needs=_NEEDS, peer=True),
)
