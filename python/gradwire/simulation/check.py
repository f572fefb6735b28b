"""Predictions beside measurements: the model's numbers and a running job's, phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.cost import (
    Case,
    Link,
    Rates,
    expected_phases,
    measure_link,
    measure_rates,
    predict,
)
from gradwire.kernels.arrays import aligned
from gradwire.payload import Float32, Payload
from gradwire.residual import next_floor
from gradwire.schedules import Schedule, get_schedule
from gradwire.simulation.payloads import agreement_of
from gradwire.simulation.selections import budget
from gradwire.values import plain

DEFAULT_STEPS = 15
FORMAT = 1
_NAME_WIDTH = 14


def check_schedules(
    communicator: Communicator,
    schedules: Sequence[str],
    numel: int,
    density: float,
    steps: int,
    seed: int,
) -> dict[str, Any]:
    """Measure links, kernels and schedules, and predict the latter; collective.

    Returns:
        link (alpha, beta), rates, and for each schedule and phase the predicted and the measured
        seconds: medians over the steps of the slowest rank's time. The same on all ranks.

    Raises:
        ConfigError: unknown schedule, one rank only, or numbers out of range.
    """
    case = Case(numel, budget(numel, density), communicator.size)
    for name in schedules:
        expected_phases(name, case)  # before the work, not after it
    link = measure_link(communicator)
    communicator.barrier()  # all ranks at the same time: they share cores in the exchange, too
    rates = measure_rates(numel, density, chunks=communicator.size).shared(communicator)
    return {
        "format": FORMAT,
        "settings": {
            "ranks": communicator.size, "numel": numel, "density": density, "k": case.k,
            "steps": steps, "transport": communicator.name,
        },
        "link": asdict(link),
        "rates": asdict(rates),
        "schedules": {
            name: _compare(name, case, link, rates, measure(communicator, name, case, steps, seed))
            for name in schedules
        },
    }  # fmt: skip


def measure(
    communicator: Communicator, name: str, case: Case, steps: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Take steps from gradients to results; return phase -> (seconds, bytes sent); collective.

    Both are medians over the steps, after one that does not count, of the largest rank's.
    """
    rank = _Rank(communicator, get_schedule(name), case, seed)
    records = [rank.step(step) for step in range(1 + steps)][1:]
    names = list(records[0])
    own = np.array([[record[phase] for phase in names] for record in records], np.float64)
    largest = communicator.allreduce(own.reshape(-1), "max").reshape(own.shape)
    medians = np.median(largest, axis=0)
    return {
        phase: (float(seconds), float(sent))
        for phase, (seconds, sent) in zip(names, medians, strict=True)
    }


class _Rank:
    """One rank's state: gradient, residual, result."""

    def __init__(
        self, communicator: Communicator, schedule: Schedule, case: Case, seed: int
    ) -> None:
        generator = np.random.Generator(np.random.PCG64([seed, communicator.rank]))
        self._communicator, self._schedule, self._case = communicator, schedule, case
        self._gradient = generator.laplace(size=case.numel).astype(np.float32)
        self._residual, self._acc = aligned(case.numel), aligned(case.numel)
        self._residual.fill(0.0)
        self._floor = 0.0

    def step(self, step: int) -> dict[str, tuple[float, float]]:
        """Take one step; return phase -> (seconds, bytes sent)."""
        payload, compensating = _timed(self._compensate)
        self._communicator.barrier()
        agreement = agreement_of(self._schedule, step)
        outcome, exchanging = _timed(
            lambda: self._schedule.exchange(payload, agreement, self._communicator)
        )
        phases = outcome.report.phases
        record = {name: (each.seconds, float(each.bytes_sent)) for name, each in phases.items()}
        if self._schedule.moves_dense:
            return record
        inside = sum(each.seconds for each in phases.values())
        record = {"compensate": (compensating, 0.0), **record}
        record["finish"] = (max(0.0, exchanging - inside), 0.0)
        kernels.clear(self._acc, outcome.delivered)
        self._residual, self._acc = self._acc, self._residual
        _, scattering = _timed(lambda: _scatter(self._acc, outcome.reduced))
        return record | {"scatter": (scattering, 0.0)}

    def _compensate(self) -> Payload:
        if self._schedule.moves_dense:
            return Payload(dense=plain(self._gradient))
        numel, k = self._case.numel, self._case.k
        selected = kernels.compensate_topk(
            self._gradient, self._residual, k, self._floor, self._acc
        )
        self._floor = next_floor(float(selected.threshold))
        return Payload(numel, selected.indices, selected.values, budget=k)


def _scatter(out: Float32, reduced: Payload) -> None:
    out.fill(0.0)
    kernels.scatter(out, reduced.indices, reduced.values)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begin = perf_counter()
    result = call()
    return result, perf_counter() - begin


def _compare(
    name: str, case: Case, link: Link, rates: Rates, measured: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    """Put both beside each other; an error is predicted over measured, less 1."""
    predicted = predict(name, case, link, rates)
    phases = {
        phase: {
            "predicted": predicted.phases.get(phase, 0.0),
            "of_which_links": predicted.links.get(phase, 0.0),
            "measured": seconds,
            "bytes_sent": sent,
        }
        for phase, (seconds, sent) in measured.items()
    }
    total = sum(seconds for seconds, _ in measured.values())
    return {
        "predicted": predicted.seconds,
        "measured": total,
        "error": predicted.seconds / total - 1.0,
        "phases": phases,
    }


def check_lines(result: dict[str, Any]) -> list[str]:
    """Return the table of a check: a line for each phase, and one for all of them; in ms."""
    settings, link = result["settings"], result["link"]
    lines = [
        f"# {settings['ranks']} ranks over {settings['transport']}, n {settings['numel']:,} "
        f"float32, k {settings['k']:,}, median of {settings['steps']} steps",
        f"# alpha {1e6 * link['alpha']:.1f} us per message, beta {1e9 * link['beta']:.3f} ns per "
        f"byte ({8e-9 / link['beta'] if link['beta'] else float('inf'):.2f} Gbit/s)",
        f"# {'schedule':<{_NAME_WIDTH - 2}} {'sent B':>13} {'predicted ms':>13} "
        f"{'of it links':>12} {'measured ms':>12} {'error':>8}",
    ]
    for name, each in result["schedules"].items():
        phases = each["phases"]
        sent = sum(phase["bytes_sent"] for phase in phases.values())
        links = sum(phase["of_which_links"] for phase in phases.values())
        lines.append(_line(name, sent, each["predicted"], links, each["measured"]))
        for phase, values in phases.items():
            links, measured = values["of_which_links"], values["measured"]
            lines.append(
                _line(f"  {phase}", values["bytes_sent"], values["predicted"], links, measured)
            )
    return lines


def _line(name: str, sent: float, predicted: float, links: float, measured: float) -> str:
    error = f"{100 * (predicted / measured - 1):+.0f} %" if measured > 0 else "-"
    return (
        f"{name:<{_NAME_WIDTH}} {sent:>13,.0f} {1e3 * predicted:>13.3f} {1e3 * links:>12.3f} "
        f"{1e3 * measured:>12.3f} {error:>8}"
    )
