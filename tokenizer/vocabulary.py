"""Training a SentencePiece vocabulary (PanGu-α §5.1) on a sample of texts."""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import sentencepiece
from pydantic import Field
from sentencepiece import SentencePieceTrainer

from pangu_settings import Settings, UserError
from tokenizer.segmentation import Segmenter, mark_spaces, segment
from tokenizer.special_pieces import (
    NEWLINE_SYMBOL,
    SPECIAL_PIECES,
    UNKNOWN_ID,
    USER_DEFINED_PIECES,
)
from tokenizer.tokenizer import MODEL_NAME, Tokenizer, load_processor
from tokenizer.whole_file import FileFacts, write_whole_file

LIST_NAME = "tokenizer.vocab"
FACTS_NAME = "facts.json"

# SentencePiece skips a sentence of more than 4,192 bytes, its default, without a word; a
# character takes at most 4.
_SENTENCE_CHARACTERS = 1_000
# It also skips every sentence that holds U+2585, and takes U+2581 for its own word start.
_RESERVED = re.compile("[▁▅]")
# The number of threads is written into the model and decides in which order unigram adds up
# probabilities: one fixed number gives the same bytes on every machine.
_THREADS = 16
_NEWEST_MERGES = 64
_MEASURED_BYTES = 4_000_000


class VocabularySettings(Settings):
    """How a vocabulary is trained."""

    vocabulary_size: int = Field(default=40_000, gt=len(SPECIAL_PIECES), le=1_000_000)
    """Pieces, special ones included (PanGu-α §5.1: 40,000)."""

    algorithm: Literal["bpe", "unigram"] = "bpe"
    """bpe as the paper says; unigram as the released vocabulary is."""

    segmenter: Segmenter = "none"
    """jieba: pieces never cross a word of jieba, as in the released vocabulary."""

    normalization: Literal["identity", "nmt_nfkc"] = "identity"
    """identity keeps the text; nmt_nfkc, as released, turns "，" to "," and "①" to "1"."""

    byte_fallback: bool = True
    """256 pieces for bytes, so that no character is unknown; the released one has none."""

    character_coverage: float = Field(default=0.9995, gt=0.9, le=1.0)
    """Share of the sample's characters that become pieces; rarer ones are left out."""

    sample_bytes: int = Field(default=100_000_000, ge=100_000)
    """UTF-8 bytes of text to train on; bpe training needs some 33 times as much memory."""


class SampleFacts(Settings):
    """The text that a vocabulary was trained on."""

    documents: int
    characters: int
    bytes: int


class VocabularyFacts(Settings):
    """The content of `facts.json`.

    Attributes:
      characters_per_token: on the first 4 MB of the sample.
      unknown_share: of the tokens of that text, those that are `<unk>`.
      byte_share: of the tokens of that text, those that spell a byte of a rare character.
      pieces: how many of each kind the vocabulary holds.
    """

    sha256: str
    vocabulary_size: int
    settings: VocabularySettings
    sample: SampleFacts
    characters_per_token: float
    unknown_share: float
    byte_share: float
    pieces: dict[str, int]
    sentencepiece: str


@dataclass(frozen=True)
class TrainedVocabulary:
    """A vocabulary on disk: its facts, and file name -> size and sha256."""

    facts: VocabularyFacts
    files: Mapping[str, FileFacts]


