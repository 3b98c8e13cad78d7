"""Which documents hold text of an evaluation set, and where.

Texts are compared by their letters and digits, folded (`filters.folding`), so that traditional
characters, width, spaces and punctuation hide nothing. A known text is cut into passages; a
document leaks it if it holds the greater part of a passage's n-grams. n-grams alone would not do:
a corpus of news shares runs of 13 characters with every evaluation set that quotes a ministry's
full name (GPT-3, arXiv 2005.14165 appendix C, drops documents for one n-gram of 13 words, and
ignores those of more than ten documents).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from filters.decontamination_settings import Decontaminate
from filters.folding import fold_texts, folding
from filters.kernels.folding import comparable_places, comparable_places_of
from filters.kernels.ngram_overlap import NgramIndex, find_ngrams, number_ngrams
from filters.kernels.passage_overlap import PassageIndex, hold_passages
from filters.kernels.text_batch import TextBatch
from pangu_settings import UserError

# A passage has about so many n-grams: of a long text, a part can leak.
PASSAGE_NGRAMS = 200
# A cut grows by at most so many characters at each end, to the end of a sentence.
SENTENCE_CHARACTERS = 200
# An n-gram that more known texts have is of no one of them: all the questions of a set may begin
# with one instruction. It also bounds the work for an n-gram, and what a document can leak.
MOST_TEXTS = 100
# n-grams are numbered with 32 bits.
MOST_CHARACTERS = 2**31 - 1

_SENTENCE_END = re.compile(r"""[。！？!?…；;][”’」』）)】》"']*|\n""")


@dataclass(frozen=True)
class SharedText:
    """A known text of which a document holds a passage: the passage that it holds most of.

    Attributes:
      known: number of the known text.
      found: different n-grams of the passage that the document holds.
      of: different n-grams of the passage.
      start: character of the document at which the first of them begins.
    """

    known: int
    found: int
    of: int
    start: int

    @property
    def share(self) -> float:
        """Of the passage's n-grams."""
        return self.found / self.of


@dataclass(frozen=True)
class Leak:
    """What a document holds of known texts.

    Attributes:
      document: number of the document in its batch.
      shared: the known texts, by number.
      spans: (start, end) characters of the document that hold them, grown to whole sentences.
    """

    document: int
    shared: tuple[SharedText, ...]
    spans: tuple[tuple[int, int], ...]


def comparable(texts: Sequence[str]) -> list[str]:
    """The form in which texts are compared: their letters and digits, folded."""
    return fold_texts(TextBatch.from_strings(texts)).comparable.to_strings()


class Decontaminator:
    """Finds known texts in documents.

    Args:
      known: the texts, comparable (`comparable`), each once.
      settings: of the recipe.

    Attributes:
      is_looked_for: bool (known,); false for texts of too few letters and digits.

    Raises:
      UserError: the texts are too long together.
    """

    def __init__(self, known: Sequence[str], settings: Decontaminate) -> None:
        self._settings = settings
        texts = TextBatch.from_strings(known)
        if len(texts.characters) > MOST_CHARACTERS:
            raise UserError(
                f"decontaminate.sets: {len(texts.characters):,} letters and digits in all; at "
                f"most {MOST_CHARACTERS:,} can be looked for: give fewer files or fields"
            )
        lengths = texts.lengths()
        self.is_looked_for = np.zeros(len(known), np.bool_)
        long_enough = np.flatnonzero(lengths >= settings.min_characters)
        chosen = TextBatch.from_strings([known[number] for number in long_enough.tolist()])
        self._ngrams = NgramIndex(chosen, settings.ngram)
        passages, owners = _passages_of(chosen, settings.ngram)
        places = np.flatnonzero(self._ngrams.numbers >= 0)
        numbers, passages = self._ngrams.numbers[places], passages[places]
        own = ~_are_common(numbers, owners[passages], self._ngrams.count)[numbers]
        self._passages = PassageIndex(numbers[own], passages[own], self._ngrams.count, len(owners))
        self._owners = long_enough[owners]
        self._needed = np.array([_needed(size, settings) for size in self._passages.sizes], int)
        possible = self._needed <= self._passages.sizes
        self.is_looked_for[self._owners[possible]] = True

    def find_batch(self, texts: TextBatch) -> list[Leak]:
        """Finds known texts in documents; `find_leak` is the reference.

        Returns:
          the documents that hold any, in order.
        """
        if not self._ngrams.count:
            return []
        documents = fold_texts(texts).comparable
        places, ngrams = self._ngrams.search(documents)
        borders = np.searchsorted(places, documents.starts)
        enough = np.diff(borders) >= _least(self._settings)
        leaks = []
        for document in np.flatnonzero(enough).tolist():
            hits = slice(borders[document], borders[document + 1])
            held, found, firsts, inside = self._passages.hold(ngrams[hits], self._needed)
            if not len(held):
                continue
            start, end = texts.starts[document], texts.starts[document + 1]
            origins = comparable_places_of(texts.characters[start:end], folding())
            begins = places[hits] - documents.starts[document]
            shared = _best_passages(
                self._owners[held], found, self._passages.sizes[held], origins[begins[firsts]]
            )
            spans = _spans(texts.text(document), begins[inside].tolist(), origins, self._settings)
            leaks.append(Leak(document, shared, spans))
        return leaks


