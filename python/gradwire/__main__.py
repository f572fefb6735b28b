"""Command line: ``python -m gradwire info``."""

from __future__ import annotations

import argparse
import sys

from gradwire._version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m gradwire", description="gradwire's commands")
    parser.add_argument("--version", action="version", version=f"gradwire {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="tell what is built and found, and try it")
    info.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)

    from gradwire.info import show_info

    return show_info(options.json)


if __name__ == "__main__":
    sys.exit(main())
