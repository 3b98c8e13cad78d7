"""Measuring: every signal of a document, computed from what the kernels count.

What the signals are called and mean is in `signal_definitions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filters.folding import fold, fold_texts, folded_lines
from filters.kernels import character_classes as classes
from filters.kernels.character_variety import CharacterVariety, character_variety
from filters.kernels.folding import FoldedBatch
from filters.kernels.line_statistics import COUNTS, line_statistics, line_statistics_of
from filters.kernels.repetition import LENGTHS, TOP_LENGTHS, Repetition, repetition
from filters.kernels.text_batch import TextBatch
from filters.kernels.title_lines import beyond_title_characters, beyond_title_characters_of
from filters.kernels.web_addresses import address_characters, address_characters_of
from filters.kernels.word_search import WordIndex, search_words
from filters.language import LANGUAGES, language_numbers
from filters.signal_definitions import (
    HALF_QUALITY_CHARACTERS,
    SIGNALS,
    Signal,
    all_signals,
    word_signals,
)

__all__ = [
    "HALF_QUALITY_CHARACTERS",
    "SIGNALS",
    "Measurer",
    "Signal",
    "all_signals",
    "word_signals",
]


class Measurer:
    """Measures documents; a result depends on its document and the lists only.

    Keeps scratch memory between batches: each thread needs its own.

    Args:
      word_lists: name -> phrases, in any writing; each list adds two signals.
    """

    def __init__(self, word_lists: Mapping[str, Sequence[str]]) -> None:
        self.signals = all_signals(word_lists)
        self.schema = pa.schema(
            pa.field(signal.name, _ARROW_TYPES[signal.dtype], nullable=False)
            for signal in self.signals.values()
        )
        self._lists = {
            name: list(dict.fromkeys(map(fold, words))) for name, words in word_lists.items()
        }
        self._words = WordIndex(self._lists)
        self._variety = CharacterVariety()
        self._repetition = Repetition()

    def measure(self, title: str, text: str) -> dict[str, int | float | str]:
        """Measures one document in plain Python: the reference of `measure_batch`.

        Args:
          title: the page's title, "" if it has none.
          text: lines separated by line breaks.

        Returns:
          the value of each of `signals`, in their order.
        """
        distinct, entropy = character_variety(text)
        folded = f"{fold(title)}\n{fold(text)}"
        found = [search_words(folded, words) for words in self._lists.values()]
        counted = _Counted(
            np.array([len(text)]),
            np.array([classes.count_classes(text)]),
            np.array([list(line_statistics(text).values())]),
            np.array([distinct]),
            np.array([entropy]),
            np.array([address_characters(text)]),
            np.array([repetition(text)]),
            np.array([beyond_title_characters("".join(folded_lines(title)), folded_lines(text))]),
            np.array(found, np.int64).reshape(-1, 2, 1),
        )
        return {name: column[0].as_py() for name, column in self._columns(counted).items()}

    def measure_batch(
        self, titles: TextBatch, texts: TextBatch, folded: FoldedBatch | None = None
    ) -> pa.RecordBatch:
        """Measures the documents of a batch.

        Args:
          titles: n titles, "" where there is none.
          texts: n texts, lines separated by line breaks.
          folded: what `fold_texts` returns for the texts, if the caller has it.

        Returns:
          a row for each document, a column for each of `signals`, in their order.
        """
        folded = folded or fold_texts(texts)
        folded_titles = fold_texts(titles)
        hits, different = self._words.search(folded_titles.texts, folded.texts)
        lines, of_classes = line_statistics_of(texts)
        counted = _Counted(
            texts.lengths(),
            of_classes,
            lines,
            *self._variety.measure(texts),
            address_characters_of(texts),
            self._repetition.measure(texts),
            beyond_title_characters_of(folded_titles.comparable, folded),
            np.stack([hits, different], axis=1),
        )
        return pa.RecordBatch.from_arrays(list(self._columns(counted).values()), schema=self.schema)

    def _columns(self, counted: _Counted) -> dict[str, pa.Array]:
        values = _fixed_signals(counted)
        for name, (hits, different) in zip(self._lists, counted.found, strict=True):
            values[f"{name}_words"] = different
            values[f"{name}_hits"] = hits
        return {
            name: values[name].cast(_ARROW_TYPES["string"])
            if signal.dtype == "string"
            else pa.array(values[name].astype(signal.dtype))
            for name, signal in self.signals.items()
        }


_ARROW_TYPES = {"int32": pa.int32(), "float32": pa.float32(), "string": pa.string()}

# Classes of characters whose share of the visible ones is a signal.
_SHARES = {
    "chinese_share": [classes.HANZI, classes.MANDARIN, classes.CANTONESE],
    "latin_share": [classes.LATIN],
    "digit_share": [classes.DIGIT],
    "symbol_share": [classes.SYMBOL],
    "punctuation_share": range(classes.PUNCTUATION, classes.CLASSES),
    "kana_share": [classes.KANA],
    "hangul_share": [classes.HANGUL],
    "hash_share": [classes.HASH],
    "bracket_share": [classes.OPENING_BRACKET, classes.CLOSING_BRACKET],
}


@dataclass(frozen=True)
class _Counted:
    """What was counted on n documents.

    Attributes:
      characters: int64 (n,), with white space.
      classes: int64 (n, CLASSES).
      lines: int64 (n, COUNTS).
      distinct, entropy: (n,), of visible characters.
      addresses: int64 (n,), characters of web addresses.
      repetition: float64 (n, LENGTHS).
      beyond_title: int64 (n,).
      found: (lists, 2, n), occurrences and different phrases of each word list.
    """

    characters: np.ndarray
    classes: np.ndarray
    lines: np.ndarray
    distinct: np.ndarray
    entropy: np.ndarray
    addresses: np.ndarray
    repetition: np.ndarray
    beyond_title: np.ndarray
    found: np.ndarray


def _fixed_signals(counted: _Counted) -> dict[str, Any]:
    """All of SIGNALS: an array for each."""
    characters = counted.characters
    visible = np.maximum(1, characters - counted.classes[:, : classes.LINE_BREAK + 1].sum(axis=1))
    line = dict(zip(COUNTS, counted.lines.T, strict=True))
    lines = np.maximum(1, line["lines"])
    in_lines = np.maximum(1, line["characters"])
    ends = line["ending_characters"] / in_lines
    duplicate = line["repeated_characters"] / in_lines
    return {
        "characters": characters,
        **{
            name: counted.classes[:, members].sum(axis=1) / visible
            for name, members in _SHARES.items()
        },
        "ellipsis_share": line["ellipsis_characters"] / visible,
        "url_share": counted.addresses / visible,
        "unique_character_share": counted.distinct / visible,
        "character_entropy": counted.entropy,
        "lines": line["lines"],
        "mean_line_characters": line["characters"] / lines,
        "longest_line_characters": line["longest"],
        "newline_share": counted.classes[:, classes.LINE_BREAK] / np.maximum(1, characters),
        "short_line_share": line["short"] / lines,
        "sentence_end_share": ends,
        "sentence_end_line_share": line["ending"] / lines,
        "duplicate_line_share": duplicate,
        "duplicate_lines_share": line["repeated"] / lines,
        "navigation_share": line["menu_characters"] / in_lines,
        "more_line_share": line["more"] / lines,
        "repeated_short_sentence_share": line["repeated_sentence_characters"] / visible,
        **dict(zip(_REPETITION, counted.repetition.T, strict=True)),
        "beyond_title_characters": counted.beyond_title,
        "quality": ends * (1 - duplicate) * characters / (characters + HALF_QUALITY_CHARACTERS),
        "language": pa.array(LANGUAGES).take(pa.array(language_numbers(counted.classes))),
    }


_REPETITION = [
    f"{'top' if length in TOP_LENGTHS else 'duplicate'}_{length}gram_share" for length in LENGTHS
]