def find_leak(text: str, known: Sequence[str], settings: Decontaminate) -> Leak | None:
    """What a document holds of known texts, in plain Python; the reference of `Decontaminator`.

    Args:
      text: of the document, as it is.
      known: comparable texts, each once.
      settings: of the recipe.
    """
    length = settings.ngram
    numbers = number_ngrams(known, length)
    passages: list[set[int]] = []
    owners: list[int] = []
    chosen = {n: other for n, other in enumerate(known) if len(other) >= settings.min_characters}
    texts_with = Counter(
        ngram for other in chosen.values() for ngram in number_ngrams([other], length)
    )
    for number, other in chosen.items():
        for start, end in pairwise(_borders(len(other) - length + 1)):
            ngrams = {other[place : place + length] for place in range(start, end)}
            passages.append({numbers[n] for n in ngrams if texts_with[n] <= MOST_TEXTS})
            owners.append(number)
    hits = find_ngrams(comparable([text])[0], numbers, length)
    needed = [_needed(len(passage), settings) for passage in passages]
    held, inside = hold_passages([ngram for _, ngram in hits], passages, needed)
    if not held:
        return None
    origins = np.array(comparable_places(text, folding()))
    numbered, found, firsts = zip(*held, strict=True)
    shared = _best_passages(
        np.array([owners[passage] for passage in numbered]),
        np.array(found),
        np.array([len(passages[passage]) for passage in numbered]),
        origins[[hits[first][0] for first in firsts]],
    )
    begins = [place for (place, _), is_inside in zip(hits, inside, strict=True) if is_inside]
    return Leak(0, shared, _spans(text, begins, origins, settings))


def _least(settings: Decontaminate) -> int:
    """n-grams in `min_characters` characters."""
    return settings.min_characters - settings.ngram + 1


def _needed(size: int, settings: Decontaminate) -> int:
    """How many of a passage's different n-grams a document must hold."""
    # Rounded first: 0.7 × 10 is a little more than 7.
    return max(math.ceil(round(settings.min_share * size, 6)), _least(settings))


def _borders(ngrams: int) -> list[int]:
    """Where the passages of a text with so many n-grams begin, and where the last one ends."""
    count = max(1, round(ngrams / PASSAGE_NGRAMS))
    return [ngrams * index // count for index in range(count + 1)]


def _passages_of(texts: TextBatch, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Passages of texts that have at least one n-gram each.

    Returns:
      int32 (characters,), the passage of the n-gram at each place; int64 (passages,), the text of
      each passage.
    """
    passages = np.zeros(len(texts.characters), np.int32)
    owners: list[int] = []
    for text, (start, size) in enumerate(
        zip(texts.starts.tolist(), texts.lengths().tolist(), strict=False)
    ):
        for first, end in pairwise(_borders(size - length + 1)):
            passages[start + first : start + end] = len(owners)
            owners.append(text)
    return passages, np.array(owners, np.int64)


def _are_common(ngrams: np.ndarray, texts: np.ndarray, count: int) -> np.ndarray:
    """Which n-grams more than MOST_TEXTS texts have.

    Args:
      ngrams: int32 (places,), the number of the n-gram at each place of the texts.
      texts: int64 (places,), the text of each place.
      count: of different n-grams.

    Returns:
      bool (count,).
    """
    span = int(texts.max(initial=0)) + 1
    pairs = ngrams * np.int64(span) + texts
    pairs.sort()
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return np.bincount(pairs // span, minlength=count) > MOST_TEXTS


def _best_passages(
    known: np.ndarray, found: np.ndarray, sizes: np.ndarray, starts: np.ndarray
) -> tuple[SharedText, ...]:
    """Of each known text the passage with the largest share, the first of equal ones."""
    best: dict[int, SharedText] = {}
    for entry in zip(known.tolist(), found.tolist(), sizes.tolist(), starts.tolist(), strict=True):
        shared = SharedText(*entry)
        if shared.known not in best or shared.share > best[shared.known].share:
            best[shared.known] = shared
    return tuple(best[number] for number in sorted(best))


@dataclass
class _Run:
    """n-grams close to each other: comparable characters begin to end."""

    begin: int
    end: int
    ngrams: int


def _spans(
    text: str, begins: Sequence[int], origins: np.ndarray, settings: Decontaminate
) -> tuple[tuple[int, int], ...]:
    """Sentences that hold n-grams of passages.

    Args:
      text: the document.
      begins: where the n-grams begin among its comparable characters, ascending.
      origins: where each comparable character was in the text.
      settings: of the recipe.
    """
    runs: list[_Run] = []
    for begin in begins:
        # A character that was changed hides the n-grams around it.
        if runs and begin <= runs[-1].end + settings.ngram:
            runs[-1].end = begin + settings.ngram
            runs[-1].ngrams += 1
        else:
            runs.append(_Run(begin, begin + settings.ngram, 1))
    # A few n-grams far from the others are a name or a phrase that the passage holds too.
    long = [run for run in runs if run.ngrams >= _least(settings)]
    spans: list[tuple[int, int]] = []
    for run in long or runs:
        start, end = _whole_sentences(text, int(origins[run.begin]), int(origins[run.end - 1]) + 1)
        if spans and start <= spans[-1][1]:
            before = spans.pop()
            start, end = before[0], max(end, before[1])
        spans.append((start, end))
    return tuple(spans)


def _whole_sentences(text: str, start: int, end: int) -> tuple[int, int]:
    """Grows a span to where sentences or lines end, if that is near."""
    first = max(0, start - SENTENCE_CHARACTERS)
    before = [match.end() for match in _SENTENCE_END.finditer(text, first, start)]
    if before:
        start = before[-1]
    elif first == 0:
        start = 0
    last = min(len(text), end + SENTENCE_CHARACTERS)
    after = _SENTENCE_END.search(text, end, last)
    if after:
        end = after.start() if after.group() == "\n" else after.end()
    elif last == len(text):
        end = last
    return start, end
