"""fastText's prediction where each character is a word: look-ups by code point.

The reference is `fasttext_prediction.reference_score` of a text's characters.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.fasttext_prediction import (
    CODE_POINTS,
    HASH_OF_NOTHING,
    FoldedModel,
    extend_sign,
    probability,
    sum_ngrams,
    take_character,
    white_space,
)
from filters.kernels.text_batch import TextBatch

# What a character is to a model.
_UNKNOWN, _KNOWN, _WHITE_SPACE = 0, 1, 2


class CharacterTable:
    """A folded model whose words are single characters, as look-ups by code point."""

    def __init__(self, model: FoldedModel) -> None:
        self._model = model
        self._kinds = np.where(white_space(), _WHITE_SPACE, _UNKNOWN).astype(np.uint8)
        self._weights = np.zeros(CODE_POINTS, np.float32)
        for word, row in model.rows.items():
            if len(word) == 1 and self._kinds[ord(word)] != _WHITE_SPACE:
                self._kinds[ord(word)] = _KNOWN
                self._weights[ord(word)] = model.word_weights[row]
        self._end_hash, self._end_weight, self._end_known = model.end_of_line

    def score(self, texts: TextBatch, most: int) -> np.ndarray:
        """The probability of the folded label for each text.

        Args:
          texts: of which white space does not count.
          most: characters of a text that are looked at, from its beginning.

        Returns:
          float32 (texts,).
        """
        scores = np.empty(len(texts), np.float32)
        longest = min(most, int(texts.lengths().max(initial=0)))
        _score_characters(
            texts.characters,
            texts.starts,
            most,
            self._kinds,
            self._weights,
            _hashes(),
            self._model.ngram_weights,
            self._model.ngrams,
            np.uint32(self._end_hash),
            self._end_weight,
            self._end_known,
            np.empty(longest + 1, np.uint64),
            scores,
        )
        return scores


@cache
def _hashes() -> np.ndarray:
    """`word_hash` of every code point: uint32 (0x110000,), read-only."""
    hashes = np.empty(CODE_POINTS, np.uint32)
    _hash_characters(hashes)
    hashes.flags.writeable = False
    return hashes


@kernel
def _score_characters(  # type: ignore[no-untyped-def]
    characters,
    starts,
    most,
    kinds,
    weights,
    hashes,
    ngram_weights,
    ngrams,
    end_hash,
    end_weight,
    end_known,
    line,
    scores,
):
    """`reference_score` of the characters of each text.

    Args:
      characters, starts: of a `TextBatch`.
      most: characters of a text that are looked at.
      kinds: uint8 (0x110000,), weights: float32, hashes: uint32: of each code point.
      ngram_weights: float32 (buckets,).
      line: uint64, room for the hashes of the longest text and its end.
      scores: float32 (texts,); receives the probabilities.
    """
    for text in range(starts.shape[0] - 1):
        start = starts[text]
        length = 0
        total = 0.0
        features = 0
        for place in range(start, min(starts[text + 1], start + most)):
            character = characters[place]
            kind = kinds[character]
            if kind == _WHITE_SPACE:
                continue
            total += weights[character]  # 0 for an unknown one
            features += kind
            line[length] = extend_sign(hashes[character])
            length += 1
        line[length] = extend_sign(end_hash)
        length += 1
        if end_known:
            total += end_weight
            features += 1
        ngram_total, ngram_count = sum_ngrams(line, length, ngram_weights, ngrams)
        scores[text] = probability(total + ngram_total, features + ngram_count)


@kernel
def _hash_characters(hashes):  # type: ignore[no-untyped-def]
    """`word_hash` of every code point (surrogates, which no text holds, like the others)."""
    for point in range(hashes.shape[0]):
        hashes[point] = take_character(np.uint32(HASH_OF_NOTHING), np.uint32(point))
