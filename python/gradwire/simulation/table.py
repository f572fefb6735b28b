"""The results of simulations as lines of fixed width, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradwire.cost import BOUNDS, Link
from gradwire.cost.bounds import WORD_BYTES
from gradwire.simulation.runs import Run, Traffic

FORMAT = 1
_NAME_WIDTH = 14
_TIME_WIDTH = 12
_PHASE_INDENT = "  "

Links = Mapping[str, Link]  # by the name of its bandwidth, such as "1gbit"


def header(links: Links) -> str:
    """Return the line above the table; times are in ms."""
    times = "".join(f" {name + ' ms':>{_TIME_WIDTH}}" for name in links)
    return (
        f"# {'schedule':<{_NAME_WIDTH - 2}} {'ranks':>5} {'sent mean B':>13} {'sent max B':>13} "
        f"{'B/entry':>8} {'msgs':>6} {'rounds':>6} {'imbal':>6} {'bound':>6}{times}"
    )


def lines(run: Run, links: Links, phases: bool) -> list[str]:
    """Return a run's line and, if wanted, one for each of its phases."""
    found = [_line(run.schedule, run, run.total, links, run.rounds, run.bound_bytes)]
    if phases:
        for name, traffic in run.phases.items():
            found.append(_line(_PHASE_INDENT + name, run, traffic, links, None, None))
    return found


def _line(
    name: str, run: Run, traffic: Traffic, links: Links, rounds: int | None, bound: float | None
) -> str:
    mean, largest = float(traffic.bytes_sent.mean()), int(traffic.bytes_sent.max())
    share = f"{largest / bound:.3f}" if bound else "-"
    # The time of all phases is not that of their sum: each ends with its own slowest rank.
    whole = rounds is not None
    times = "".join(
        f" {1e3 * (run.seconds(link) if whole else traffic.seconds(link)):>{_TIME_WIDTH}.3f}"
        for link in links.values()
    )
    return (
        f"{name:<{_NAME_WIDTH}} {run.ranks:>5} {mean:>13,.0f} {largest:>13,} "
        f"{mean / run.k:>8.2f} {int(traffic.messages.max()):>6} "
        f"{'-' if rounds is None else rounds:>6} {traffic.imbalance:>6.2f} {share:>6}{times}"
    )


def to_json(run: Run, links: Links) -> dict[str, Any]:
    """Return a run's numbers: everything that the table shows, and more of each phase."""
    return {
        "schedule": run.schedule,
        "ranks": run.ranks,
        "numel": run.numel,
        "k": run.k,
        "rounds": run.rounds,
        "winners": run.winners,
        "load_imbalance": run.load_imbalance,
        "bound_bytes": run.bound_bytes,
        "modelled_seconds": {name: run.seconds(link) for name, link in links.items()},
        **_traffic_json(run.total, run.k),
        "phases": {
            name: _traffic_json(traffic, run.k)
            | {"modelled_seconds": {at: traffic.seconds(link) for at, link in links.items()}}
            for name, traffic in run.phases.items()
        },
    }


def bounds_json(numel: int, k: int, ranks: Sequence[int]) -> dict[str, list[float]]:
    """Return every published bound in bytes, a number for each number of ranks."""
    return {
        name: [WORD_BYTES * words(numel, k, size) for size in ranks]
        for name, words in BOUNDS.items()
    }


def _traffic_json(traffic: Traffic, k: int) -> dict[str, Any]:
    return {
        "bytes_sent_mean": float(traffic.bytes_sent.mean()),
        "bytes_sent_max": int(traffic.bytes_sent.max()),
        "bytes_received_max": int(traffic.bytes_received.max()),
        "bytes_per_entry": float(traffic.bytes_sent.mean()) / k,
        "messages": int(traffic.messages.max()),
        "imbalance": traffic.imbalance,
    }
