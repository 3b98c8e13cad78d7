"""A small folder of shards, a vocabulary for it, and settings that train on it in seconds."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from worlds import Worlds

from tokenizer import TokenizerFacts, write_index, write_shards
from training import TrainingSettings, load_settings

SPECIAL_PIECES = ["▃", "▂", "<sep>", "<pad>", "<mask>", "<eod>", "<eot>"]
SEPARATOR, PAD = 9, 6
POEMS = [
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。",
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Models this small are slower on several threads, and tests may run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def worlds() -> Iterator[Worlds]:
    """Processes to try layouts in: `worlds.of(4).run(function, …)`."""
    worlds = Worlds()
    yield worlds
    worlds.close()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN/tokenizer.model, RUN/shards of two sources, RUN/pretrain.yaml of a tiny model."""
    folder = tmp_path_factory.mktemp("run")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(POEMS * 4),
        model_writer=model,
        vocab_size=110,
        model_type="bpe",
        user_defined_symbols=SPECIAL_PIECES,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    facts = TokenizerFacts(
        sha256=hashlib.sha256(model.getvalue()).hexdigest(),
        vocabulary_size=pieces.get_piece_size(),
        separator=SEPARATOR,
        pad=PAD,
    )
    documents = [np.array(pieces.encode(poem), dtype=np.int32) for poem in POEMS]
    sources = {"books": documents[:3] * 20, "news": documents[3:] * 10}
    # Shards of 100 ids: samples cross from one into the next.
    shards = {
        name: write_shards(folder / "shards", name, texts, facts, max_tokens=100)
        for name, texts in sources.items()
    }
    write_index(folder / "shards", facts, shards, {"books": 0.7, "news": 0.3})
    (folder / "pretrain.yaml").write_text(
        f"""
model: {{layers: 3, hidden: 16, heads: 2, sequence_length: 32,
        vocabulary: {facts.vocabulary_size}}}
data: {{shards: shards, tokenizer: tokenizer.model}}
optimisation: {{steps: 6, batch: 4, learning_rate: 0.01, warmup_steps: 2, decay_steps: 6}}
""",
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def tiny_settings(run_folder: Path, tmp_path: Path) -> TrainingSettings:
    """Settings of the tiny model, with checkpoints in a folder of the test's own."""
    return load_settings(
        run_folder / "pretrain.yaml", [f"checkpoint.directory={tmp_path / 'checkpoints'}"]
    )
