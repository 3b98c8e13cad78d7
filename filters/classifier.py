"""What a fastText classifier says of documents: spam, low quality, or whatever it learned.

PanGu-α drops spam by a fastText model and low-quality documents by a classifier after GPT-3
(§3.1.1). A score is a signal like any other; its limit is a rule.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier_settings import Features
from filters.fasttext_model import FastTextModel, parse_fasttext_model
from filters.kernels.fasttext_characters import CharacterTable
from filters.kernels.fasttext_prediction import FoldedModel, fold_rows, reference_score
from filters.kernels.fasttext_words import WordTable
from filters.kernels.text_batch import TextBatch
from filters.segmentation import segment_words, segmenter
from pangu_settings import UserError, nearest

# So much of a document, from its beginning, is looked at, in training and after. It bounds the
# time and memory that one document takes; nine of ten web pages are shorter.
MOST_CHARACTERS = 5_000

_WHITE_SPACE = re.compile(r"[\s\0]+")


def fasttext_words(text: str, features: Features) -> list[str]:
    """A document as fastText sees it, a list of what it calls words.

    The first `MOST_CHARACTERS` characters count, line breaks and other white space do not.
    `characters`: each character is a word; `words`: those of jieba without its hidden Markov model;
    `text`: what white space parts, for models trained elsewhere and language identification.
    """
    text = text[:MOST_CHARACTERS]
    if features == "characters":
        return [character for character in text if not _WHITE_SPACE.fullmatch(character)]
    if features == "words":
        return [word for word in segment_words(text) if not _WHITE_SPACE.fullmatch(word)]
    # To fastText, `</s>` ends the line: a document could hide its rest behind it.
    return [word for word in _WHITE_SPACE.split(text) if word not in ("", "</s>")]


def fasttext_line(text: str, features: Features) -> str:
    """A document as one line for the fastText library."""
    return " ".join(fasttext_words(text, features))


class Classifier:
    """A fastText model and the label whose probability is the score.

    A model with two labels, softmax and no pieces of words, as we train them, is folded into
    kernels; any other runs in the fastText library, some twenty times slower.

    Args:
      content: of a .bin or .ftz file; it need not be trusted.
      name: of the file, for messages.
      features: what the model was trained on.
      label: one of its labels.

    Raises:
      UserError: not a model, or it has no such label.
    """

    def __init__(self, content: bytes, name: str, features: Features, label: str) -> None:
        model = parse_fasttext_model(content, name)
        if label not in model.labels:
            raise UserError(f"{name}: has no label '{label}'{nearest(label, model.labels)}")
        self.features = features
        self.folded = _fold(model, label, name) if model.folds and features != "text" else None
        self._library = None if self.folded else _LibraryModel(content, name, label)
        self._characters = self._words = None
        if self.folded and features == "characters":
            self._characters = CharacterTable(self.folded)
        elif self.folded:
            self._words = WordTable(self.folded)

    def score_batch(self, texts: TextBatch) -> np.ndarray:
        """The label's probability for each text.

        Returns:
          float32 (texts,), 0 to 1; 0.5 where the model knows nothing of a text.
        """
        if self._characters:
            return self._characters.score(texts, MOST_CHARACTERS)
        if self._words:
            return self._words.score(*segmenter().words(_beginnings(texts)))
        assert self._library is not None
        return self._library.score(
            [fasttext_line(text, self.features) for text in texts.to_strings()]
        )

    def score(self, text: str) -> float:
        """The label's probability for one text, by the plain reference where there is one."""
        if self.folded:
            return reference_score(fasttext_words(text, self.features), self.folded)
        assert self._library is not None
        return float(self._library.score([fasttext_line(text, self.features)])[0])


def _beginnings(texts: TextBatch) -> TextBatch:
    """What is looked at of each text."""
    lengths = np.minimum(texts.lengths(), MOST_CHARACTERS)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if starts[-1] == texts.starts[-1]:
        return texts
    pieces = [
        texts.characters[start : start + length]
        for start, length in zip(texts.starts[:-1], lengths, strict=True)
    ]
    return TextBatch(np.concatenate(pieces), starts)


def _fold(model: FastTextModel, label: str, name: str) -> FoldedModel:
    assert model.input_rows is not None
    assert model.output_rows is not None
    chosen = model.labels.index(label)
    weights = fold_rows(model.input_rows, model.output_rows[chosen] - model.output_rows[1 - chosen])
    if not np.isfinite(weights).all():
        raise UserError(f"{name}: its weights are beyond reason; train it again")
    count = len(model.words)
    return FoldedModel(
        tuple(map(_decoded, model.words)), weights[:count], weights[count:], model.ngrams
    )


def _decoded(word: bytes) -> str:
    """A word of the vocabulary; "", which no text holds, where it is not UTF-8."""
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return ""


class _LibraryModel:
    """A model that does not fold, in the fastText library."""

    def __init__(self, content: bytes, name: str, label: str) -> None:
        import fasttext

        with tempfile.TemporaryDirectory(prefix="pangu-alpha-classifier-") as folder:
            path = Path(folder) / "model.bin"
            path.write_bytes(content)
            self._model: Any = fasttext.load_model(str(path))
        self._name = name
        self._label = label
        self._labels = len(self._model.get_labels())

    def score(self, lines: Sequence[str]) -> np.ndarray:
        """The label's probability for each line: float32 (lines,)."""
        scores = np.full(len(lines), 0.5, np.float32)
        if not lines:
            return scores
        try:
            found = self._model.predict(list(lines), k=self._labels)
        except RuntimeError as error:
            raise UserError(f"{self._name}: cannot be used: {error}; train it again") from None
        for index, (labels, values) in enumerate(zip(*found, strict=True)):
            if len(labels):
                probability = dict(zip(labels, values, strict=True)).get(self._label, 0.0)
                # fastText adds 1e-5 before it takes a logarithm.
                scores[index] = min(1.0, max(0.0, probability))
        return scores
