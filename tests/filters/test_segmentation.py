"""Kernel and reference find jieba's own words."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path
from typing import Any

import jieba
import pytest

from filters.kernels.segmentation import reference_words
from filters.kernels.text_batch import TextBatch
from filters.segmentation import jieba_dictionary, segment_words, segmenter

SHARED = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "text"
TEXTS = [
    "",
    "我们中出了一个叛徒",
    "南京市长江大桥，研究生命的起源；乒乓球拍卖完了。",
    "在A座3.5%的人\r\n使用  Python3 和C++，a_b __label__x </s>",
    "\u3000\u3000杭研大厦 𠮷野家😀 臺灣 ①２３ ﬁ \x00\x85",
    "的" * 500,
    "......------=====" * 20,
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """jieba without the cache that it would leave in the machine's temporary folder."""
    own = jieba.Tokenizer()
    own.FREQ, own.total = own.gen_pfdict(own.get_dict_file())
    own.initialized = True
    return own


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_jiebas(tokenizer: Any, text: str) -> None:
    assert segment_words(text) == tokenizer.lcut(text, HMM=False)
    assert reference_words(text, jieba_dictionary()) == segment_words(text)


def test_the_dictionary_is_jiebas(tokenizer: Any) -> None:
    words = {word: count for word, count in tokenizer.FREQ.items() if count}
    assert jieba_dictionary().frequencies == words


@pytest.mark.parametrize("text", TEXTS)
def test_words_together_are_the_text(text: str) -> None:
    assert "".join(segment_words(text)) == text


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="PANGU_SHARED_DATA does not name the collection")
def test_words_of_real_text_are_jiebas(tokenizer: Any) -> None:
    texts = []
    for name in ("news", "poetry", "lowquality_labelled", "classical", "ebook_modern_pd"):
        with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in itertools.islice(lines, 0, 3000, 15):
                texts.append(json.loads(line)["text"][:3000])
    words, firsts = segmenter().words(TextBatch.from_strings(texts))
    found = words.to_strings()
    different = [
        text[:50]
        for text, first, after in zip(texts, firsts[:-1], firsts[1:], strict=True)
        if found[first:after] != tokenizer.lcut(text, HMM=False)
    ]
    assert different == []
