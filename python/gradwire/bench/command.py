"""The command line of ``python -m gradwire bench``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradwire.bench.collectives.command import add_allreduce
from gradwire.bench.options import (
    add_allocator,
    add_density,
    add_json,
    add_list,
    add_numel,
    add_repetitions,
    out_of_range,
    require_at_least,
    require_density,
    require_numel,
    set_allocator,
)
from gradwire.bench.place import CUDA, HOST, Host, cuda_place
from gradwire.bench.training.command import add_training
from gradwire.errors import ConfigError
from gradwire.kernels import native

if TYPE_CHECKING:
    from gradwire.bench.row import Row

_WHO = "bench kernels"
_KERNELS = """Times every kernel against a copy of the same length, against what other libraries
take for the same job, and checks all results. Exit code 1: some result was wrong.
Columns and method: docs/benchmarks.md."""
_COMPARE = """Compares two files of 'bench kernels --json' row by row, in copies."""
_PLOT = """Draws a file of 'bench kernels --json': time and floor of each row, in copies."""

# Of memory per element: what the vectors of any row take, and what most of them take with peers.
_BYTES_OF_ANY_ROW = 16
_BYTES_OF_ALL_ROWS = 110


def add_bench(commands: Any) -> None:
    """Add the command ``bench`` to argparse's subcommands."""
    bench = commands.add_parser("bench", help="measure kernels, reductions and training")
    parts = bench.add_subparsers(required=True)
    _add_kernels(parts.add_parser("kernels", help="time and check kernels", description=_KERNELS))
    add_allreduce(parts)
    add_training(parts)
    _add_compare(parts.add_parser("compare", help="compare two results", description=_COMPARE))
    _add_plot(parts.add_parser("plot", help="draw a result", description=_PLOT))
    parts.metavar = f"{{{','.join(parts.choices)}}}"  # or an error would not name them


def _add_kernels(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_numel(parser)
    add_density(parser)
    add_repetitions(parser)
    add("--rows", nargs="+", metavar="PATTERN", help="only these, such as 'merge*' (see --list)")
    add("--isa", nargs="+", metavar="NAME", help="instruction sets (default: the one in use)")
    add("--threads", nargs="+", type=int, metavar="T", help="(default: the number in use)")
    add("--no-peers", action="store_true", help="gradwire's own kernels only")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    add_allocator(parser)
    add_json(parser)
    add_list(parser, "rows and peers")
    parser.set_defaults(run=_run_kernels)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("before", type=Path, metavar="A.json")
    add("after", type=Path, metavar="B.json")
    add(
        "--fail-above",
        type=float,
        metavar="RATIO",
        help="exit with 1 if a row's B / A is above it, such as 1.10",
    )
    add("--statistic", choices=("median", "min"), default="median", help="(default: %(default)s)")
    parser.set_defaults(run=_run_compare)


def _add_plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="F.json")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="F.svg")
    parser.set_defaults(run=_run_plot)


def _run_kernels(options: argparse.Namespace, restart: bool) -> int:
    if options.list:
        return _list_rows(options)
    _check(options)
    if options.device == CUDA:
        return _measure(options, cuda_place(f"{_WHO} --device cuda"))
    set_allocator(options, restart)
    return _measure(options, HOST)


def _check(options: argparse.Namespace) -> None:
    from gradwire.bench.environment import require_memory
    from gradwire.bench.files import check_writable

    if options.device == CUDA and (options.isa or options.threads):
        raise ConfigError(f"{_WHO}: --isa and --threads are the CPU's; leave them out for a GPU")
    require_numel(_WHO, options.n)
    require_density(_WHO, options.density)
    require_at_least(_WHO, options, {"repetitions": 1})
    for count in options.threads or ():
        if not 1 <= count <= native.max_threads():
            raise out_of_range(_WHO, "threads", f"in [1, {native.max_threads()}]", count)
    for name in options.isa or ():
        if name not in native.isas():
            raise ConfigError(
                f"bench kernels: --isa {name} does not run here; "
                f"this processor has {', '.join(native.isas())}"
            )
    require_memory(
        f"{_WHO}: --n {options.n} needs at least",
        # Chosen rows may do with less than all.
        options.n * (_BYTES_OF_ANY_ROW if options.rows else _BYTES_OF_ALL_ROWS),
        "choose a smaller one, or fewer --rows",
    )
    check_writable(_WHO, options.json)


