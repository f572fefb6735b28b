"""The checks of compressors notice those that break the contract, one rule each."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from gradwire.compressors import Compressor, Context, NoCompression, RandomK, TopK, Traits
from gradwire.payload import Float32, Payload
from gradwire.testing import check_compressor
from gradwire.testing.conformance import CHECKS
from gradwire.values import plain


@dataclass(frozen=True)
class Broken(NoCompression):
    """A lossless compressor but for one rule."""

    id: ClassVar[str] = "broken"


class WrongId(Broken):
    def config(self) -> dict[str, Any]:
        return {**super().config(), "id": "other"}


class NotJson(Broken):
    def config(self) -> dict[str, Any]:
        return {**super().config(), "table": (1, 2)}


class UnequalCopies(Broken):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Broken.__hash__


class EqualToEverything(Broken):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Broken.__hash__


class ClearsItsInput(Broken):
    def compress(self, acc: Float32, context: Context) -> Payload:
        payload = Payload(dense=plain(acc.copy()))
        if acc.flags.writeable:
            acc[:1] = 5
        return payload


class SpoilsThePayload(Broken):
    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        super().decompress(payload, out, context)
        payload.dense.data[:1] = 7


class LeavesGaps(Broken):
    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        out[1:] = payload.dense.decode()[1:]


class UsesGlobalGenerator(Broken):
    def compress(self, acc: Float32, context: Context) -> Payload:
        np.random.random()
        return super().compress(acc, context)


class NotDeterministic(Broken):
    calls: ClassVar[list[int]] = []

    def compress(self, acc: Float32, context: Context) -> Payload:
        self.calls.append(1)
        return Payload(dense=plain(acc + np.float32(len(self.calls))))


class HidesNaN(Broken):
    def compress(self, acc: Float32, context: Context) -> Payload:
        return Payload(dense=plain(np.nan_to_num(acc, posinf=0, neginf=0)))


class ForgetsSigns(Broken):
    """-0 becomes +0."""

    def compress(self, acc: Float32, context: Context) -> Payload:
        return Payload(dense=plain(acc + np.float32(0)))


class FlushesDenormals(Broken):
    def compress(self, acc: Float32, context: Context) -> Payload:
        return Payload(dense=plain(np.where(np.abs(acc) < 1e-38, np.float32(0), acc)))


class WrongOrderOfAddition(Broken):
    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        np.subtract(residual, gradient, out=acc)
        return self.compress(acc, context)


class SquaresDense(Broken):
    """Not linear."""

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        dense = payload.dense.decode()
        out[:] = dense * np.abs(dense)


class ClaimsSparse(Broken):
    @property
    def traits(self) -> Traits:
        return Traits(sparse=True, lossless=True)


class RoundsTooFar(Broken):
    @property
    def traits(self) -> Traits:
        return Traits(rounding=(2.0**-11, 0.0))

    def compress(self, acc: Float32, context: Context) -> Payload:
        return Payload(dense=plain(acc * np.float32(1 + 2.0**-10)))


@dataclass(frozen=True)
class ScaledTooLittle(RandomK):
    id: ClassVar[str] = "scaled_too_little"

    def compress(self, acc: Float32, context: Context) -> Payload:
        values = acc[self.indices(len(acc), context)] * np.float32(1 / self.density * 0.8)
        return Payload(dense=plain(values))


@dataclass(frozen=True)
class ClaimsSmallVariance(RandomK):
    id: ClassVar[str] = "claims_small_variance"

    @property
    def traits(self) -> Traits:
        return Traits(summable=True, omega=lambda n: 0.5)


@dataclass(frozen=True)
class ClaimsLargeContraction(RandomK):
    id: ClassVar[str] = "claims_large_contraction"

    @property
    def traits(self) -> Traits:
        return Traits(summable=True, needs_residual=True, delta=lambda n: 0.5)


@dataclass(frozen=True)
class KeepsWhatItSent(TopK):
    id: ClassVar[str] = "keeps_what_it_sent"

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        pass


@dataclass(frozen=True)
class ForgetsWhatWasLost(TopK):
    id: ClassVar[str] = "forgets_what_was_lost"

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        super().settle(acc, payload, payload.indices, context)


@dataclass(frozen=True)
class TrustsTheFloor(TopK):
    """A floor that is too high costs entries."""

    id: ClassVar[str] = "trusts_the_floor"

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        payload = super().compensate(gradient, residual, acc, context)
        good = np.abs(payload.values) >= context.floor
        return Payload(
            payload.numel,
            payload.indices[good],
            payload.values[good],
            payload.dense,
            payload.budget,
        )


@dataclass(frozen=True)
class Unsorted(TopK):
    id: ClassVar[str] = "unsorted"

    def compress(self, acc: Float32, context: Context) -> Payload:
        payload = super().compress(acc, context)
        return Payload(
            payload.numel,
            payload.indices[::-1].copy(),
            payload.values[::-1].copy(),
            payload.dense,
            payload.budget,
        )


BROKEN: list[tuple[Compressor, str]] = [
    (WrongId(), "must have its id"),
    (NotJson(), "must survive JSON"),
    (UnequalCopies(), "not equal to it"),
    (EqualToEverything(), "must not equal anything else"),
    (ClearsItsInput(), "compress changed its input"),
    (SpoilsThePayload(), "changed its input"),
    (LeavesGaps(), "not deterministic|gaps"),
    (UsesGlobalGenerator(), "global random generator"),
    (NotDeterministic(), "another payload|not repeatable"),
    (HidesNaN(), "the payload is finite"),
    (ForgetsSigns(), "not lossless"),
    (FlushesDenormals(), "not lossless"),
    (WrongOrderOfAddition(), r"acc is not residual \+ gradient"),
    (SquaresDense(), "not lossless|not summable"),
    (ClaimsSparse(), "claims sparse=True"),
    (RoundsTooFar(), "rounded too far"),
    (ScaledTooLittle(0.1, unbiased=True), "biased"),
    (ClaimsSmallVariance(0.1, unbiased=True), "claimed 0.5"),
    (ClaimsLargeContraction(0.1), "claimed 0.5"),
    (KeepsWhatItSent(0.1), r"sent \+ kept is not acc"),
    (ForgetsWhatWasLost(0.1), "others changed"),
    (TrustsTheFloor(0.1), "compensate and compress differ"),
    (Unsorted(0.1), "must increase strictly"),
]


@pytest.mark.parametrize(
    ("broken", "complaint"), BROKEN, ids=[type(case[0]).__name__ for case in BROKEN]
)
def test_broken_compressors_are_noticed(broken: Compressor, complaint: str) -> None:
    NotDeterministic.calls.clear()
    with pytest.raises(AssertionError, match=complaint):
        check_compressor(broken)


@pytest.mark.parametrize(
    ("claim", "traits"),
    [
        ("summable", Traits(native=True)),
        ("bounds_are_defined", Traits(omega=lambda n: -1.0)),
        ("bounds_are_defined", Traits(delta=lambda n: float("nan"))),
        ("contraction", Traits(delta=lambda n: 1.5)),
    ],
)
def test_claims_that_contradict_themselves(claim: str, traits: Traits) -> None:
    class Contradiction(Broken):
        @property
        def traits(self) -> Traits:
            return traits

    with pytest.raises(AssertionError, match="Contradiction"):
        CHECKS[claim](Contradiction())
