from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pangu_settings import UserError
from tokenizer import Tokenizer, VocabularySettings, train_vocabulary

TRAIN_IN_ANOTHER_PROCESS = """
import json, os, sys
from tokenizer import VocabularySettings, train_vocabulary
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
train_vocabulary(json.load(sys.stdin), VocabularySettings(**json.loads(sys.argv[1])), "here")
"""


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_same_texts_give_same_bytes_in_any_folder_on_any_number_of_cores(
    chinese_texts: list[str], tmp_path: Path, algorithm: str
) -> None:
    settings = VocabularySettings(vocabulary_size=450, algorithm=algorithm)
    train_vocabulary(chinese_texts, settings, tmp_path / "there")
    subprocess.run(
        [sys.executable, "-c", TRAIN_IN_ANOTHER_PROCESS, settings.model_dump_json()],
        input=json.dumps(chinese_texts).encode(),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        check=True,
    )
    for name in ("tokenizer.model", "tokenizer.vocab", "facts.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_facts_say_what_was_made(chinese_texts: list[str], tmp_path: Path) -> None:
    trained = train_vocabulary(chinese_texts, VocabularySettings(vocabulary_size=500), tmp_path)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts == trained.facts.model_dump()
    assert facts["vocabulary_size"] == 500 == sum(facts["pieces"].values())
    assert facts["pieces"]["special"] == 10
    assert facts["pieces"]["byte"] == 256
    assert facts["pieces"]["chinese_word"] > 50
    assert facts["sample"]["documents"] == len(chinese_texts)
    assert facts["sample"]["bytes"] == sum(len(text.encode()) for text in chinese_texts)
    assert facts["characters_per_token"] > 1.5
    assert facts["unknown_share"] == 0
    assert facts["settings"]["algorithm"] == "bpe"
    for name, file in trained.files.items():
        content = (tmp_path / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    assert facts["sha256"] == trained.files["tokenizer.model"].sha256
    lines = (tmp_path / "tokenizer.vocab").read_text().split("\n")
    assert lines[3] == "▃\t0"
    assert len(lines) == 501


@pytest.mark.parametrize("segmenter", ["none", "jieba"])
@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_too_little_text_names_the_size_that_it_can_carry(
    chinese_texts: list[str], tmp_path: Path, algorithm: str, segmenter: str
) -> None:
    asked = VocabularySettings(algorithm=algorithm, segmenter=segmenter)
    with pytest.raises(UserError) as refused:
        train_vocabulary(chinese_texts, asked, tmp_path)
    assert not list(tmp_path.iterdir())
    found = re.fullmatch(
        r"vocabulary_size: the sample of [\d,]+ bytes is too small for 40,000 pieces; set "
        r"vocabulary_size to ([\d,]+) or less, or give more text \(more documents, or a larger "
        r"sample_bytes\)",
        str(refused.value),
    )
    assert found
    largest = int(found[1].replace(",", ""))
    settings = asked.model_copy(update={"vocabulary_size": largest})
    assert train_vocabulary(chinese_texts, settings, tmp_path).facts.vocabulary_size == largest
    larger = asked.model_copy(update={"vocabulary_size": largest + 100})
    with pytest.raises(UserError, match=f"too small for {largest + 100:,} pieces"):
        train_vocabulary(chinese_texts, larger, tmp_path)


def test_a_size_below_the_characters_is_named(chinese_texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"300 pieces do not hold .* which take (\d+);"):
        train_vocabulary(chinese_texts, VocabularySettings(vocabulary_size=300), tmp_path)


@pytest.mark.parametrize("texts", [[], ["", "\n\n"]])
def test_no_text_is_named(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no text"):
        train_vocabulary(texts, VocabularySettings(), tmp_path)


@pytest.mark.parametrize("segmenter", ["none", "jieba"])
@pytest.mark.parametrize(
    "around",
    [
        "春▅{}",
        "夏▁{}",
        "秋\t{}",
        "冬{}" + "长句没有标点" * 2_000,
        "长" * 9_000 + "{}",
        "a" * 9_000 + " {}",
    ],
)
def test_no_text_is_silently_left_out(tmp_path: Path, around: str, segmenter: str) -> None:
    texts = [around.format("魑魅魍魉")] * 3
    settings = VocabularySettings(
        vocabulary_size=400,
        character_coverage=1.0,
        segmenter=segmenter,
        algorithm="unigram",
    )
    try:
        train_vocabulary(texts, settings, tmp_path)
    except UserError as error:
        largest = re.search(r"set vocabulary_size to (\d+)", str(error))
        assert largest
        smaller = settings.model_copy(update={"vocabulary_size": int(largest[1])})
        train_vocabulary(texts, smaller, tmp_path)
    loaded = Tokenizer(tmp_path)
    assert not any("<0x" in piece for piece in loaded.pieces(loaded.encode("魑魅魍魉")))


def test_an_error_in_the_texts_comes_through(tmp_path: Path) -> None:
    def texts():
        yield "今天"
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        train_vocabulary(texts(), VocabularySettings(), tmp_path)
