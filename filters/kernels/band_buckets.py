"""Which documents to compare: those whose texts share the key of a band.

The documents with one key are a bucket. A small bucket is compared pair by pair. Of a large one
each text is compared with the first only (a bucket of 10,000 has 50 million pairs), and the bucket
itself is returned, so that those which are not like the first can be compared further.

Texts in a bucket are in the order of `texts`, a hash of their content: which of them is the first
then depends neither on the order of files nor on how many copies of a text there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.kernels.compiling import kernel

# Rows of a bucket up to which insertion is the fastest way of sorting them.
_SORTED_BY_INSERTION = 32


@dataclass(frozen=True)
class Candidates:
    """What the rows of a block have in common.

    Attributes:
      pairs: uint64 (pairs, 2), ordinals to compare, the smaller first; a pair that several keys
        share is there once for each.
      members: uint64 (members,), the texts of the large buckets, one bucket after another, each by
        its smallest ordinal.
      starts: int64 (buckets + 1,): bucket i has members[starts[i]:starts[i + 1]].
    """

    pairs: np.ndarray
    members: np.ndarray
    starts: np.ndarray


def candidates(
    keys: list[int], texts: list[int], ordinals: list[int], small: int, copies: bool
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """The reference.

    Args:
      keys: key of each row.
      texts: hash of the content of each row's text; rows with equal hashes are copies, of which
        the one with the smallest ordinal takes part.
      ordinals: the document of each row.
      small: most texts of a bucket of which every pair is compared.
      copies: whether each copy is paired with the one that takes part.

    Returns:
      Pairs, and the large buckets.
    """
    buckets: dict[int, dict[int, list[int]]] = {}
    for key, text, ordinal in zip(keys, texts, ordinals, strict=True):
        buckets.setdefault(key, {}).setdefault(text, []).append(ordinal)
    pairs = []
    large = []
    for _, bucket in sorted(buckets.items()):
        members = [min(bucket[text]) for text in sorted(bucket)]
        if copies:
            for same in bucket.values():
                pairs += [(min(same), copy) for copy in sorted(set(same)) if copy != min(same)]
        if len(members) > small:
            large.append(members)
        for place in range(len(members)):
            for other in range(place):
                if other == 0 or len(members) <= small:
                    first, second = members[other], members[place]
                    pairs.append((min(first, second), max(first, second)))
    return pairs, large


def candidates_of(
    keys: np.ndarray, texts: np.ndarray, ordinals: np.ndarray, small: int, copies: bool
) -> Candidates:
    """The kernel, over arrays.

    Args:
      keys, texts, ordinals: uint64 (rows,), see the reference; a row twice counts once.
    """
    keys, texts, ordinals = (np.ascontiguousarray(a, np.uint64) for a in (keys, texts, ordinals))
    rows, starts = _buckets(keys)
    texts, ordinals = texts[rows], ordinals[rows]
    _sort_buckets(texts, ordinals, starts)
    none = (np.empty((0, 2), np.uint64), np.empty(0, np.uint64), np.zeros(1, np.int64))
    counts = _walk(texts, ordinals, starts, small, copies, False, *none)
    pairs = np.empty((counts[0], 2), np.uint64)
    members = np.empty(counts[1], np.uint64)
    member_starts = np.zeros(counts[2] + 1, np.int64)
    _walk(texts, ordinals, starts, small, copies, True, pairs, members, member_starts)
    return Candidates(pairs, members, member_starts)


def _buckets(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows bucket by bucket, and where each bucket begins; rows alone with their key are left out.

    Most rows are, so that finding them in a hash table is several times faster than a sort.
    """
    bits = max(4, int(2 * len(keys)).bit_length())
    first_rows = np.full(1 << bits, -1, np.int32 if len(keys) < 1 << 31 else np.int64)
    first_row_of = np.empty(len(keys), first_rows.dtype)
    sizes = np.zeros(len(keys), first_rows.dtype)
    _find_first_rows(keys, first_rows, np.uint64(64 - bits), first_row_of, sizes)
    starts = np.zeros(np.count_nonzero(sizes > 1) + 1, np.int64)
    np.cumsum(sizes[sizes > 1], out=starts[1:])
    rows = np.empty(starts[-1], np.int64)
    _place(first_row_of, sizes, rows)
    return rows, starts


