"""The same steps with other libraries: the usual ones, and the fastest wheels that there are.

Neither way cleans or measures quite what ours does; each does what a careful person would write
with the library at hand, one document at a time.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.text_corpus import Documents

Work = Callable[[Documents], object]
OfDocument = Callable[[str], object]

_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufeff\ue000-\uf8ff]+")
_WIDTH = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF5B)} | {0x3000: 0x20}
_MENU = re.compile("上一篇|下一篇|版权所有|Copyright|备案|分享到|登录|注册|首页|返回顶部|责任编辑")
_PERSONAL = [
    re.compile(pattern)
    for pattern in (
        r"[\w.+-]+@[\w-]+\.[\w.-]+",
        r"(?<!\d)1[3-9]\d{9}(?!\d)",
        r"(?<!\d)\d{17}[\dXx](?!\d)",
        r"(?<!\d)\d{13,19}(?!\d)",
        r"(?<!\d)(?:\d{1,3}\.){3}\d{1,3}(?!\d)",
        r"(?:QQ|微信|vx)[:：号 ]*[A-Za-z0-9_-]{5,}",
    )
]
_CLASSES = [
    re.compile(pattern)
    for pattern in (
        "[\u4e00-\u9fff]",
        "[A-Za-z]",
        "[0-9]",
        "[。，！？；：、,.!?;:]",
        r"\s",
        "[ぁ-ヿ]",
    )
]
_LETTERS = re.compile(r"[\W_]+")
_BAND = 8


def card_steps(words: Sequence[str]) -> dict[str, Callable[[], Work]]:
    """re, OpenCC, jieba, fastText, Counter and datasketch, document by document."""
    return {name: _each(make) for name, make in card_of_document(words).items()}


def wheel_steps(words: Sequence[str]) -> dict[str, Callable[[], Work]]:
    """OpenCC, ahocorasick-rs, rjieba, rensa, xxhash and numpy, document by document."""
    return {name: _each(make) for name, make in wheels_of_document(words).items()}


def _each(make: Callable[[], OfDocument]) -> Callable[[], Work]:
    def made() -> Work:
        of_document = make()
        return lambda documents: [of_document(text) for text in documents.strings]

    return made


def card_of_document(words: Sequence[str]) -> dict[str, Callable[[], OfDocument]]:
    steps: dict[str, Callable[[], OfDocument]] = {
        "clean": _clean,
        "personal data": lambda: _mask,
        "statistics": lambda: _statistics,
        "repetition": lambda: _repetition,
        "fold": lambda: lambda text: unicodedata.normalize("NFKC", text).lower(),
        "1,000 keywords": lambda: (
            re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True)))).findall
        ),
        "MinHash, bands": _datasketch,
        "hashes": lambda: _hashlib,
        "classifier": lambda: _fasttext(_jieba()),
    }
    return {**steps, "whole text path": lambda: _chain(steps)}


def wheels_of_document(words: Sequence[str]) -> dict[str, Callable[[], OfDocument]]:
    steps: dict[str, Callable[[], OfDocument]] = {
        "clean": _clean,
        "personal data": lambda: _mask,
        "statistics": _numpy_statistics,
        "repetition": lambda: _repetition,
        "fold": lambda: lambda text: unicodedata.normalize("NFKC", text).lower(),
        "1,000 keywords": lambda: _ahocorasick(words),
        "MinHash, bands": _rensa,
        "hashes": _xxhash,
        "classifier": lambda: _fasttext(_rjieba()),
    }
    return {**steps, "whole text path": lambda: _chain(steps)}


def _chain(steps: dict[str, Callable[[], OfDocument]]) -> OfDocument:
    made = {name: make() for name, make in steps.items()}
    clean, mask = made.pop("clean"), made.pop("personal data")

    def of_document(text: str) -> list[object]:
        text = str(mask(str(clean(text))))
        return [step(text) for step in made.values()]

    return of_document


def _clean() -> OfDocument:
    import opencc

    convert = opencc.OpenCC("t2s").convert

    def of_document(text: str) -> str:
        text = convert(_NOT_TEXT.sub("", text).translate(_WIDTH))
        seen: set[str] = set()
        kept = []
        for line in text.splitlines():
            line = " ".join(line.split())
            if not line or (len(line) < 30 and _MENU.search(line)) or line in seen:
                continue
            if len(line) >= 32:
                seen.add(line)
            kept.append(line)
        return "\n".join(kept)

    return of_document


def _mask(text: str) -> str:
    for pattern in _PERSONAL:
        text = pattern.sub("[…]", text)
    return text


def _statistics(text: str) -> tuple[object, ...]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    shares = np.array(list(Counter(text).values()), float) / max(1, len(text))
    return (
        [len(pattern.findall(text)) for pattern in _CLASSES],
        sum(line[-1] in "。！？!?…" for line in lines),
        len(lines) - len(set(lines)),
        -(shares * np.log2(shares)).sum(),
    )


def _numpy_statistics() -> OfDocument:
    classes = np.zeros(0x10000, np.uint8)
    for number, pattern in enumerate(_CLASSES, 1):
        for point in [*range(0xD800), *range(0xE000, 0x10000)]:
            if pattern.fullmatch(chr(point)):
                classes[point] = number

    def of_document(text: str) -> tuple[object, ...]:
        points = np.frombuffer(text.encode("utf-16-le", "replace"), np.uint16)
        counts = np.unique(points, return_counts=True)[1] / max(1, len(points))
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        return (
            np.bincount(classes[points], minlength=8),
            sum(line[-1] in "。！？!?…" for line in lines),
            len(lines) - len(set(lines)),
            -(counts * np.log2(counts)).sum(),
        )

    return of_document


def _repetition(text: str) -> list[float]:
    """Gopher's shares on characters: of the most common n-gram, and of repeated ones."""
    text = "".join(text.split())
    shares = []
    for length in (2, 3, 4):
        counts = Counter(text[start : start + length] for start in range(len(text) - length + 1))
        shares.append(max(counts.values()) * length / len(text) if counts else 0.0)
    for length in (5, 6, 7, 8, 9, 10, 13):
        seen: set[str] = set()
        repeated = np.zeros(len(text), bool)
        for start in range(len(text) - length + 1):
            gram = text[start : start + length]
            if gram in seen:
                repeated[start : start + length] = True
            seen.add(gram)
        shares.append(repeated.mean() if len(text) else 0.0)
    return shares