def train_vocabulary(
    texts: Iterable[str], settings: VocabularySettings, directory: str | os.PathLike[str]
) -> TrainedVocabulary:
    """Trains a vocabulary and writes `tokenizer.model`, `tokenizer.vocab` and `facts.json`.

    The same texts in the same order give the same bytes, on any number of cores.

    Args:
      texts: the sample, read once; all of it is used, so its size is the caller's choice.
      settings: what to train.
      directory: local folder or fsspec path; `facts.json` is written last.

    Raises:
      UserError: the sample cannot carry a vocabulary of the size asked for, or needs a larger
        one for its characters alone.
    """
    sample = _Sample(settings.segmenter)
    sentences = [sentence for text in texts for sentence in sample.sentences(text)]
    model = _train(sentences, settings, sample.bytes)
    folder = os.fspath(directory).rstrip("/")
    files = {
        MODEL_NAME: write_whole_file(f"{folder}/{MODEL_NAME}", model),
        LIST_NAME: write_whole_file(f"{folder}/{LIST_NAME}", _piece_list(model)),
    }
    facts = _measure(Tokenizer(f"{folder}/{MODEL_NAME}"), settings, sample)
    text = json.dumps(facts.model_dump(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    files[FACTS_NAME] = write_whole_file(f"{folder}/{FACTS_NAME}", text.encode())
    return TrainedVocabulary(facts, files)


@dataclass
class _Sample:
    """Cuts texts into SentencePiece's sentences, counts them and keeps the first few MB."""

    segmenter: Segmenter
    documents: int = 0
    characters: int = 0
    bytes: int = 0
    head: list[str] = field(default_factory=list)

    def sentences(self, text: str) -> Iterator[str]:
        if self.bytes < _MEASURED_BYTES:
            self.head.append(text)
        self.documents += 1
        self.characters += len(text)
        self.bytes += len(text.encode())
        if self.segmenter == "jieba":
            yield from _join_words(segment(_RESERVED.sub(" ", text)))
            return
        for line in _RESERVED.sub(NEWLINE_SYMBOL, mark_spaces(text)).split(NEWLINE_SYMBOL):
            for start in range(0, len(line), _SENTENCE_CHARACTERS):
                yield line[start : start + _SENTENCE_CHARACTERS]


def _join_words(words: Iterable[str]) -> Iterator[str]:
    """Joins words by spaces into sentences of bounded length; a longer word is cut."""
    sentence: list[str] = []
    length = 0
    for word in words:
        for start in range(0, len(word), _SENTENCE_CHARACTERS - 1):
            part = word[start : start + _SENTENCE_CHARACTERS - 1]
            if length + len(part) + 1 > _SENTENCE_CHARACTERS:
                yield " ".join(sentence)
                sentence, length = [], 0
            sentence.append(part)
            length += len(part) + 1
    if sentence:
        yield " ".join(sentence)


class _WrongSizeError(Exception):
    """SentencePiece's refusal of a vocabulary size, with the bound that it names."""

    def __init__(self, bound: int) -> None:
        self.bound = bound


class _TooLargeError(_WrongSizeError):
    pass


class _TooSmallError(_WrongSizeError):
    pass


def _train(sentences: Sequence[str], settings: VocabularySettings, sample_bytes: int) -> bytes:
    """Trains a model of the size asked for, or says which size the sentences can carry."""
    if not any(sentences):
        raise UserError("there is no text to train a vocabulary on; give more text")
    asked = settings.vocabulary_size
    try:
        model = _train_size(sentences, settings, asked)
        if settings.algorithm == "unigram":
            return model
        largest = _largest_size(model, sentences)
        if largest == asked:
            return model
    except _TooSmallError as error:
        raise UserError(
            f"vocabulary_size: {asked:,} pieces do not hold the sample's characters and the "
            f"special pieces, which take {error.bound:,}; ask for more than that, or for a lower "
            f"character_coverage than {settings.character_coverage}"
        ) from None
    except _TooLargeError as error:
        largest = error.bound
        if settings.algorithm == "bpe":
            largest = _largest_size(_train_size(sentences, settings, largest), sentences)
    raise UserError(
        f"vocabulary_size: the sample of {sample_bytes:,} bytes is too small "
        f"for {asked:,} pieces; set vocabulary_size to {largest:,} or less, or give more text "
        "(more documents, or a larger sample_bytes)"
    )


def _train_size(
    sentences: Sequence[str], settings: VocabularySettings, vocabulary_size: int
) -> bytes:
    """One SentencePiece training; the bytes of the model file.

    Raises:
      _TooLargeError, _TooSmallError: the sentences do not make a vocabulary of this size.
    """
    as_released = settings.normalization == "nmt_nfkc"
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=settings.algorithm,
            vocab_size=vocabulary_size,
            character_coverage=settings.character_coverage,
            byte_fallback=settings.byte_fallback,
            user_defined_symbols=list(USER_DEFINED_PIECES),
            normalization_rule_name=settings.normalization,
            remove_extra_whitespaces=as_released,
            # A word start before the text marks models that want words; see Tokenizer.
            add_dummy_prefix=settings.segmenter == "jieba",
            num_threads=_THREADS,
            minloglevel=3,
        )
    except RuntimeError as error:
        if found := re.search(r"set it to a value <= (\d+)", str(error)):
            raise _TooLargeError(int(found[1])) from None
        if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise _TooSmallError(int(found[1])) from None
        raise
    return model.getvalue()


def _largest_size(model: bytes, sentences: Iterable[str]) -> int:
    """How many pieces of a BPE model are learned: all, or those before merges stop repeating.

    SentencePiece goes on merging pairs that occur once. Merges stand in the model in the order
    of falling frequency, so the last size whose newest merges all occur again is found by
    bisection, and training for that size passes the same test.
    """
    processor = load_processor(model, "the trained model")
    text = "\n".join(processor.normalize(sentence) for sentence in sentences)
    merges = [
        piece
        for number in range(len(SPECIAL_PIECES), processor.vocab_size())
        if not processor.is_byte(number) and len(piece := processor.id_to_piece(number)) > 1
    ]

    def is_learned(size: int) -> bool:
        # A merge that joined one pair may still be found twice where its characters meet in
        # other ways; among the newest few, some are not.
        return all(_is_repeated(piece, text) for piece in merges[:size][-_NEWEST_MERGES:])

    if is_learned(len(merges)):
        return processor.vocab_size()
    low, high = 0, len(merges)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_learned(middle) else (low, middle)
    return processor.vocab_size() - len(merges) + low


def _is_repeated(piece: str, text: str) -> bool:
    first = text.find(piece)
    return first >= 0 and text.find(piece, first + len(piece)) >= 0


def _piece_list(model: bytes) -> bytes:
    """The `.vocab` file: a line with piece and score for each id."""
    processor = load_processor(model, "the trained model")
    lines = (
        f"{processor.id_to_piece(number)}\t{processor.get_score(number):g}\n"
        for number in range(processor.vocab_size())
    )
    return "".join(lines).encode()


def _measure(
    tokenizer: Tokenizer, settings: VocabularySettings, sample: _Sample
) -> VocabularyFacts:
    kinds = [_kind(piece) for piece in tokenizer.pieces(range(tokenizer.vocabulary_size))]
    ids = tokenizer.encode_batch(sample.head).ids
    tokens = max(1, ids.size)
    is_byte = np.array([kind == "byte" for kind in kinds])
    return VocabularyFacts(
        sha256=tokenizer.sha256,
        vocabulary_size=tokenizer.vocabulary_size,
        settings=settings,
        sample=SampleFacts(
            documents=sample.documents, characters=sample.characters, bytes=sample.bytes
        ),
        characters_per_token=round(sum(map(len, sample.head)) / tokens, 4),
        unknown_share=round(float((ids == UNKNOWN_ID).sum()) / tokens, 6),
        byte_share=round(float(is_byte[ids].sum()) / tokens, 6),
        pieces=dict(Counter(kinds)),
        sentencepiece=sentencepiece.__version__,
    )


_KINDS = (
    ("byte", re.compile("<0x[0-9A-F]{2}>")),
    ("chinese_character", re.compile("[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]")),
    ("chinese_word", re.compile("[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]{2,}")),
    ("latin", re.compile("[A-Za-zÀ-ɏ]+")),
    ("digits", re.compile("[0-9]+")),
)


def _kind(piece: str) -> str:
    if piece in SPECIAL_PIECES:
        return "special"
    inner = piece.removeprefix("▁")
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(inner)), "other")
