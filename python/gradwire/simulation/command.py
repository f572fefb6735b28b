"""The command line: ``python -m gradwire simulate``, with and without ``--check``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from gradwire.bench.options import (
    add_density,
    add_json,
    add_numel,
    add_plot,
    add_seed,
    out_of_range,
    require_at_least,
    require_density,
    require_numel,
)
from gradwire.errors import ConfigError
from gradwire.simulation.units import bits_per_second, seconds

_WHO = "simulate"
_DESCRIPTION = """Runs the schedules on virtual ranks in this process, counts bytes, messages and
rounds, and tells how long links of a given rate would take. With --check, under mpirun: measures
this job's links and kernels, and puts the model's predictions beside measured times.
Columns and model: docs/simulation.md."""


def add_simulate(commands: Any) -> None:
    """Add the command ``simulate`` to argparse's subcommands."""
    parser = commands.add_parser(
        "simulate", help="count what schedules exchange on many ranks", description=_DESCRIPTION
    )
    add = parser.add_argument
    add(
        "--ranks",
        nargs="+",
        type=int,
        default=[4, 8, 16, 32],
        metavar="P",
        help="(default: 4 to 32)",
    )
    add_numel(parser, 1_000_000)
    add_density(parser)
    add("--schedules", nargs="+", default=["oktopk", "allgather", "dense"], metavar="NAME",
        help="of those that `python -m gradwire info` lists, but auto "
        "(default: oktopk allgather dense)")  # fmt: skip
    add(
        "--ranks-per-host",
        type=int,
        default=1,
        metavar="G",
        help="for hierarchical: successive ranks that are taken to share a host (default: 1)",
    )
    add("--values", default="float32", metavar="FORMAT",
        help="float32, bf16, fp16, int8, int4 or sign (default: %(default)s)")  # fmt: skip
    add("--gradients", default="layered", metavar="WHAT",
        help="layered, hot_spot, or a .npy file (default: %(default)s)")  # fmt: skip
    add("--bandwidth", nargs="+", default=["1gbit", "100mbit"], metavar="RATE",
        help="links, each direction (default: 1gbit 100mbit)")  # fmt: skip
    add("--latency", type=seconds, default=30e-6, metavar="T", help="of a message (default: 30us)")
    add("--steps", "--repetitions", type=int, default=None, metavar="S",
        help="exchanges in a row (default: 1; with --check 15)")  # fmt: skip
    add_seed(parser, 0)
    add("--phases", action="store_true", help="a line for each phase, too")
    add("--check", action="store_true", help="compare predictions with this MPI job's times")
    add_json(parser)
    add_plot(parser, "draw bytes and times against ranks")
    add("--from", nargs="+", type=Path, dest="results", metavar="F.json",
        help="simulate nothing: show, and with --plot draw, the bytes per entry of results that "
        "--json wrote")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, restart: bool) -> int:
    del restart
    _check(options)
    if options.results:
        return _show_volumes(options)
    return _run_check(options) if options.check else _run_simulations(options)


def _check(options: argparse.Namespace) -> None:
    from gradwire.schedules import get_schedule
    from gradwire.values import format_named

    require_numel(_WHO, options.n)
    require_density(_WHO, options.density)
    require_at_least(_WHO, options, {"steps": 1})
    if not 0 <= options.seed < 2**32:
        raise out_of_range(_WHO, "seed", "in [0, 2**32)", options.seed)
    for ranks in options.ranks:
        if ranks < 1:
            raise out_of_range(_WHO, "ranks", "at least 1", ranks)
    for name in options.schedules:
        get_schedule(name)
    format_named(options.values)
    if options.check and options.values != "float32":
        raise ConfigError("simulate: --check exchanges float32, leave --values out")
    if options.results and (options.check or options.json):
        raise ConfigError("simulate: --from only shows results, leave --check and --json out")
    if options.plot and max(options.ranks) < 2:
        raise ConfigError("simulate: --plot needs some --ranks above 1: one rank sends nothing")
    if options.check and options.plot:
        raise ConfigError("simulate: --check draws nothing, leave --plot out")