def _measure(options: argparse.Namespace, place: Host) -> int:
    from gradwire.bench import table
    from gradwire.bench.environment import collect_environment, peak_memory_bytes
    from gradwire.bench.inputs import Inputs
    from gradwire.bench.report import Report, write_report
    from gradwire.bench.runner import Plan, Runner, say_on_stderr

    rows = _chosen_rows(options)
    isas, threads = [CUDA], [1]
    if place.name != CUDA:
        isas = list(dict.fromkeys(options.isa or [native.current_isa()]))
        threads = list(dict.fromkeys(options.threads or [native.current_threads()]))
    plan = Plan(rows, isas, threads, options.repetitions, not options.no_peers)
    inputs = Inputs(options.n, options.density, place=place)
    settings = {
        "numel": inputs.numel,
        "density": inputs.density,
        "k": inputs.k,
        "seed": inputs.seed,
        "repetitions": plan.repetitions,
        "device": place.name,
        "allocator": place.allocator(),
    }
    report = Report(settings, collect_environment(place))
    print("\n".join(table.heading(report)), flush=True)
    runner = Runner(plan, inputs)
    for measurements in runner.run(say_on_stderr):
        report.measurements += measurements
        for line in table.row_lines(measurements):
            print(line, flush=True)
    report.notes = runner.notes
    report.failed = runner.failed
    if not report.measurements and not report.failed:
        raise ConfigError(f"bench kernels: nothing was measured: {'; '.join(report.notes)}")
    report.environment["peak_memory_bytes"] = peak_memory_bytes()
    print("\n".join(table.footer(report)))
    if options.json:
        write_report(report, options.json)
    return 1 if report.wrong_rows or report.failed else 0


def _chosen_rows(options: argparse.Namespace) -> list[Row]:
    from gradwire.bench.rows import CUDA_ROWS, ROWS
    from gradwire.bench.runner import matching_rows

    if options.device == CUDA:
        return matching_rows(CUDA_ROWS, options.rows)
    try:
        return matching_rows(ROWS, options.rows)
    except ConfigError as unknown:
        try:
            matching_rows(CUDA_ROWS, options.rows)
        except ConfigError:
            raise unknown from None
        raise ConfigError(f"{_WHO}: {' '.join(options.rows)} needs --device cuda") from None


def _list_rows(options: argparse.Namespace) -> int:
    for row in _chosen_rows(options):
        print(f"{row.name:<24} {row.summary}")
        for peer in row.peers:
            if options.device != CUDA or peer.runs_on_gpu:
                print(f"{'':<24}   against {peer.name}")
    return 0


def _run_compare(options: argparse.Namespace, restart: bool) -> int:
    del restart
    from gradwire.bench.compare import TOLERANCE, compare, comparison_lines
    from gradwire.bench.report import read_report

    tolerance = TOLERANCE if options.fail_above is None else options.fail_above
    if not tolerance > 0.0:
        raise ConfigError(f"bench compare: --fail-above must be above 0, got {tolerance}")
    before, after = read_report(options.before), read_report(options.after)
    comparisons = compare(before, after, tolerance, options.statistic)
    for path, report in ((options.before, before), (options.after, after)):
        if report.wrong_rows:
            print(f"# wrong results in {path}: {', '.join(report.wrong_rows)}")
    print("\n".join(comparison_lines(comparisons, tolerance)))
    return int(options.fail_above is not None and any(each.slower for each in comparisons))


def _run_plot(options: argparse.Namespace, restart: bool) -> int:
    del restart
    from gradwire.bench.files import check_writable
    from gradwire.bench.plot import plot
    from gradwire.bench.report import read_report

    check_writable("bench plot", options.output)
    plot(read_report(options.file), options.output)
    return 0
