"""Where the ranks run: machines, hosts, network interfaces, and what MPI was told at its launch."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwire.bench.collectives.methods.gloo import INTERFACE_VARIABLE

MCA_PREFIX = "OMPI_MCA_"
# What makes Open MPI's allreduce of long vectors a ring, and its ranks share cores: the fastest
# dense baseline. They can only be set at the launch.
TUNED = {
    "coll_tuned_use_dynamic_rules": "1",
    "coll_tuned_allreduce_algorithm": "4",
    "mpi_yield_when_idle": "1",
}
# What mpirun adds by itself: nothing that was chosen, and where the job was started.
_BY_MPIRUN = {"PREFIXES", "cpu_type", "initial_wdir", "num_procs"}
_INTERFACES = Path("/proc/self/net/dev")
_SENT_COLUMN = 8  # behind the interface's name


@dataclass(frozen=True)
class Place:
    """Where one rank runs.

    Attributes:
        host: its host's name, which emulated hosts have of their own.
        machine: tells apart machines that run, and so clocks; empty if unknown.
        network: tells apart sets of network interfaces: a namespace of a machine.
        variables: of the environment, those that steer transports.
    """

    host: str
    machine: str
    network: str
    variables: Mapping[str, str] = field(default_factory=dict)


def own_place() -> Place:
    """Return where this process runs."""
    machine, network = "", ""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        network = str(os.stat("/proc/self/ns/net").st_ino)
    except OSError:  # not Linux
        pass
    variables = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith((MCA_PREFIX, "MPIR_CVAR_", "UCX_")) or name == INTERFACE_VARIABLE
        if name.removeprefix(MCA_PREFIX) not in _BY_MPIRUN
    }
    return Place(socket.gethostname(), machine, f"{machine} {network}", variables)


def share_a_clock(places: Sequence[Place]) -> bool:
    """Return whether all ranks run on one machine, whose monotonic clock is the same for all."""
    machines = {each.machine for each in places}
    return len(machines) == 1 and "" not in machines


def link_bytes_sent(interfaces: Path = _INTERFACES) -> int | None:
    """Return the bytes that left through this process's network interfaces but the loopback.

    Headers included, those of all processes that see the interfaces. None where nobody counts.
    """
    try:
        lines = interfaces.read_text(encoding="ascii").splitlines()[2:]
    except OSError:
        return None
    counted = [line.partition(":") for line in lines]
    return sum(
        int(words.split()[_SENT_COLUMN]) for name, _, words in counted if name.strip() != "lo"
    )


def mean_link_bytes(networks: Sequence[str], counted: Sequence[float | None]) -> float | None:
    """Return the bytes through interfaces, on average of the ranks; None if one does not count.

    Args:
        networks: of each rank, which interfaces it counts; ranks may share them.
        counted: bytes of each rank.
    """
    of_network = dict(zip(networks, counted, strict=True)).values()
    known = [each for each in of_network if each is not None]
    return sum(known) / len(counted) if len(known) == len(of_network) else None


def untuned(places: Sequence[Place]) -> list[str]:
    """Return the parameters of `TUNED` that some rank's environment does not have, for Open MPI."""
    return [
        name
        for name, value in TUNED.items()
        if any(each.variables.get(MCA_PREFIX + name) != value for each in places)
    ]


def as_json(places: Sequence[Place]) -> list[dict[str, Any]]:
    """Return the ranks' places for people who read the file."""
    return [{"host": each.host, "variables": dict(each.variables)} for each in places]