def _sort_buckets(texts: np.ndarray, ordinals: np.ndarray, starts: np.ndarray) -> None:
    """Sorts the rows of each bucket by text and ordinal, in place."""
    _sort_small_buckets(texts, ordinals, starts)
    sizes = np.diff(starts)
    rows = np.flatnonzero(np.repeat(sizes > _SORTED_BY_INSERTION, sizes))
    buckets = np.repeat(np.arange(len(sizes)), sizes)[rows]
    order = rows[np.lexsort((ordinals[rows], texts[rows], buckets))]
    texts[rows], ordinals[rows] = texts[order], ordinals[order]


@kernel
def _find_first_rows(keys, table, shift, first_row_of, sizes):  # type: ignore[no-untyped-def]
    """The first row with each row's key, and at each first row how many there are."""
    last = table.shape[0] - 1
    for row in range(keys.shape[0]):
        # Keys are hashes, so that their top bits serve as the place.
        slot = np.int64(keys[row] >> shift)
        while table[slot] >= 0 and keys[table[slot]] != keys[row]:
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = row
        first_row_of[row] = table[slot]
        sizes[table[slot]] += 1


@kernel
def _place(first_row_of, sizes, rows):  # type: ignore[no-untyped-def]
    """Writes the rows of the first bucket, then those of the second …; `sizes` is used up."""
    place = 0
    for row in range(sizes.shape[0]):
        if sizes[row] > 1:
            size = sizes[row]
            sizes[row] = place
            place += size
        else:
            sizes[row] = -1
    for row in range(first_row_of.shape[0]):
        first = first_row_of[row]
        if sizes[first] >= 0:
            rows[sizes[first]] = row
            sizes[first] += 1


@kernel
def _sort_small_buckets(texts, ordinals, starts):  # type: ignore[no-untyped-def]
    for bucket in range(starts.shape[0] - 1):
        start = starts[bucket]
        end = starts[bucket + 1]
        if end - start > _SORTED_BY_INSERTION:
            continue
        for row in range(start + 1, end):
            text = texts[row]
            ordinal = ordinals[row]
            place = row
            while place > start and (
                texts[place - 1] > text
                or (texts[place - 1] == text and ordinals[place - 1] > ordinal)
            ):
                texts[place] = texts[place - 1]
                ordinals[place] = ordinals[place - 1]
                place -= 1
            texts[place] = text
            ordinals[place] = ordinal


@kernel
def _walk(texts, ordinals, starts, small, copies, write, pairs, members, member_starts):  # type: ignore[no-untyped-def]
    """Counts pairs, members and large buckets of sorted buckets; writes them if it is told to."""
    pair_count = 0
    member_count = 0
    bucket_count = 0
    # Places of a bucket's first rows of each text.
    places = np.empty(texts.shape[0], np.int64)
    for bucket in range(starts.shape[0] - 1):
        size = 0
        for row in range(starts[bucket], starts[bucket + 1]):
            if row == starts[bucket] or texts[row] != texts[row - 1]:
                places[size] = row
                size += 1
            elif copies and ordinals[row] != ordinals[row - 1]:
                if write:
                    pairs[pair_count, 0] = ordinals[places[size - 1]]
                    pairs[pair_count, 1] = ordinals[row]
                pair_count += 1
        is_large = size > small
        for place in range(size):
            for other in range(min(place, 1) if is_large else place):
                if write:
                    first = ordinals[places[other]]
                    second = ordinals[places[place]]
                    pairs[pair_count, 0] = min(first, second)
                    pairs[pair_count, 1] = max(first, second)
                pair_count += 1
            if is_large and write:
                members[member_count + place] = ordinals[places[place]]
        if is_large:
            member_count += size
            bucket_count += 1
            if write:
                member_starts[bucket_count] = member_count
    return pair_count, member_count, bucket_count
