from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pangu_settings import UserError
from tokenizer.text_files import read_texts

TEXTS = ["今天下雨。\n明天晴。", "第二篇"]


def test_every_kind_of_file_gives_its_documents(tmp_path: Path) -> None:
    plain = "\n" + "\n \n\n".join(TEXTS) + "\n"
    lines = "".join(json.dumps({"url": "x", "text": text}) + "\n\n" for text in TEXTS)
    (tmp_path / "a.txt").write_text(plain)
    (tmp_path / "a.b.txt.gz").write_bytes(gzip.compress(plain.encode()))
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({"id": [1, 2, 3], "text": [*TEXTS, None]}), tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert list(read_texts([path])) == TEXTS, path
    assert list(read_texts([tmp_path / "a.txt", str(tmp_path / "a.jsonl")])) == TEXTS * 2


def damaged_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress("今天".encode() * 100)[:-12])


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        ("absent.txt", lambda path: None, "no such file"),
        ("a.docx", Path.touch, "unknown kind of file; give .txt"),
        ("a.txt", lambda path: path.write_bytes("今天".encode("gb18030")), "as UTF-8 text"),
        ("a.txt.gz", damaged_gzip, "cannot be read"),
        ("a.jsonl", lambda path: path.write_text('{"text": "好"}\n{'), ":2: not valid JSON"),
        ("a.jsonl", lambda path: path.write_text('{"content": "好"}'), ":1: .* string 'text'"),
        ("a.jsonl", lambda path: path.write_text("[]"), ":1: expected an object"),
        ("a.parquet", lambda path: path.write_text("PAR1"), "cannot be read as Parquet"),
        (
            "a.parquet",
            lambda path: pq.write_table(pa.table({"body": ["好"], "id": [1]}), path),
            "has no column 'text'; its columns: body, id",
        ),
        (
            "a.parquet",
            lambda path: pq.write_table(pa.table({"text": [1]}), path),
            "the column 'text' holds int64",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, make, problem: str) -> None:
    make(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}.*{problem}"):
        list(read_texts([tmp_path / name]))
