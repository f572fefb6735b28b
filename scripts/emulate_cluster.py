"""Run an MPI program on emulated hosts of this machine, joined by links of a known rate.

    sudo python scripts/emulate_cluster.py --hosts 4 --rate 1gbit -- python sum.py

Shared memory hides what an exchange costs. Here every host is a network namespace of its own with
its own host name, and each is joined to one switch by a link that lets through so much a second in
each direction, so that a program on one machine waits for the network as it would on several. Other
processes of this machine are not touched, and the hosts can reach each other and nothing else.

Linux, root, iproute2 (``ip``, ``tc``) and the Open MPI or MPICH whose ``mpirun`` is on the PATH.
Exit code: that of the program; 77 if this machine cannot emulate hosts; 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CANNOT_EMULATE = 77  # what test runners take for "skipped"
MAX_HOSTS = 64
PREFIX = "gradwire"  # of namespaces; the number of the process that made them follows
SUBNET = "10.200.0"
FIRST_ADDRESS = 10
BURST, LATENCY = "128kb", "20ms"
CONGESTION_CONTROL = "bbr"  # where the kernel has it: it keeps shallow queues filled
# Seconds between asking a program to end and ending it.
PATIENCE = 10.0


class CannotEmulateError(Exception):
    """This machine has no namespaces, no rights or no tools for them."""


def ip(*words: str, program: str = "ip") -> str:
    """Run a command of iproute2 and return what it says."""
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotEmulateError(f"{program} {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Cluster:
    """Namespaces and addresses of the hosts; named after this process, so that none is shared."""

    hosts: int
    rate: str
    name: str

    @property
    def switch(self) -> str:
        """Namespace of the bridge that joins the hosts."""
        return f"{self.name}-switch"

    def namespace(self, host: int) -> str:
        """Return the namespace of a host."""
        return f"{self.name}-{host}"

    def address(self, host: int) -> str:
        """Return the address of a host, in all clusters the same."""
        return f"{SUBNET}.{FIRST_ADDRESS + host}"

    def inside(self, host: int, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on a host, under that host's name."""
        enter = f'hostname host{host} && exec "$@"'
        namespace = ["ip", "netns", "exec", self.namespace(host), "unshare", "--uts"]
        return [*namespace, "sh", "-c", enter, "sh", *command]

    def build(self) -> None:
        """Make the switch, the hosts and their links."""
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        for host in range(self.hosts):
            self._add_host(host)

    def _add_host(self, host: int) -> None:
        namespace, port = self.namespace(host), f"port{host}"
        ip("netns", "add", namespace)
        ends = ("eth0", "type", "veth", "peer", "name", port, "netns", self.switch)
        ip("-n", namespace, "link", "add", *ends)
        ip("-n", namespace, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
        ip("-n", self.switch, "link", "set", port, "master", "bridge")
        for where, end in ((namespace, "lo"), (namespace, "eth0"), (self.switch, port)):
            ip("-n", where, "link", "set", end, "up")
        shape = ("root", "tbf", "rate", self.rate, "burst", BURST, "latency", LATENCY)
        for where, end in ((namespace, "eth0"), (self.switch, port)):
            ip("-n", where, "qdisc", "add", "dev", end, *shape, program="tc")
        control = f"net.ipv4.tcp_congestion_control={CONGESTION_CONTROL}"
        prefer = ["ip", "netns", "exec", namespace, "sysctl", "-q", "-w", control]
        subprocess.run(prefer, stderr=subprocess.DEVNULL, check=False)

    def remove(self) -> None:
        """End what still runs on the hosts and remove them; links and switch go with them."""
        known = set(ip("netns", "list").split())
        for namespace in [*map(self.namespace, range(self.hosts)), self.switch]:
            if namespace in known:
                for process in ip("netns", "pids", namespace).split():
                    _end(int(process))
                ip("netns", "delete", namespace)

    def counters(self) -> list[dict[str, int]]:
        """Return the bytes that each host has sent and received so far, headers included."""
        found = []
        for host in range(self.hosts):
            text = ip("-n", self.namespace(host), "-s", "-j", "link", "show", "eth0")
            statistics: dict[str, Any] = json.loads(text)[0]["stats64"]
            found.append({"sent": statistics["tx"]["bytes"], "received": statistics["rx"]["bytes"]})
        return found


def remove_leftovers() -> None:
    """Remove the namespaces of runs that were killed before they could do it."""
    for name in ip("netns", "list").split():
        made = re.fullmatch(rf"{PREFIX}(\d+)-(\d+|switch)", name)
        if made and not Path("/proc", made[1]).exists():
            ip("netns", "delete", name)


def _end(process: int) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        os.kill(process, signal.SIGKILL)


@contextmanager
def emulated(hosts: int, rate: str) -> Iterator[Cluster]:
    """Yield a cluster that is removed afterwards, whatever happens."""
    # Where `sudo env "PATH=$PATH"` was used, the user's path may lack the system's programs.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    for program in ("ip", "tc", "unshare"):
        if shutil.which(program) is None:
            raise CannotEmulateError(f"{program} is not installed (iproute2, util-linux)")
    if os.geteuid() != 0:
        raise CannotEmulateError("network namespaces need root")
    remove_leftovers()
    cluster = Cluster(hosts, rate, f"{PREFIX}{os.getpid()}")
    try:
        cluster.build()
        yield cluster
    finally:
        cluster.remove()


def open_mpi(cluster: Cluster, ranks: int, folder: Path, options: Sequence[str]) -> list[str]:
    """Return Open MPI's mpirun on host 0; it starts a daemon on each of the others."""
    agent = folder / "agent.sh"
    # Called as ssh is: options, an address, and words that a shell on that host is to run.
    agent.write_text(
        "#!/bin/sh\n"
        'while [ "${1#-}" != "$1" ]; do shift; done\n'
        f"host=$((${{1##*.}} - {FIRST_ADDRESS}))\n"
        "shift\n"
        f'exec setsid ip netns exec "{cluster.name}-$host" unshare --uts '
        'sh -c "hostname host$host && $*"\n'
    )
    agent.chmod(0o700)
    slots = -(-ranks // cluster.hosts)
    addresses = ",".join(f"{cluster.address(host)}:{slots}" for host in range(cluster.hosts))
    launcher = ["--prtemca", "plm_ssh_agent", str(agent), "--prtemca", "plm_ssh_no_tree_spawn", "1"]
    network = ["--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include"]
    placed = ["--host", addresses, "--map-by", "node", "--bind-to", "none", "-np", str(ranks)]
    command = ["mpirun", *launcher, *network, "eth0", *placed, *options]
    return cluster.inside(0, command)


def mpich(cluster: Cluster, ranks: int, folder: Path, options: Sequence[str]) -> list[str]:
    """Return MPICH's mpirun, whose ranks go to their hosts themselves."""
    agent = folder / "agent.sh"
    agent.write_text(
        "#!/bin/sh\n"
        f"host=$((PMI_RANK % {cluster.hosts}))\n"
        f'exec ip netns exec "{cluster.name}-$host" unshare --uts '
        'sh -c "hostname host$host && exec \\"\\$@\\"" sh "$@"\n'
    )
    agent.chmod(0o700)
    return ["mpirun", "-np", str(ranks), *options, str(agent)]


MPICH_ENVIRONMENT = {
    "MPIR_CVAR_NOLOCAL": "1",
    "MPIR_CVAR_CH4_NETMOD": "ucx",
    "UCX_TLS": "tcp,self",
    "UCX_NET_DEVICES": "eth0",
}
OPEN_MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    # Ranks that wait would spin on the cores that the others need: there is one machine only.
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


def launch_command(
    cluster: Cluster, ranks: int, folder: Path, options: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return how the mpirun on the PATH starts a program on the hosts, and its environment."""
    if shutil.which("mpirun") is None:
        raise CannotEmulateError("mpirun is not on the PATH")
    done = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False)
    if "Open MPI" in done.stdout:
        return open_mpi(cluster, ranks, folder, options), OPEN_MPI_ENVIRONMENT
    if "HYDRA" in done.stdout:
        return mpich(cluster, ranks, folder, options), MPICH_ENVIRONMENT
    raise CannotEmulateError("mpirun is neither Open MPI's nor MPICH's")


def run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end, or to this process's: then ask it to end, and wait for that."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def report(cluster: Cluster, seconds: float, path: Path | None) -> None:
    """Tell on standard error, and in a file, what went over each host's link."""
    counters = cluster.counters()
    for host, counted in enumerate(counters):
        print(
            f"# host{host}: {counted['sent'] / 1e6:.2f} MB sent, "
            f"{counted['received'] / 1e6:.2f} MB received",
            file=sys.stderr,
        )
    if path is not None:
        content = {"hosts": cluster.hosts, "rate": cluster.rate, "seconds": seconds}
        path.write_text(json.dumps({**content, "links": counters}, indent=1) + "\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; what follows the first "--" is the program."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--hosts", type=int, default=4, metavar="N", help="(default: %(default)s)")
    add("--rate", default="1gbit", help="of each link and direction, as tc has it: 100mbit, 1gbit")
    add("--ranks", type=int, metavar="P", help="(default: one for each host)")
    add("--mpirun", default="", metavar="WORDS", help="further options of mpirun, in one string")
    add("--json", type=Path, metavar="F", help="write seconds and bytes of all links to a file")
    options = parser.parse_args(words[:cut])
    options.program = words[cut + 1 :]
    options.ranks = options.hosts if options.ranks is None else options.ranks
    if not options.program:
        parser.error("no program: write it behind --")
    if not 1 <= options.hosts <= MAX_HOSTS:
        parser.error(f"--hosts must be in [1, {MAX_HOSTS}], got {options.hosts}")
    if not re.fullmatch(r"[0-9]*\.?[0-9]+[kmgt]?bit", options.rate, re.IGNORECASE):
        parser.error(f"--rate must be a number and bit, kbit, mbit or gbit, got {options.rate!r}")
    if options.ranks < options.hosts:
        parser.error(f"--ranks must be at least --hosts ({options.hosts}), got {options.ranks}")
    return options


def main() -> int:
    """Build the cluster, run the program on it, report, and remove the cluster."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with emulated(options.hosts, options.rate) as cluster, tempfile.TemporaryDirectory() as at:
            command, environment = launch_command(
                cluster, options.ranks, Path(at), shlex.split(options.mpirun)
            )
            begin = time.monotonic()
            code = run([*command, *options.program], environment)
            report(cluster, time.monotonic() - begin, options.json)
    except CannotEmulateError as error:
        print(f"emulate_cluster: cannot emulate hosts here: {error}", file=sys.stderr)
        return CANNOT_EMULATE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


if __name__ == "__main__":
    sys.exit(main())
