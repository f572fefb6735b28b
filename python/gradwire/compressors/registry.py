"""Compressors by name: the ones of this package, and those that other packages announce.

A package announces a compressor through the entry-point group ``gradwire.compressors``::

    [project.entry-points."gradwire.compressors"]
    my_method = "my_package.my_module:MyCompressor"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gradwire.compressors.base import Compressor
from gradwire.errors import ConfigError, unknown

ENTRY_POINT_GROUP = "gradwire.compressors"

_registered: dict[str, type[Compressor]] = {}
_announced_loaded = False


def register(compressor: type[Compressor]) -> type[Compressor]:
    """Add a compressor class under its ``id``; usable as a class decorator.

    Raises:
        ConfigError: another class already has this id.
    """
    known = _registered.setdefault(compressor.id, compressor)
    if known is not compressor:
        raise ConfigError(
            f"compressor id {compressor.id!r} is already taken by {known.__module__}."
            f"{known.__qualname__}; give {compressor.__module__}.{compressor.__qualname__} another"
        )
    return compressor


def _load_announced() -> None:
    global _announced_loaded
    if _announced_loaded:
        return
    _announced_loaded = True  # already, for a package may look up compressors while it is loaded
    try:
        for entry_point in entry_points(group=ENTRY_POINT_GROUP):
            register(_loaded(entry_point))
    except BaseException:
        _announced_loaded = False  # the next call raises again
        raise


def _loaded(entry_point: EntryPoint) -> type[Compressor]:
    try:
        compressor = entry_point.load()
    except Exception as error:
        raise ConfigError(
            f"entry point {entry_point.name!r} in group {ENTRY_POINT_GROUP} cannot be loaded from "
            f"{entry_point.value!r}: {error}; repair or uninstall the package that announces it"
        ) from error
    if not (isinstance(compressor, type) and issubclass(compressor, Compressor)):
        raise ConfigError(
            f"entry point {entry_point.name!r} in group {ENTRY_POINT_GROUP} must name a "
            f"subclass of gradwire.Compressor, got {compressor!r}"
        )
    if compressor.id != entry_point.name:
        raise ConfigError(
            f"entry point {entry_point.name!r} names a compressor with id {compressor.id!r}; "
            "they must be the same word"
        )
    return compressor


def compressor_ids() -> list[str]:
    """Return the names of all compressors, in alphabetical order."""
    _load_announced()
    return sorted(_registered)


def compressor_class(name: str) -> type[Compressor]:
    """Return the class registered under a name.

    Raises:
        ConfigError: no compressor has this name.
    """
    _load_announced()
    if name not in _registered:
        raise unknown("compressor", name, list(_registered))
    return _registered[name]


def get_compressor(name: str | Mapping[str, Any], **config: Any) -> Compressor:
    """Return a compressor by name and keyword arguments, or from a stored configuration.

    >>> get_compressor("topk", density=0.05)
    TopK(density=0.05, warmup_steps=0, ramp_steps=0)
    >>> get_compressor({"id": "topk", "density": 0.05}) == get_compressor("topk", density=0.05)
    True

    Raises:
        ConfigError: unknown name or argument, or a value out of range.
    """
    if isinstance(name, Mapping):
        if "id" not in name:
            raise ConfigError(f"a compressor's configuration needs an 'id', got {dict(name)!r}")
        config = {**{key: value for key, value in name.items() if key != "id"}, **config}
        name = name["id"]
    if not isinstance(name, str):
        raise ConfigError(f"a compressor's name must be a string, got {name!r}")
    compressor = compressor_class(name)
    try:
        return compressor(**config)
    except TypeError as error:
        raise ConfigError(f"compressor {name!r}: {error}") from error
