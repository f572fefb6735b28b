"""Command line: ``python -m gradwire info``, ``bench`` and ``simulate``."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from gradwire._version import __version__
from gradwire.bench.command import add_bench
from gradwire.errors import GradwireError
from gradwire.simulation.command import add_simulate


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; arguments: those of the process when None."""
    parser = argparse.ArgumentParser(prog="python -m gradwire", description="gradwire's commands")
    parser.add_argument("--version", action="version", version=f"gradwire {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="tell what is built and found, and try it")
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(run=_run_info)
    add_bench(commands)
    add_simulate(commands)
    options = parser.parse_args(arguments)
    try:
        # A command may start the process again only if it was the process's own.
        code = int(options.run(options, restart=arguments is None))
        sys.stdout.flush()
        return code
    except GradwireError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run_info(options: argparse.Namespace, restart: bool) -> int:
    del restart
    from gradwire.info import show_info

    return show_info(options.json)


if __name__ == "__main__":
    sys.exit(main())
