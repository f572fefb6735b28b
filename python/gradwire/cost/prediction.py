"""How long a schedule will take, told before anything is exchanged.

Volumes are those of an exchange like many others: gradients whose loads the regions balance, and no
regions cut anew. `gradwire simulate` counts what really goes over the wire, hot spots included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gradwire.cost.link import Link, slowest
from gradwire.cost.rates import Rates, Work
from gradwire.errors import ConfigError, require_integer, unknown
from gradwire.index_codecs import choose_codec
from gradwire.wire import HEADER_BYTES

_VALUE_BYTES = 4
_AGREEMENT_BYTES = 40  # five integers of 64 bits
# Of Ok-Topk's exact selection (schedules/winners.py). The bins of the first histogram are a 1024th
# of a power of two wide, if the last k-th was a good guess; about k times _SHARE_OF_BIN sums lie in
# the one of the k-th, and more than _FEW of an owner take a second histogram. Rounded values take a
# round less on few ranks, which is not foretold.
_BINS = 1024
_COUNT_BYTES = 4
_FEW = 512
_SHARE_OF_BIN = 0.0024


@dataclass(frozen=True)
class Case:
    """What is to be exchanged.

    Attributes:
        numel: elements of the gradient, at least 1.
        k: entries that each rank brings, in [1, numel].
        ranks: at least 1.
        value_bytes: bytes of a value on the wire, of an entry or a dense one.
        byte_seconds: by which senders choose their codes, see `Communicator`.
        group_size: ranks of a host, which share its link, for "hierarchical"; ``ranks`` is a
            multiple of it.
    """

    numel: int
    k: int
    ranks: int
    value_bytes: float = _VALUE_BYTES
    byte_seconds: float = 8e-9
    group_size: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_integer("Case: numel", self.numel, 1)
        require_integer("Case: k", self.k, 1)
        require_integer("Case: ranks", self.ranks, 1)
        if self.k > self.numel:
            raise ConfigError(f"Case: k must be at most numel = {self.numel}, got {self.k}")
        require_integer("Case: group_size", self.group_size, 1)
        if self.ranks % self.group_size:
            raise ConfigError(
                f"Case: ranks must be a multiple of group_size = {self.group_size}, "
                f"got {self.ranks}"
            )
        if not self.value_bytes > 0:
            raise ConfigError(f"Case: value_bytes must be above 0, got {self.value_bytes}")

    @property
    def entry_bytes(self) -> float:
        """Bytes of an entry on the wire, index and value."""
        return self.value_bytes + index_bytes(self.numel, self.k, self.byte_seconds)

    @property
    def peers(self) -> int:
        """Number of the other ranks."""
        return self.ranks - 1

    @property
    def elsewhere(self) -> float:
        """Share of an evenly divided whole that the other ranks have."""
        return self.peers / self.ranks

    @property
    def union(self) -> int:
        """Largest number of different indices that all ranks can bring."""
        return min(self.numel, self.k * self.ranks)


class Phase(NamedTuple):
    """What the busiest rank does in one phase: messages, bytes in each direction, computations."""

    messages: float = 0.0
    nbytes: float = 0.0
    work: Work = Work()


@dataclass(frozen=True)
class Prediction:
    """Seconds of an exchange.

    Attributes:
        links: phase -> seconds that its messages take.
        kernels: phase -> seconds that its computations take.
    """

    links: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, float] = field(default_factory=dict)

    @property
    def phases(self) -> dict[str, float]:
        """Phase -> seconds; what a phase sends and what it computes do not overlap."""
        return {name: self.links[name] + self.kernels[name] for name in self.links}

    @property
    def seconds(self) -> float:
        """Seconds of all phases, one after the other."""
        return sum(self.phases.values())


def expected_phases(schedule: str, case: Case) -> dict[str, Phase]:
    """Return the phases of a whole step in their order, from the gradient to the result.

    Before and after those that a schedule reports there are "compensate", "finish" (what a schedule
    does after its last message) and "scatter".

    Raises:
        ConfigError: no prediction for this schedule.
    """
    if schedule not in _PHASES:
        raise unknown("schedule to predict", schedule, list(_PHASES))
    return _PHASES[schedule](case)


def predict(schedule: str, case: Case, link: Link, rates: Rates | None = None) -> Prediction:
    """Return the seconds of a whole step; the same bits wherever the arguments are.

    rates: None leaves the computations out.

    Raises:
        ConfigError: no prediction for this schedule.
    """
    phases = expected_phases(schedule, case)
    speed = rates or Rates()
    return Prediction(
        {
            name: slowest(link, [(phase.messages, phase.nbytes, phase.nbytes)])
            for name, phase in phases.items()
        },
        {name: speed.seconds(phase.work) for name, phase in phases.items()},
    )


def _oktopk(case: Case) -> dict[str, Phase]:
    k, part = case.k, case.k * case.elsewhere
    moved = case.entry_bytes * part + HEADER_BYTES * case.peers
    coded = Work(coded=case.ranks, encoded=k, decoded=k)
    return {
        "compensate": Phase(work=Work(compensated=case.numel)),
        "agree": _allreduce(case, _AGREEMENT_BYTES),
        "partition": Phase(),  # one exchange in 64 cuts the regions anew
        "split": Phase(case.peers, moved, Work(coded=case.ranks, encoded=k, decoded=k, merged=k)),
        "select": _selection(case),
        "gather": Phase(case.peers, moved, coded),
        "finish": Phase(work=Work(intersected=k)),
        "scatter": Phase(work=Work(cleared=case.numel, scattered=k)),
    }


def _hierarchical(case: Case) -> dict[str, Phase]:
    """Ok-Topk between hosts, all of whose ranks use its link; what stays in a host takes no link.

    As if all ranks of a host chose other entries: the more they agree, the less is to be merged.
    """
    g, whole = case.group_size, _oktopk(case)
    if g == 1:
        return whole
    numel, k = -(-case.numel // g), -(-case.k // g)
    inner = _oktopk(replace(case, numel=numel, k=k, ranks=case.ranks // g, group_size=1))
    shared = {
        name: Phase(g * inner[name].messages, g * inner[name].nbytes, inner[name].work)
        for name in ("split", "select", "gather")
    }
    near = Work(coded=g, encoded=case.k, decoded=case.k, merged=case.k)
    return {
        "compensate": whole["compensate"],
        "agree": whole["agree"],
        "partition": Phase(),
        "near split": Phase(work=near),
        **shared,
        "finish": inner["finish"],
        "near gather": Phase(work=Work(coded=g, encoded=k, decoded=case.k)),
        "scatter": whole["scatter"],
    }


def _selection(case: Case) -> Phase:
    """One histogram or two, and the sums that remain."""
    in_question = _SHARE_OF_BIN * case.k
    histogram = _allreduce(case, _COUNT_BYTES * (_BINS + 2))
    histograms = 1 if in_question <= _FEW * case.ranks else 2
    in_question /= _BINS ** (histograms - 1)
    parts = [histogram] * histograms
    parts.append(Phase(case.peers, _VALUE_BYTES * in_question * case.elsewhere))
    return Phase(
        sum(each.messages for each in parts),
        sum(each.nbytes for each in parts),
        Work(ranked=histograms * case.union / case.ranks),
    )


def index_bytes(numel: int, k: int, byte_seconds: float) -> float:
    """Return about how many bytes an index takes in the codec that a sender chooses."""
    codec = choose_codec(k, numel, byte_seconds)
    if codec.name != "rice":
        return codec.largest(k, numel) / k
    field_bits = max(0, ((numel - k) // k).bit_length() - 1)
    survives = (1 - k / numel) ** (1 << field_bits)  # of a gap, one more step of 2**field_bits
    return (field_bits + 1 + survives / (1 - survives)) / 8


def _allgather(case: Case) -> dict[str, Phase]:
    everything = case.k * case.ranks
    sent = case.peers * (HEADER_BYTES + case.entry_bytes * case.k)
    return {
        "compensate": Phase(work=Work(compensated=case.numel)),
        "agree": _allreduce(case, _AGREEMENT_BYTES),
        "gather": Phase(case.peers, sent, Work(encoded=case.k)),
        "finish": Phase(work=Work(coded=case.ranks, decoded=everything, merged=everything)),
        "scatter": Phase(work=Work(cleared=case.numel, scattered=case.union)),
    }


def _topkdsa(case: Case) -> dict[str, Phase]:
    """As if each rank chose its entries at random: the more they agree, the less is gathered."""
    k, n = case.k, case.numel
    union = n * (1 - (1 - k / n) ** case.ranks)
    share, length = max(1, round(union / case.ranks)), max(1, n // case.ranks)
    entry_bytes = case.value_bytes + index_bytes(length, min(share, length), case.byte_seconds)
    gathered = case.peers * (HEADER_BYTES + min(entry_bytes * share, case.value_bytes * length))
    split = case.entry_bytes * k * case.elsewhere + HEADER_BYTES * case.peers
    return {
        "compensate": Phase(work=Work(compensated=n)),
        "agree": _allreduce(case, _AGREEMENT_BYTES),
        "partition": Phase(),  # one exchange in 64 cuts the regions anew
        "split": Phase(case.peers, split, Work(coded=case.ranks, encoded=k, decoded=k, merged=k)),
        "gather": Phase(case.peers, gathered, Work(coded=case.ranks, encoded=share, decoded=union)),
        "scatter": Phase(work=Work(cleared=n, scattered=union)),
    }


def _gtopk(case: Case) -> dict[str, Phase]:
    """Rounds of one message each; rank 0 merges and sends in all of them."""
    k, rounds = case.k, (case.ranks - 1).bit_length()
    moved = rounds * (HEADER_BYTES + case.entry_bytes * k)
    merging = Work(coded=rounds, decoded=k * rounds, merged=2 * k * rounds, ranked=2 * k * rounds)
    return {
        "compensate": Phase(work=Work(compensated=case.numel)),
        "agree": _allreduce(case, _AGREEMENT_BYTES),
        "merge": Phase(rounds, moved, merging),
        "broadcast": Phase(rounds, moved, Work(coded=2, encoded=k, decoded=k)),
        "scatter": Phase(work=Work(cleared=case.numel, scattered=k)),
    }


def _dense(case: Case) -> dict[str, Phase]:
    n = case.numel
    moved = case.value_bytes * n * case.elsewhere + HEADER_BYTES * case.peers
    return {
        "agree": _allreduce(case, _AGREEMENT_BYTES),
        "split": Phase(case.peers, moved, Work(coded=case.ranks, copied=n, added=n)),
        "gather": Phase(case.peers, moved, Work(coded=case.ranks, copied=2 * n)),
    }


def _allreduce(case: Case, nbytes: float) -> Phase:
    """A small one: its parts to their owners, and the owners' sums to all."""
    return Phase(2 * case.peers, 2 * nbytes * case.elsewhere)


_PHASES: dict[str, Callable[[Case], dict[str, Phase]]] = {
    "dense": _dense,
    "split_gather": _dense,
    "allgather": _allgather,
    "oktopk": _oktopk,
    "topkdsa": _topkdsa,
    "gtopk": _gtopk,
    "hierarchical": _hierarchical,
}
