"""What every exchange must keep, checked with the evidence of all ranks.

The tolerance follows from float32: each of a bounded number of additions rounds by at most 2^-24 of
a number that is no larger than all that the ranks brought, got and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire.compressors import Chain, Compressor, Quantizer, RandomK
from gradwire.compressors.sparsifier import Sparsifier
from gradwire.exchange import Bucket
from gradwire.payload import Float32
from gradwire.schedules import Report, Schedule
from gradwire.values import FLOAT32, Plain, ValueFormat, format_named

Float64 = npt.NDArray[np.float64]

UNIT_ROUNDOFF = 2.0**-24  # of float32
EXACT_BELOW = 2.0**24  # units: float32 holds every integer up to it
INTEGER_UNIT = 2.0**-6  # of `exact_values`
LARGEST_FLOAT16 = 65504.0
# Additions of one element's parts on its way, in addition to those that grow with the ranks: into
# the residual, out of the accumulator, and differences between sums and what they are rounded to.
OTHER_ADDITIONS = 6
# Schedules under which an own entry is either kept as it is, or gone.
KEPT_OR_GONE = ("oktopk", "allgather", "topkdsa")
# And those under which all that were selected are gone.
ALL_GONE = ("allgather", "topkdsa", "gtopk")


@dataclass(frozen=True)
class Evidence:
    """What one rank saw of one exchange.

    Attributes:
        acc: (n,) float32, residual before + gradient.
        before: (n,) float32 residual; None without error feedback.
        after: likewise.
        out: (n,) float32, the undivided sums; None if they were not finite.
        report: what the exchange cost.
    """

    acc: Float32
    before: Float32 | None
    after: Float32 | None
    out: Float32 | None
    report: Report


@dataclass(frozen=True)
class Setting:
    """What was exchanged, and how.

    Attributes:
        compressor, schedule, bucket, step: those of the exchange.
        integers: whether all gradients of this bucket were integer multiples of `INTEGER_UNIT`.
        poisoned: whether a rank's gradient had a NaN.
    """

    compressor: Compressor
    schedule: Schedule
    bucket: Bucket
    step: int
    integers: bool
    poisoned: bool


def check_exchange(setting: Setting, ranks: list[Evidence]) -> None:
    """Check one exchange; ``ranks`` in rank order.

    Raises:
        AssertionError: says what does not hold.
    """
    outs = {None if each.out is None else each.out.tobytes() for each in ranks}
    _require(len(outs) == 1, "replicas differ")
    if ranks[0].out is None:
        _check_nothing_changed(setting, ranks)
        return
    _require(not setting.poisoned, "a NaN went unnoticed")
    _check_counts(setting, ranks)
    if _conserves(setting, ranks):
        _check_conservation(setting, ranks, ranks[0].out)


def _check_nothing_changed(setting: Setting, ranks: list[Evidence]) -> None:
    """A step that is not finite leaves residuals as they were, and there was a reason."""
    for each in ranks:
        if each.before is not None and each.after is not None:
            _require(each.before.tobytes() == each.after.tobytes(), "a residual changed")
    largest = sum(float(np.abs(each.acc).max(initial=0)) for each in ranks)
    overflowing = "float16" in _plain_names(setting) and not largest < LARGEST_FLOAT16
    _require(setting.poisoned or overflowing, "finite gradients, but no finite sum")


def _check_counts(setting: Setting, ranks: list[Evidence]) -> None:
    """Every rank sends all that it may, and what is gone of it is what got through."""
    head = setting.bucket.numel - setting.bucket.tail
    budget = _entries(setting.compressor, head, setting.step)
    if budget is None:
        return
    name, exact = setting.schedule.id, _formats(setting) == [FLOAT32]
    for each in ranks:
        acc, selected = each.acc[:head], each.report.selected
        expected = min(budget, int(np.count_nonzero(acc)))
        _require(selected == expected, f"selected {selected} entries of {expected}")
        if each.after is None or not exact or name not in KEPT_OR_GONE:
            continue
        after = each.after[:head]
        gone = after.view(np.uint32) != acc.view(np.uint32)
        _require(not after[gone].any(), "an entry was changed, and not taken out")
        count = int(gone.sum())
        _require(count <= selected, f"{count} entries of {selected} are gone")
        _require(count == selected or name not in ALL_GONE, f"{count} of {selected} are gone")
    if name in ("oktopk", "gtopk"):
        winners = ranks[0].report.winners
        _require(winners <= budget, f"{winners} winners of at most {budget}")


def _check_conservation(setting: Setting, ranks: list[Evidence], out: Float32) -> None:
    """Residuals after + sum = residuals before + gradients, over all ranks."""
    total, left = np.zeros(len(out)), np.zeros(len(out))
    sizes = np.abs(out.astype(np.float64))
    for each in ranks:
        total += each.acc
        sizes += np.abs(each.acc)
        if each.after is not None:
            left += each.after
            sizes += np.abs(each.after)
    error = np.abs(left + out - total)
    plain = all(isinstance(each, Plain) for each in _formats(setting))
    largest = sizes.max(initial=0)
    if plain and setting.integers and largest < EXACT_BELOW * INTEGER_UNIT:
        _require(not error.any(), f"integers are lost: {_worst(error, np.zeros_like(error))}")
        return
    if not plain:
        # A block's scale is as large as its largest value, and so may be what it adds to others.
        sizes[:] = largest
    allowed = UNIT_ROUNDOFF * 2 * (len(ranks) + OTHER_ADDITIONS) * sizes
    _require(bool(np.all(error <= allowed)), f"something is lost: {_worst(error, allowed)}")


def _conserves(setting: Setting, ranks: list[Evidence]) -> bool:
    """Tell whether sums and residuals are all there is: something keeps what was not sent."""
    compressor = setting.compressor
    if isinstance(compressor, RandomK) and compressor.unbiased:
        return False
    lossless = compressor.traits.lossless and _formats(setting) == [FLOAT32]
    return ranks[0].after is not None or lossless


def _entries(compressor: Compressor, head: int, step: int) -> int | None:
    """Return the budget of entries in a sparse step; None if it sends dense values."""
    select = compressor.select if isinstance(compressor, Chain) else compressor
    if not isinstance(select, Sparsifier) or isinstance(select, RandomK):
        return None
    budget = select.budget(head, step)
    return budget if budget < head else None


def _formats(setting: Setting) -> list[ValueFormat]:
    """Return the formats that values are rounded to on their way."""
    compressor: Any = setting.compressor
    if isinstance(compressor, Chain):
        return [compressor.quantize.value_format]
    if not isinstance(compressor, Quantizer):
        sent: ValueFormat = FLOAT32
    else:
        sent = compressor.value_format
    owner = setting.schedule.config().get("owner")
    return list({sent, sent if owner is None else format_named(owner)})


def _plain_names(setting: Setting) -> set[str]:
    return {each.name for each in _formats(setting) if isinstance(each, Plain)}


def _worst(error: Float64, allowed: Float64) -> str:
    if not len(error):
        return "nothing"
    at = int(np.argmax(error - allowed))
    return f"{error[at]:.6g} at element {at} of {len(error)}, allowed {allowed[at]:.6g}"


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise AssertionError(complaint)
