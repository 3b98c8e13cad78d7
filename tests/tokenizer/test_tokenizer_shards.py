from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangu_settings import UserError
from tokenizer import ShardFacts, ShardSet, ShardWriter, TokenizerFacts, write_index, write_shards

FACTS = TokenizerFacts(sha256="5" * 64, vocabulary_size=40_000, separator=9, pad=6)
LARGE = FACTS.model_copy(update={"vocabulary_size": 128_000})


def rows(*documents: list[int]) -> list[np.ndarray]:
    return [np.array(document, np.int32) for document in documents]


def write_two_sources(folder: Path) -> None:
    """Three shards: two of news, one of books."""
    news = write_shards(folder, "news", rows([10, 11], [], [12, 13, 14], [15]), FACTS, 6)
    books = write_shards(folder, "图书", rows([39_999] * 5), FACTS)
    write_index(folder, FACTS, {"news": news, "books": books}, {"news": 3, "books": 0.5})


def read_documents(shards: ShardSet) -> list[list[int]]:
    found = []
    for shard in shards.shards:
        pieces = np.split(shard.tokens, shard.document_ends[:-1])
        found.extend(piece.tolist() for piece in pieces)
    return found


@settings(deadline=None, max_examples=30)  # each example waits for the disk
@given(
    documents=st.lists(st.lists(st.integers(10, 39_999), max_size=9), min_size=1, max_size=12),
    max_tokens=st.integers(1, 40),
    facts=st.sampled_from([FACTS, LARGE]),
)
def test_what_is_written_is_read(
    documents: list[list[int]], max_tokens: int, facts: TokenizerFacts
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write_shards(folder, "part", rows(*documents), facts, max_tokens)
        write_index(folder, facts, {"crawl": written}, {"crawl": 1.0})
        shards = ShardSet.open(folder, verify=True)
        assert read_documents(shards) == [[*document, 9] for document in documents]
        assert shards.documents == len(documents)
        assert shards.tokens == sum(len(document) + 1 for document in documents)
        for shard in shards.shards:
            assert shard.facts.tokens <= max_tokens or shard.facts.documents == 1
            assert shard.document_ends.dtype == np.int64
            assert shard.tokens.dtype == (np.uint16 if facts is FACTS else np.int32)
            assert not shard.tokens.flags.writeable


def test_the_set_tells_what_a_trainer_needs(tmp_path: Path) -> None:
    write_two_sources(tmp_path)
    shards = ShardSet.open(tmp_path)
    assert [(shard.name, shard.source) for shard in shards.shards] == [
        ("图书-00000", "books"),
        ("news-00000", "news"),
        ("news-00001", "news"),
    ]
    assert shards.sources == {"books": 0.5, "news": 3.0}
    assert (shards.vocabulary_size, shards.separator, shards.pad) == (40_000, 9, 6)
    assert shards.tokenizer_sha256 == FACTS.sha256
    assert shards.shards[1].tokens.tolist() == [10, 11, 9, 9]
    assert shards.shards[1].document_ends.tolist() == [3, 4]


def test_the_files_are_megatron_version_1(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "part", FACTS) as writer:
        for document in rows([258, 259], [260]):
            writer.add(document)
        writer.finish()
    assert (tmp_path / "part.bin").read_bytes() == struct.pack("<5H", 258, 259, 9, 260, 9)
    expected = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, 2, 3)
    expected += struct.pack("<2i", 3, 2) + struct.pack("<2q", 0, 6) + struct.pack("<3q", 0, 1, 2)
    assert (tmp_path / "part.idx").read_bytes() == expected