def _ahocorasick(words: Sequence[str]) -> OfDocument:
    import ahocorasick_rs

    kind = ahocorasick_rs.Implementation.DFA
    return ahocorasick_rs.AhoCorasick(list(words), implementation=kind).find_matches_as_indexes


def _shingles(text: str) -> list[str]:
    text = _LETTERS.sub("", text)
    return [text[start : start + 5] for start in range(len(text) - 4)]


def _datasketch() -> OfDocument:
    import datasketch

    def of_document(text: str) -> list[bytes]:
        made = datasketch.MinHash(128)
        made.update_batch([shingle.encode() for shingle in _shingles(text)] or [b""])
        values = made.hashvalues.reshape(-1, _BAND)
        return [hashlib.blake2b(band.tobytes(), digest_size=8).digest() for band in values]

    return of_document


def _rensa() -> OfDocument:
    import rensa

    def of_document(text: str) -> list[int]:
        made = rensa.RMinHash(128, 1)
        made.update(_shingles(text))
        digest = made.digest()
        return [hash(tuple(digest[start : start + _BAND])) for start in range(0, 128, _BAND)]

    return of_document


def _hashlib(text: str) -> list[bytes]:
    parts = [text, *text.split("\n")]
    return [hashlib.blake2b(part.encode(), digest_size=16).digest() for part in parts]


def _xxhash() -> OfDocument:
    import xxhash

    def of_document(text: str) -> list[object]:
        lines = [xxhash.xxh3_64_intdigest(line.encode()) for line in text.split("\n")]
        return [xxhash.xxh3_128_digest(text.encode()), *lines]

    return of_document


def _jieba() -> Callable[[str], list[str]]:
    import jieba

    jieba.setLogLevel(60)
    jieba.initialize()
    return jieba.lcut


def _rjieba() -> Callable[[str], list[str]]:
    import rjieba

    segmenter = rjieba.Jieba()
    return lambda text: segmenter.cut(text, True)


_models: dict[str, Any] = {}


def train_word_model(documents: Documents) -> None:
    """Trains what the fastText steps predict with: 100 dimensions, word pairs, as is usual."""
    import fasttext

    segment = _jieba()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.txt"
        lines = [
            f"__label__{number % 2} " + " ".join(word for word in segment(text) if word.strip())
            for number, text in enumerate(documents.strings)
        ]
        path.write_text("\n".join(lines), encoding="utf-8")
        _models["words"] = fasttext.train_supervised(
            str(path), dim=100, wordNgrams=2, bucket=10**6, epoch=1, thread=12, verbose=0
        )


def _fasttext(segment: Callable[[str], list[str]]) -> OfDocument:
    model = _models["words"]
    return lambda text: model.predict([" ".join(word for word in segment(text) if word.strip())])
