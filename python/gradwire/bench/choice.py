"""Choosing by name what is measured."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Protocol, TypeVar

from gradwire.errors import ConfigError


class Named(Protocol):
    """Something that a table has lines of."""

    @property
    def name(self) -> str:
        """As in the table; no spaces."""


Subject = TypeVar("Subject", bound=Named)


def matching(
    who: str, noun: str, known: Sequence[Subject], patterns: Sequence[str] | None
) -> list[Subject]:
    """Return those whose names match one of the patterns, in their own order; all without any.

    Args:
        who: says it, if a pattern matches nothing.
        noun: what they are, in the singular.
        known: what there is.
        patterns: as shells have them, such as "okt*".

    Raises:
        ConfigError: a pattern matches nothing.
    """
    if not patterns:
        return list(known)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(each.name, pattern) for each in known):
            names = ", ".join(each.name for each in known)
            raise ConfigError(f"{who}: no {noun} matches {pattern!r}; {noun}s: {names}")
    return [each for each in known if any(fnmatch.fnmatchcase(each.name, p) for p in patterns)]
