"""Files appear whole or not at all, and are told apart by their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangu_settings import UserError
from pipeline import storage


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    storage.write_text(str(path), "old")

    def fail() -> None:
        with storage.write_atomically(str(path)) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_facts_of_a_written_file_are_those_of_its_bytes(tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "file.json")
    written = storage.write_json(path, {"b": 1, "a": "汉"}, "file.json")
    assert written == storage.facts_of(path, "file.json")
    assert storage.read_json(path) == {"a": "汉", "b": 1}


def test_damaged_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("{")
    with pytest.raises(UserError, match=r"file\.json: not valid JSON"):
        storage.read_json(str(path))
    assert storage.read_json_or_none(str(path)) is None


def test_copy_shares_bytes_and_replaces(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_text("one")
    storage.copy(str(source), str(target))
    assert target.stat().st_ino == source.stat().st_ino
    storage.write_text(str(source), "two")
    assert target.read_text() == "one"
    storage.copy(str(source), str(target))
    assert target.read_text() == "two"


def test_fingerprint_follows_content_and_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    known: dict[str, str] = {}
    first = storage.fingerprint(str(path), known)
    assert storage.fingerprint(str(path), dict.fromkeys(known, "remembered")) == "remembered"
    path.write_text("other")
    assert storage.fingerprint(str(path), known) != first


def test_killed_writers_are_cleaned_up_after_and_not_listed(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    left = tmp_path / "stage" / ".corpus.parquet.0123.part"
    left.write_text("half")
    assert storage.list_files(str(tmp_path / "stage")) == []
    storage.delete_partial_files(str(tmp_path))
    assert not left.exists()


def test_glob_finds_files_only_and_keeps_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text("")
    (tmp_path / "d.txt").mkdir()
    assert storage.glob(f"{tmp_path}/*.txt") == [f"{tmp_path}/a.txt", f"{tmp_path}/b.txt"]
    assert storage.glob(f"{tmp_path}/none") == []


def test_a_pattern_finds_files_through_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "crawl.warc").write_bytes(b"WARC/1.1")
    (tmp_path / "link.warc").symlink_to(tmp_path / "crawl.warc")
    (tmp_path / "broken.warc").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.warc").mkdir()
    found = storage.glob(f"{tmp_path}/*.warc")
    assert found == [str(tmp_path / "crawl.warc"), str(tmp_path / "link.warc")]
