"""Every error that gradwire raises on purpose.

Messages say who noticed, what was expected, what came and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral


class GradwireError(Exception):
    """Base of all errors raised by gradwire."""


class ConfigError(GradwireError, ValueError):
    """An argument or a combination of arguments that cannot work."""


class MissingDependencyError(GradwireError, ImportError):
    """An optional part (MPI, Horovod, torch, CUDA) is needed now and is not there."""


class WireError(GradwireError, ValueError):
    """A message that is truncated, oversized or inconsistent."""


class DeviceError(GradwireError, RuntimeError):
    """What a GPU reported: no memory left, or a failure of this or an earlier kernel."""


class AgreementError(GradwireError, RuntimeError):
    """Ranks differ in what they must share; raised on every rank alike."""


class CommunicationError(GradwireError, RuntimeError):
    """An exchange could not be completed."""


class DeadlineError(CommunicationError):
    """A peer did not answer before the deadline."""


class DeadlockError(CommunicationError):
    """No rank of a simulation can ever go on."""


class PeerError(CommunicationError):
    """Another rank failed and said why."""


def missing(what: str, needed_for: str, remedy: str) -> MissingDependencyError:
    """Return the error for an optional part that is absent, with its remedy."""
    return MissingDependencyError(f"{needed_for} needs {what}, which is not installed: {remedy}")


def require_integer(name: str, value: object, least: int) -> int:
    """Return an integer argument; ConfigError if it is none, or below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ConfigError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


def unknown(kind: str, name: str, known: Sequence[str]) -> ConfigError:
    """Return the error for a name that no registry entry answers to."""
    return ConfigError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")
