"""A sample of texts within a byte budget: the same whatever the order of the texts."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator

# Books are sampled in passages, so that one of them cannot fill or break the budget.
_PASSAGE_CHARACTERS = 10_000


def sample_texts(texts: Iterable[str], sample_bytes: int) -> list[str]:
    """Chooses passages by hash until the budget is full.

    Passages are put in order of a hash of their content; the longest beginning of that order
    that fits the budget is the sample. A passage that comes again counts once. Memory holds the
    sample and one passage.

    Args:
      texts: documents, read once.
      sample_bytes: UTF-8 bytes that the sample may hold.

    Returns:
      Passages of at most 10,000 characters in order of their hashes; all, if they fit.
    """
    chosen: dict[int, bytes] = {}
    largest_first: list[int] = []  # a heap of negated hashes
    limit = 2**64  # the smallest hash that did not fit
    total = 0
    for passage in _passages(texts):
        content = passage.encode()
        key = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
        if key >= limit or key in chosen:
            continue
        chosen[key] = content
        heapq.heappush(largest_first, -key)
        total += len(content)
        while total > sample_bytes:
            limit = -heapq.heappop(largest_first)
            total -= len(chosen.pop(limit))
    return [chosen[key].decode() for key in sorted(chosen)]


def _passages(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), _PASSAGE_CHARACTERS):
            yield text[start : start + _PASSAGE_CHARACTERS]