def _run_simulations(options: argparse.Namespace) -> int:
    from gradwire.bench.files import check_writable
    from gradwire.cost import Link
    from gradwire.schedules import get_schedule
    from gradwire.simulation import table
    from gradwire.simulation.plot import plot, require_plot
    from gradwire.simulation.runs import memory_needed, simulate
    from gradwire.simulation.selections import make_source

    links = {name: Link.of_rate(_rate(name), options.latency) for name in options.bandwidth}
    sizes, steps = sorted(set(options.ranks)), options.steps or 1
    sources = {
        size: make_source(options.gradients, options.n, options.density, size, options.seed)
        for size in sizes
    }
    check_writable(_WHO, options.json, options.plot)
    if options.plot:
        require_plot(options.plot)
    numel, k = sources[sizes[0]].numel, sources[sizes[0]].k
    for name in options.schedules:
        need = memory_needed(get_schedule(name), sources[sizes[-1]], sizes[-1])
        _check_memory(name, sizes[-1], need)
    print(
        f"# n {numel:,} {options.values}, k {k:,}, {options.gradients} gradients, {steps} steps,",
        end=" ",
    )
    print(f"latency {1e6 * options.latency:g} us")
    print(table.header(links), flush=True)
    runs = []
    for name in options.schedules:
        for size in sizes:
            begin = perf_counter()
            run = simulate(
                name, sources[size], size, steps, options.seed, options.values,
                options.ranks_per_host,
            )  # fmt: skip
            runs.append(table.to_json(run, links) | {"took_seconds": perf_counter() - begin})
            print("\n".join(table.lines(run, links, options.phases)), flush=True)
    settings = {
        "ranks": sizes, "numel": numel, "density": options.density, "k": k, "steps": steps,
        "values": options.values, "gradients": options.gradients, "latency": options.latency,
        "seed": options.seed,
    }  # fmt: skip
    result = {
        "format": table.FORMAT,
        "settings": settings,
        "links": {name: {"alpha": link.alpha, "beta": link.beta} for name, link in links.items()},
        "bounds": table.bounds_json(numel, k, sizes),
        "runs": runs,
    }
    if options.json:
        _write(result, options.json)
    if options.plot:
        plot(result, options.plot)
    return 0


def _show_volumes(options: argparse.Namespace) -> int:
    from gradwire.bench.files import check_writable
    from gradwire.simulation.volume import load_volumes, volume_lines
    from gradwire.simulation.volume_plot import plot_volumes, require_volume_plot

    volumes = load_volumes(options.results)
    if options.plot:
        check_writable(_WHO, options.plot)
        require_volume_plot(options.plot)
    print("\n".join(volume_lines(volumes, options.phases)), flush=True)
    if options.plot:
        plot_volumes(volumes, options.plot)
    return 0


def _run_check(options: argparse.Namespace) -> int:
    from gradwire.bench.files import check_writable
    from gradwire.communicators.mpi import MpiCommunicator
    from gradwire.communicators.mpi_library import import_mpi
    from gradwire.simulation.check import DEFAULT_STEPS, check_lines, check_schedules

    check_writable(_WHO, options.json)
    communicator = MpiCommunicator.cached(import_mpi("simulate --check").COMM_WORLD)
    if communicator.size < 2:
        raise ConfigError(
            "simulate --check: needs at least 2 ranks, got 1; start it with mpirun -np 4"
        )
    result = check_schedules(
        communicator, options.schedules, options.n, options.density,
        options.steps or DEFAULT_STEPS, options.seed,
    )  # fmt: skip
    if communicator.rank == 0:
        print("\n".join(check_lines(result)), flush=True)
        if options.json:
            _write(result, options.json)
    communicator.barrier()
    return 0


def _rate(name: str) -> float:
    try:
        return bits_per_second(name)
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"simulate: --bandwidth: {error}") from None


def _check_memory(name: str, ranks: int, needed: int) -> None:
    """Refuse what the machine would end in the midst of."""
    from gradwire.bench.environment import require_memory

    what = f"{_WHO}: {name} on {ranks} ranks needs about"
    require_memory(what, needed, "choose fewer --ranks or a smaller --n")


def _write(result: dict[str, Any], path: Path) -> None:
    from gradwire.bench.environment import collect_environment, peak_memory_bytes
    from gradwire.bench.files import write_json

    environment = collect_environment() | {"peak_memory_bytes": peak_memory_bytes()}
    environment["command"] = " ".join(sys.argv[1:])
    write_json(_WHO, {"environment": environment, **result}, path)
