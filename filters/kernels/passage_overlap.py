"""Which passages of known texts another text holds, by how many of their n-grams it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from filters.kernels.compiling import kernel

# What is known of an n-gram while a text is looked at.
_UNSEEN, _COUNTED, _OUTSIDE, _INSIDE = range(4)


class PassageHit(NamedTuple):
    """A passage that a text holds enough of.

    Attributes:
      passage: its number.
      found: how many of its different n-grams the text holds.
      first: number of the first hit that is one of them.
    """

    passage: int
    found: int
    first: int


def hold_passages(
    ngrams: Sequence[int], passages: Sequence[set[int]], needed: Sequence[int]
) -> tuple[list[PassageHit], list[bool]]:
    """The reference of `PassageIndex.hold`.

    Args:
      ngrams: number of each n-gram that was found in a text, in order, with repetitions.
      passages: numbers of the n-grams of each passage.
      needed: of each passage, how many of them a text must hold.

    Returns:
      the passages of which the text holds enough; for each n-gram whether it belongs to one.
    """
    held = set(ngrams)
    hits = [
        PassageHit(
            number,
            len(passage & held),
            next(place for place, ngram in enumerate(ngrams) if ngram in passage),
        )
        for number, passage in enumerate(passages)
        if passage & held and len(passage & held) >= needed[number]
    ]
    inside = set().union(*(passages[hit.passage] for hit in hits))
    return hits, [ngram in inside for ngram in ngrams]


class PassageIndex:
    """The kernel's form of some passages.

    Args:
      ngrams: int32 (places,), the number of the n-gram at each place of some passages.
      passages: int32 (places,), the number of the passage of each place.
      ngram_count, passage_count: how many of each there are.

    Attributes:
      sizes: int64 (passages,), different n-grams of each passage.
    """

    def __init__(
        self, ngrams: np.ndarray, passages: np.ndarray, ngram_count: int, passage_count: int
    ) -> None:
        pairs = ngrams.astype(np.int64) * max(1, passage_count) + passages
        pairs.sort()
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        owners, members = np.divmod(pairs, max(1, passage_count))
        self.sizes = np.bincount(members, minlength=passage_count)
        self._members = members.astype(np.int32)
        counts = np.bincount(owners, minlength=ngram_count)
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Scratch of `hold`, all zero between calls.
        self._states = np.zeros(ngram_count, np.uint8)
        self._counts = np.zeros(passage_count, np.int32)
        self._touched = np.empty((3, passage_count), np.int64)

    def hold(
        self, ngrams: np.ndarray, needed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Finds the passages that a text holds enough of.

        Its time is bounded by the size of the passages, however often the text repeats them.

        Args:
          ngrams: int32 (hits,), numbers of the n-grams found in the text, in order.
          needed: int64 (passages,), how many different n-grams of each passage are enough.

        Returns:
          of each passage that is held, ascending: its number, how many of its n-grams were found,
          the first hit, all int64 (held,); and bool (hits,), which hits belong to one of them.
        """
        inside = np.zeros(len(ngrams), np.bool_)
        held = _hold(
            np.ascontiguousarray(ngrams, np.int32),
            self._starts,
            self._members,
            np.ascontiguousarray(needed, np.int64),
            self._states,
            self._counts,
            self._touched,
            inside,
        )
        passages, firsts, found = self._touched[:, np.argsort(self._touched[0, :held])]
        return passages, found, firsts, inside


@kernel
def _hold(  # type: ignore[no-untyped-def]
    ngrams, starts, members, needed, states, counts, touched, inside
):
    """Returns how many passages are held; they are in `touched` then, in the order of meeting."""
    size = 0
    for hit in range(ngrams.shape[0]):
        ngram = ngrams[hit]
        if states[ngram] != _UNSEEN:
            continue
        states[ngram] = _COUNTED
        for index in range(starts[ngram], starts[ngram + 1]):
            passage = members[index]
            if counts[passage] == 0:
                touched[0, size] = passage
                touched[1, size] = hit
                size += 1
            counts[passage] += 1
    for hit in range(ngrams.shape[0]):
        ngram = ngrams[hit]
        if states[ngram] == _COUNTED:
            states[ngram] = _OUTSIDE
            for index in range(starts[ngram], starts[ngram + 1]):
                if counts[members[index]] >= needed[members[index]]:
                    states[ngram] = _INSIDE
                    break
        inside[hit] = states[ngram] == _INSIDE
    held = 0
    for place in range(size):
        passage = touched[0, place]
        if counts[passage] >= needed[passage]:
            touched[0, held] = passage
            touched[1, held] = touched[1, place]
            touched[2, held] = counts[passage]
            held += 1
        counts[passage] = 0
    for hit in range(ngrams.shape[0]):
        states[ngrams[hit]] = _UNSEEN
    return held
