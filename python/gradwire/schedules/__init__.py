"""Schedules: how compressed data moves between ranks and is reduced on its way."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from gradwire.errors import ConfigError, unknown
from gradwire.schedules.agreement import Agreement, refusing
from gradwire.schedules.allgather import Allgather
from gradwire.schedules.auto import Auto
from gradwire.schedules.base import Correction, Outcome, PhaseCount, Report, Schedule
from gradwire.schedules.dense import Dense
from gradwire.schedules.gtopk import GTopk
from gradwire.schedules.hierarchical import Hierarchical
from gradwire.schedules.oktopk import OkTopk
from gradwire.schedules.split_gather import SplitGather
from gradwire.schedules.topkdsa import TopkDsa

SCHEDULES: dict[str, type[Schedule]] = {
    schedule.id: schedule
    for schedule in (Dense, Allgather, SplitGather, OkTopk, TopkDsa, GTopk, Hierarchical, Auto)
}


def get_schedule(name: str, **config: Any) -> Schedule:
    """Return a schedule by name and keyword arguments.

    Raises:
        ConfigError: unknown name or argument, or a value out of range.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, list(SCHEDULES))
    made: Any = SCHEDULES[name]
    options = [each.name for each in dataclasses.fields(made) if each.init]
    for option in config:
        if option not in options:
            known = ", ".join(options) or "none"
            raise ConfigError(f"schedule {name!r} has no option {option!r}; it has {known}")
    schedule: Schedule = made(**config)
    return schedule


def schedule_of(given: Schedule | str | Mapping[str, Any]) -> Schedule:
    """Return a schedule, or the one that a name or a configuration stands for.

    Raises:
        ConfigError: as `get_schedule`, or a configuration without a name.
    """
    if isinstance(given, Schedule):
        return given
    if isinstance(given, str):
        return get_schedule(given)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ConfigError(f"expected a schedule, its name or its configuration, got {given!r}")
    if not isinstance(given.get("id"), str):
        raise ConfigError(f"expected a schedule, its name or its configuration, got {given!r}")
    config = dict(given)
    return get_schedule(config.pop("id"), **config)


__all__ = [
    "SCHEDULES",
    "Agreement",
    "Allgather",
    "Auto",
    "Correction",
    "Dense",
    "GTopk",
    "Hierarchical",
    "OkTopk",
    "Outcome",
    "PhaseCount",
    "Report",
    "Schedule",
    "SplitGather",
    "TopkDsa",
    "get_schedule",
    "refusing",
    "schedule_of",
]
