"""fastText's prediction over the words of a segmenter: look-ups in a hash table.

The reference is `fasttext_prediction.reference_score` of a text's words.
"""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.fasttext_prediction import (
    FoldedModel,
    extend_sign,
    hash_stretch,
    probability,
    sum_ngrams,
    white_space,
)
from filters.kernels.text_batch import TextBatch


class WordTable:
    """A folded model as a hash table of its words."""

    def __init__(self, model: FoldedModel) -> None:
        self._model = model
        words = list(model.rows)
        vocabulary = TextBatch.from_strings(words)
        self._vocabulary = (vocabulary.characters, vocabulary.starts)
        self._weights = model.word_weights[[model.rows[word] for word in words]]
        # At most half full, so that a search ends soon.
        self._slots = np.full(1 << (2 * len(words)).bit_length(), -1, np.int32)
        self._hashes = np.empty(len(words), np.uint32)
        _fill_slots(*self._vocabulary, self._hashes, self._slots)
        self._spaces = white_space()
        self._end_hash, self._end_weight, self._end_known = model.end_of_line

    def score(self, words: TextBatch, first_words: np.ndarray) -> np.ndarray:
        """The probability of the folded label for each text.

        Args:
          words: of all texts, one after another; those of white space do not count.
          first_words: int64 (texts + 1,): text i has the words first_words[i] to
            first_words[i + 1].

        Returns:
          float32 (texts,).
        """
        scores = np.empty(len(first_words) - 1, np.float32)
        longest = int(np.diff(first_words).max(initial=0))
        _score_words(
            words.characters,
            words.starts,
            np.ascontiguousarray(first_words, np.int64),
            self._spaces,
            *self._vocabulary,
            self._hashes,
            self._slots,
            self._weights,
            self._model.ngram_weights,
            self._model.ngrams,
            np.uint32(self._end_hash),
            self._end_weight,
            self._end_known,
            np.empty(longest + 1, np.uint64),
            scores,
        )
        return scores


@kernel
def _fill_slots(characters, starts, hashes, slots):  # type: ignore[no-untyped-def]
    """Puts the numbers of words into an open-addressing table by their hashes.

    Args:
      characters, starts: the words, all different, as in a `TextBatch`.
      hashes: uint32 (words,); receives their hashes.
      slots: int32, a power of two long and longer than the words; -1 where empty.
    """
    mask = slots.shape[0] - 1
    for word in range(hashes.shape[0]):
        hashes[word] = hash_stretch(characters, starts[word], starts[word + 1])
        slot = np.int64(hashes[word]) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = word


@kernel
def _score_words(  # type: ignore[no-untyped-def]
    characters,
    starts,
    first_words,
    spaces,
    vocabulary,
    vocabulary_starts,
    hashes,
    slots,
    weights,
    ngram_weights,
    ngrams,
    end_hash,
    end_weight,
    end_known,
    line,
    scores,
):
    """`reference_score` of the words of each text; see `WordTable` for the arrays."""
    mask = slots.shape[0] - 1
    for text in range(scores.shape[0]):
        length = 0
        total = 0.0
        features = 0
        for word in range(first_words[text], first_words[text + 1]):
            start, end = starts[word], starts[word + 1]
            if start == end or spaces[characters[start]]:
                continue
            word_hash = hash_stretch(characters, start, end)
            line[length] = extend_sign(word_hash)
            length += 1
            slot = np.int64(word_hash) & mask
            while slots[slot] >= 0:
                known = slots[slot]
                if hashes[known] == word_hash and _same(
                    characters,
                    start,
                    end,
                    vocabulary,
                    vocabulary_starts[known],
                    vocabulary_starts[known + 1],
                ):
                    total += weights[known]
                    features += 1
                    break
                slot = (slot + 1) & mask
        line[length] = extend_sign(end_hash)
        length += 1
        if end_known:
            total += end_weight
            features += 1
        ngram_total, ngram_count = sum_ngrams(line, length, ngram_weights, ngrams)
        scores[text] = probability(total + ngram_total, features + ngram_count)


@inlined
def _same(left, left_start, left_end, right, right_start, right_end):  # type: ignore[no-untyped-def]
    """Whether two stretches hold the same characters."""
    if left_end - left_start != right_end - right_start:
        return False
    for place in range(left_end - left_start):
        if left[left_start + place] != right[right_start + place]:
            return False
    return True