def test_index_json_is_the_documented_bytes(tmp_path: Path) -> None:
    written = write_shards(tmp_path, "part", rows([10]), FACTS)
    write_index(tmp_path, FACTS, {"crawl": written, "空": []}, {"crawl": 1, "空": 0.25})
    files = {
        ending: {
            "bytes": (tmp_path / f"part-00000.{ending}").stat().st_size,
            "sha256": hashlib.sha256((tmp_path / f"part-00000.{ending}").read_bytes()).hexdigest(),
        }
        for ending in ("bin", "idx")
    }
    expected = {
        "format": "pangu-shards",
        "version": 1,
        "dtype": "uint16",
        "tokenizer": {"sha256": "5" * 64, "vocabulary_size": 40_000, "separator": 9, "pad": 6},
        "documents": 1,
        "tokens": 2,
        "sources": {
            "crawl": {"weight": 1.0, "documents": 1, "tokens": 2},
            "空": {"weight": 0.25, "documents": 0, "tokens": 0},
        },
        "shards": [{"name": "part-00000", "source": "crawl", "documents": 1, "tokens": 2, **files}],
    }
    text = json.dumps(expected, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    assert (tmp_path / "index.json").read_text() == text


@pytest.mark.parametrize(("size", "dtype"), [(65_535, "uint16"), (65_536, "int32")])
def test_the_id_type_holds_the_last_id(tmp_path: Path, size: int, dtype: str) -> None:
    facts = FACTS.model_copy(update={"vocabulary_size": size})
    written = write_shards(tmp_path, "part", rows([size - 1]), facts)
    assert write_index(tmp_path, facts, {"a": written}, {"a": 1}).dtype == dtype
    assert ShardSet.open(tmp_path).shards[0].tokens[0] == size - 1


@pytest.mark.parametrize("number", [-1, 40_000, 65_536 + 10])
def test_an_id_outside_the_vocabulary_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(ValueError, match=f"document 1 holds the id {number}, outside"):
        write_shards(tmp_path, "part", rows([10], [11, number]), FACTS)
    assert not list(tmp_path.iterdir())


def test_documents_are_rows_of_integers(tmp_path: Path) -> None:
    for wrong in (np.zeros((2, 2), np.int32), np.array([1.5])):
        with pytest.raises(ValueError, match="a document is a row of integers"):
            write_shards(tmp_path, "part", [wrong], FACTS)


def test_a_shard_needs_a_document(tmp_path: Path) -> None:
    assert write_shards(tmp_path, "part", [], FACTS) == []
    with ShardWriter(tmp_path / "part", FACTS) as writer, pytest.raises(ValueError, match="needs"):
        writer.finish()
    assert not list(tmp_path.iterdir())


def test_an_index_names_each_shard_and_source_once(tmp_path: Path) -> None:
    written = write_shards(tmp_path, "part", rows([10]), FACTS)
    with pytest.raises(ValueError, match="two shards have one name"):
        write_index(tmp_path, FACTS, {"a": written, "b": written}, {"a": 1, "b": 1})
    with pytest.raises(ValueError, match="weights"):
        write_index(tmp_path, FACTS, {"a": written}, {"b": 1})


def test_shards_go_to_any_filesystem(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    facts: dict[str, list[ShardFacts]] = {}
    for place in (str(tmp_path), "memory://bucket/shards"):
        facts[place] = write_shards(place, "part", rows([10], [11]), FACTS, 2)
        write_index(place, FACTS, {"a": facts[place]}, {"a": 1})
    assert facts[str(tmp_path)] == facts["memory://bucket/shards"]
    for path in tmp_path.iterdir():
        assert memory.cat_file(f"/bucket/shards/{path.name}") == path.read_bytes()


WRITE_AND_DIE = """
import os, signal, sys
import numpy as np
from tokenizer import TokenizerFacts, write_shards
facts = TokenizerFacts(sha256="5" * 64, vocabulary_size=40_000, separator=9, pad=6)
def documents():
    for number in range(100_000):
        if number == 90_000:
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.full(100, 10)
write_shards(sys.argv[1], "part", documents(), facts, 5_000_000)
"""


def test_a_killed_writer_leaves_only_whole_shards(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    died = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path)], env=environment)
    assert died.returncode == -signal.SIGKILL
    visible = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert visible == ["part-00000.bin", "part-00000.idx"]
    assert (tmp_path / "part-00000.bin").stat().st_size == 2 * 101 * (5_000_000 // 101)
    with pytest.raises(UserError, match=r"index\.json: no such file.*pangu run"):
        ShardSet.open(tmp_path)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def documents():
        yield np.array([10])
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        write_shards(tmp_path, "part", documents(), FACTS)
    assert not list(tmp_path.iterdir())


def test_a_pickled_set_carries_no_tokens(tmp_path: Path) -> None:
    written = write_shards(tmp_path, "part", [np.full(100_000, 10)], FACTS)
    write_index(tmp_path, FACTS, {"a": written}, {"a": 1})
    shards = ShardSet.open(tmp_path)
    assert shards.shards[0].tokens.size == shards.shards[0].document_ends[0] == 100_001
    content = pickle.dumps(shards)
    assert len(content) < 10_000
    assert pickle.loads(content).shards[0].tokens.size == 100_001


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def put(offset: int, content: bytes) -> Callable[[Path], None]:
    """Overwrites bytes of a file and leaves its size."""

    def damage(path: Path) -> None:
        old = path.read_bytes()
        path.write_bytes(old[:offset] + content + old[offset + len(content) :])

    return damage


# news-00000 holds two documents: tables of lengths at byte 34, starts at 42, documents at 58.
@pytest.mark.parametrize(
    ("name", "damage", "problem"),
    [
        ("news-00000.bin", Path.unlink, "cannot be read: No such file"),
        ("news-00000.idx", Path.unlink, "cannot be read: No such file"),
        ("news-00000.bin", cut, r"has 0 bytes, index\.json says 8"),
        ("news-00000.idx", cut, r"has 74 bytes, index\.json says 82"),
        ("news-00000.idx", put(0, b"X"), "does not begin like a Megatron index"),
        ("news-00000.idx", put(9, b"\2"), "has version 2, this program reads 1"),
        ("news-00000.idx", put(17, b"\4"), "has the id type code 4, uint16 is 8"),
        ("news-00000.idx", put(18, b"\3"), r"counts 3 sequences .*index\.json says 2"),
        ("index.json", cut, "cannot be read"),
        ("index.json", lambda path: path.write_text("[]"), "is not a JSON object"),
    ],
)
def test_damage_is_found_when_opening(
    tmp_path: Path, name: str, damage: Callable[[Path], None], problem: str
) -> None:
    write_two_sources(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: {problem}.*; restore the file from a copy"):
        ShardSet.open(tmp_path)


@pytest.mark.parametrize(
    ("offset", "content", "problem"),
    [
        (34, b"\4", "lengths add up to 5 ids, the .bin holds 4"),
        (34, struct.pack("<2i", 4, 0), "holds an empty document"),
        (34, struct.pack("<2i", 1, 3), "starts and lengths do not describe the same ids"),
        (50, b"\4", "starts and lengths do not describe the same ids"),
        (66, b"\2", "documents are not one sequence each"),
    ],
)
def test_tables_are_checked_when_used(
    tmp_path: Path, offset: int, content: bytes, problem: str
) -> None:
    write_two_sources(tmp_path)
    put(offset, content)(tmp_path / "news-00000.idx")
    shard = ShardSet.open(tmp_path).shards[1]
    with pytest.raises(UserError, match=rf"news-00000\.idx: .*{problem}"):
        _ = shard.document_ends


@pytest.mark.parametrize("name", ["news-00000.bin", "news-00001.idx"])
def test_verify_finds_any_changed_byte(tmp_path: Path, name: str) -> None:
    write_two_sources(tmp_path)
    size = (tmp_path / name).stat().st_size
    original = (tmp_path / name).read_bytes()
    for offset in range(34 if name.endswith("idx") else 0, size, 3):
        put(offset, bytes([original[offset] ^ 1]))(tmp_path / name)
        with pytest.raises(UserError, match=f"{name}: was changed"):
            ShardSet.open(tmp_path, verify=True)
        (tmp_path / name).write_bytes(original)
    ShardSet.open(tmp_path, verify=True)


def change_index(folder: Path, change: Callable[[dict], object]) -> None:
    index = json.loads((folder / "index.json").read_text())
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


def test_verify_checks_meaning_not_only_sums(tmp_path: Path) -> None:
    write_two_sources(tmp_path)
    change_index(tmp_path, lambda index: index["tokenizer"].update(separator=8))
    with pytest.raises(UserError, match=r"00000\.bin: not every document ends with the sep.* 8"):
        ShardSet.open(tmp_path).verify()
    write_two_sources(tmp_path)
    change_index(tmp_path, lambda index: index["tokenizer"].update(vocabulary_size=30_000))
    with pytest.raises(UserError, match=r"图书-00000\.bin: holds ids outside .* 30,000"):
        ShardSet.open(tmp_path).verify()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda index: index.update(format="other"), "format: input should be 'pangu-shards'"),
        (lambda index: index.update(version=2), "version: input should be 1"),
        (lambda index: index.update(dtype="int32"), "40,000 pieces are not stored as int32"),
        (lambda index: index.update(documents=6), "counts of documents do not add up"),
        (lambda index: index["sources"]["news"].update(tokens=9), "counts of tokens do not add up"),
        (lambda index: index["sources"].pop("books"), "counts of documents do not add up"),
        (lambda index: index["shards"][0].update(name="../x"), "shards.0.name: string should"),
        (lambda index: index["tokenizer"].update(pad=40_000), "separator or pad lies outside"),
        (lambda index: index["shards"].append(index["shards"][0]), "lists the shard .* 2 times"),
        (lambda index: index.update(shard=[]), "shard: unknown key; did you mean 'shards'"),
    ],
)
def test_an_index_that_contradicts_itself_is_named(
    tmp_path: Path, change: Callable[[dict], object], problem: str
) -> None:
    write_two_sources(tmp_path)
    change_index(tmp_path, change)
    with pytest.raises(UserError, match=rf"index\.json: .*{problem}"):
        ShardSet.open(tmp_path)
