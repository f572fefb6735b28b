"""Options that several commands have, and the checks of what they are given.

Imported whenever the command line is, so it imports next to nothing itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from gradwire.errors import ConfigError


def add_numel(parser: argparse.ArgumentParser, default: int = 25_000_000) -> None:
    """Add --n, the elements of a vector."""
    parser.add_argument(
        "--n", type=int, default=default, metavar="N", help="elements (default: %(default)s)"
    )


def add_density(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add --density, the share of the elements that is selected; of several a list."""
    what = "k / n (default: 0.01)"
    if several:
        parser.add_argument("--density", nargs="+", type=float, default=[0.01], help=what)
    else:
        parser.add_argument("--density", type=float, default=0.01, help=what)


def add_repetitions(parser: argparse.ArgumentParser) -> None:
    """Add --repetitions, how often everything is timed."""
    parser.add_argument(
        "--repetitions", type=int, default=15, metavar="R", help="(default: %(default)s)"
    )


def add_seed(parser: argparse.ArgumentParser, default: int) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=int, default=default, help="(default: %(default)s)")


def add_methods(parser: argparse.ArgumentParser, besides: str = "") -> None:
    """Add --methods, patterns of names; besides: what is measured whatever they are."""
    what = f"only these{besides}, such as 'okt*' (see --list)"
    parser.add_argument("--methods", nargs="+", metavar="PATTERN", help=what)


def add_list(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --list, which only shows what could be measured."""
    parser.add_argument("--list", action="store_true", help=f"list {what}, and end")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json, a file for everything that the table says and more."""
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything to a file")


def add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --plot, a file for a picture."""
    parser.add_argument("--plot", type=Path, metavar="F.svg", help=what)


def add_allocator(parser: argparse.ArgumentParser) -> None:
    """Add --allocator, which `set_allocator` obeys."""
    parser.add_argument(
        "--allocator",
        choices=("warm", "default"),
        default="warm",
        help="warm: restart with glibc's allocator keeping freed memory (default: %(default)s)",
    )


def set_allocator(options: argparse.Namespace, restart: bool) -> None:
    """Start the process again if --allocator asks for it, and ``restart`` permits."""
    if restart and options.allocator == "warm":
        from gradwire.bench.allocator import restart_with_warm_allocator

        restart_with_warm_allocator()


def out_of_range(who: str, name: str, expected: str, got: float) -> ConfigError:
    """Return the error for an option's value; name: as argparse holds it."""
    return ConfigError(f"{who}: --{name.replace('_', '-')} must be {expected}, got {got}")


def require_numel(who: str, numel: int) -> None:
    """Raise ConfigError if --n is not a length that indices of 32 bits can point into."""
    if not 1 <= numel < 2**32:
        raise out_of_range(who, "n", "in [1, 2**32)", numel)


def require_density(who: str, density: float) -> None:
    """Raise ConfigError if --density is not in (0, 1]."""
    if not 0.0 < density <= 1.0:
        raise out_of_range(who, "density", "in (0, 1]", density)


def require_at_least(who: str, options: object, least: Mapping[str, int]) -> None:
    """Raise ConfigError if an option is below its least value; None stands for a default.

    Args:
        who: says it.
        options: has them as attributes.
        least: name -> smallest value.
    """
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise out_of_range(who, name, f"at least {bound}", value)
