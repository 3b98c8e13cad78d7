"""Chinese text that these tests compose themselves, and vocabularies trained on it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tokenizer import Tokenizer, VocabularySettings, train_vocabulary

WHO = ("王老师", "我们", "村里的孩子", "那位工程师", "刚毕业的姐姐", "邻居老李", "图书馆的馆员")
WHEN = ("今天早上", "去年冬天", "下课以后", "每到周末", "2021年3月5日", "天快黑的时候")
WHERE = ("在公园里", "沿着长江", "在北京的胡同", "从山顶", "在 GitHub 上", "在新开的书店")
WHAT = (
    "读完了一本关于历史的书。",
    "看见一只白色的猫，非常高兴！",
    "讨论怎样训练语言模型；\n没有人想先回家。",
    "问：“明天会下雨吗？”",
    "种下三棵桃树（两棵已经开花）。",
    "修好了坏掉的自行车…",
)


@pytest.fixture(scope="session")
def chinese_texts() -> list[str]:
    """Some 250 short documents, 30 KB."""
    sentences = ["".join(words) for words in itertools.product(WHEN, WHO, WHERE, WHAT)]
    return ["".join(sentences[start::252]) for start in range(252)]


@pytest.fixture(scope="session")
def vocabulary(chinese_texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small vocabulary of default settings."""
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(chinese_texts, VocabularySettings(vocabulary_size=500), folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(vocabulary: Path) -> Tokenizer:
    return Tokenizer(vocabulary)


@pytest.fixture(scope="session")
def words_tokenizer(
    chinese_texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Tokenizer:
    """A vocabulary of the released kind: jieba words, unigram, NFKC, no bytes."""
    folder = tmp_path_factory.mktemp("words")
    settings = VocabularySettings(
        vocabulary_size=160,
        algorithm="unigram",
        segmenter="jieba",
        normalization="nmt_nfkc",
        byte_fallback=False,
    )
    train_vocabulary(chinese_texts, settings, folder)
    return Tokenizer(folder)
