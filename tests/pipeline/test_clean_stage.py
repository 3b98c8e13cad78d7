"""The clean stage keeps every document and says what it took out of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.clean import REMOVAL_REASONS, Cleaner, CleanSettings
from filters.personal_data import PersonalDataSettings
from pipeline.documents import EXTRACTED
from pipeline.parts import Part, PartOutput
from pipeline.stages.clean import CLEANED, CleanPart

PROSE = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候，还带来了孙子。"
TEXTS = [
    f"首页 > 新闻 > 正文\n{PROSE}\n★★★\n{PROSE}\n上一篇：老桥",
    "",
    "護城河邊的夜鷺，Ａ口。",
    "  桥\u200b面  ",
]
SETTINGS = CleanSettings()


def clean(folder: Path, row_group: int, source: str = "web") -> tuple[pa.Table, PartOutput]:
    """What the stage writes for TEXTS, read in groups of so many rows."""
    rows: list[dict[str, Any]] = []
    for number, text in enumerate(TEXTS):
        row: dict[str, Any] = {f.name: 0 if pa.types.is_integer(f.type) else "" for f in EXTRACTED}
        rows.append(row | {"id": str(number), "text": text, "captured_at": None})
    (folder / "extract" / "documents").mkdir(parents=True)
    path = folder / "extract" / "documents" / "part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, EXTRACTED), path, row_group_size=row_group)
    out = folder / "clean"
    part = Part("part", source, "a.warc", "a.warc", 0)
    settings = (SETTINGS, PersonalDataSettings(), frozenset(["books"]))
    transform = CleanPart(str(folder / "extract"), *settings)
    transform.setup()
    with PartOutput(str(out), "parts", part) as output:
        transform.process(part, output)
    return pq.read_table(out / "documents" / "part.parquet"), output


def test_rows_are_what_the_cleaner_makes_of_each_document(tmp_path: Path) -> None:
    table, output = clean(tmp_path, row_group=9)
    assert table.column_names == CLEANED.names
    cleaner = Cleaner(SETTINGS)
    for row, text in zip(table.to_pylist(), TEXTS, strict=True):
        expected = cleaner.clean(text)
        assert row["text"] == expected.text
        assert {r: row[f"removed_{r}"] for r in REMOVAL_REASONS} == expected.removed
        assert (row["traditional"], row["hanzi"]) == (expected.traditional, expected.hanzi)
    assert table.column("id").to_pylist() == [str(number) for number in range(len(TEXTS))]
    removed = output.facts["removed_lines"]
    assert {reason: lines for reason, lines in removed["counts"].items() if lines} == {
        "symbols": 1,
        "navigation_path": 1,
        "navigation_pager": 1,
        "duplicate_paragraph": 1,
    }
    assert [line for _, line in removed["samples"]["navigation_pager"]] == ["上一篇：老桥"]


def test_books_close_in_characters_and_bytes(tmp_path: Path) -> None:
    table, output = clean(tmp_path, row_group=9)
    after = table.column("text").to_pylist()
    books = output.books
    assert (books.came_in.documents, books.kept.documents) == (len(TEXTS), len(TEXTS))
    assert books.came_in.characters == sum(map(len, TEXTS))
    assert books.came_in.bytes == sum(len(text.encode()) for text in TEXTS)
    assert books.kept.characters == sum(map(len, after))
    assert books.kept.bytes == sum(len(text.encode()) for text in after)


@pytest.mark.parametrize("row_group", [1, 3])
def test_batches_change_nothing(tmp_path: Path, row_group: int) -> None:
    whole, whole_output = clean(tmp_path / "whole", row_group=9)
    table, output = clean(tmp_path / "cut", row_group)
    assert table.equals(whole)
    assert output.facts == whole_output.facts


def test_a_source_left_alone_is_counted_only(tmp_path: Path) -> None:
    table, output = clean(tmp_path, row_group=9, source="books")
    assert table.column("text").to_pylist() == TEXTS
    assert table.column("traditional").to_pylist() == [0, 0, 3, 0]
    assert table.column("hanzi").to_pylist()[2:] == [8, 2]
    assert not any(output.facts["removed_lines"]["counts"].values())
