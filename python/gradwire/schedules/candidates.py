"""Lists of the magnitudes that may be the k-th largest, and how many sums win by them.

An owner lists each magnitude in question once, with the number of its sums that have it. Rounded
values tie by the thousands, so this is short where a list of sums would not be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.errors import WireError

Magnitudes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_TOO_MANY = -1
# What an owner sends: a word that says how many of its sums surely win, then all magnitudes, then
# all counts; or _TOO_MANY alone.
_WORD = np.dtype("<i4")


@dataclass(frozen=True)
class Question:
    """Which magnitudes are in question.

    Attributes:
        least: the smallest.
        beyond: the smallest above all of them.
        total: how many sums of all owners have one; None if nobody knows.
        most: how many different ones an owner may list.
    """

    least: int
    beyond: int
    total: int | None
    most: int

    @property
    def may_be_too_many(self) -> bool:
        """Whether there can be more than an owner may list."""
        return self.beyond - self.least > self.most


@dataclass(frozen=True)
class Candidates:
    """What all owners list.

    Attributes:
        sure: (P,) how many sums of each owner surely win.
        owner: (m,) who lists; increasing.
        magnitudes: (m,) what is listed, each owner's increasing.
        counts: (m,) how many of the owner's sums have it.
    """

    sure: Counts
    owner: Counts
    magnitudes: Magnitudes
    counts: Counts

    def won(self, free: int) -> tuple[int, Counts, Counts]:
        """Return the k-th magnitude, (P,) how many sums that have it win, and (P,) all that win.

        ``free`` of the candidates win, the largest; of those that tie, the lowest ranks' do.
        """
        order = np.argsort(-self.magnitudes.astype(np.int64), kind="stable")
        reached = np.cumsum(self.counts[order])
        kth = int(self.magnitudes[order[np.searchsorted(reached, free)]])
        larger = self._of_each_owner(self.magnitudes > kth)
        tied = self._of_each_owner(self.magnitudes == kth)
        before = np.cumsum(tied) - tied
        ties = np.clip(free - int(larger.sum()) - before, 0, tied)
        return kth, ties, self.sure + larger + ties

    def _of_each_owner(self, which: npt.NDArray[np.bool_]) -> Counts:
        """Return (P,) how many sums the listed magnitudes stand for."""
        counts = np.zeros(len(self.sure), np.int64)
        np.add.at(counts, self.owner[which], self.counts[which])
        return counts


def list_candidates(
    magnitudes: Magnitudes, question: Question, communicator: Communicator
) -> Candidates | None:
    """Return what all owners list; None if one has too many different magnitudes in question.

    ``magnitudes`` are those of this owner's sums that are large enough.

    Raises:
        WireError: the lists are not of those sums that were counted.
    """
    in_question = magnitudes[magnitudes < question.beyond]
    distinct, counts = np.unique(in_question, return_counts=True)
    words = np.array([_TOO_MANY])
    if len(distinct) <= question.most:
        words = np.concatenate([[len(magnitudes) - len(in_question)], distinct, counts])
    own = words.astype(_WORD).view(np.uint8)
    received = communicator.allgatherv(own, _WORD.itemsize * (1 + 2 * question.most))
    lists = _decode(received)
    if question.may_be_too_many and (lists.sure == _TOO_MANY).any():
        return None
    _check(lists, question)
    return lists


def _decode(received: list[Bytes]) -> Candidates:
    """Return what the messages of all ranks say."""
    sizes = np.array([len(each) for each in received])
    for rank in np.flatnonzero(sizes % (2 * _WORD.itemsize) != _WORD.itemsize):
        raise WireError(
            f"candidates from rank {rank}: expected a number and 8 bytes each, got "
            f"{sizes[rank]} bytes"
        )
    words = np.concatenate(received).view(_WORD).astype(np.int32, copy=False)
    lengths = sizes // (2 * _WORD.itemsize)
    begins = np.cumsum(1 + 2 * lengths) - (1 + 2 * lengths)
    owner = np.repeat(np.arange(len(received)), lengths)
    at = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at += begins[owner] + 1
    counts = words[at + lengths[owner]].astype(np.int64)
    return Candidates(words[begins].astype(np.int64), owner, words[at], counts)


def _check(lists: Candidates, question: Question) -> None:
    def refuse(rank: Any, expected: str, got: object) -> None:
        raise WireError(f"candidates from rank {rank}: expected {expected}, got {got}")

    for rank in np.flatnonzero(lists.sure < 0):
        refuse(rank, "a number >= 0", lists.sure[rank])
    for at in np.flatnonzero(lists.counts < 1):
        refuse(lists.owner[at], "counts >= 1", lists.counts[at])
    inside = (lists.magnitudes >= question.least) & (lists.magnitudes < question.beyond)
    for at in np.flatnonzero(~inside):
        bounds = f"magnitude bits in [{question.least}, {question.beyond})"
        refuse(lists.owner[at], bounds, lists.magnitudes[at])
    falls = np.diff(lists.magnitudes.astype(np.int64)) <= 0
    for at in np.flatnonzero(falls & (np.diff(lists.owner) == 0)):
        refuse(lists.owner[at], "increasing magnitudes", lists.magnitudes[at : at + 2])
    listed = int(lists.counts.sum())
    if question.total not in (None, listed):
        raise WireError(f"expected {question.total} candidates from all ranks, got {listed}")
