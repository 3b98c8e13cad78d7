"""Evaluation sets are read as items, whatever form their files have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.decontamination_settings import EvaluationSet
from pangu_settings import UserError
from pipeline.decontamination.evaluation_sets import Item, read_set

CONTEXT = "苔藓依靠孢子繁殖。孢子落在合适的地方，先长成丝状的原丝体，再从上面长出新的植株。" * 3


def read(folder: Path, **settings: Any) -> list[Item]:
    given = EvaluationSet.model_validate({"paths": ["set*"], **settings})
    return read_set(str(folder), "moss", given)


def write(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    (folder / name).write_text(text, encoding="utf-8")


def test_a_line_of_jsonl_is_an_item(tmp_path: Path) -> None:
    write(tmp_path, "set.jsonl", '{"q": "甲", "choices": ["乙", "丙"]}\n\n{"q": "丁", "id": 3}\n')
    assert read(tmp_path) == [
        Item("set.jsonl: line 1", ("甲", "乙", "丙")),
        Item("set.jsonl: line 3", ("丁",)),
    ]


def test_json_lines_in_a_file_called_json(tmp_path: Path) -> None:
    # A line separator within a string ends no line.
    write(tmp_path, "set.json", '{"q": "甲\u2028乙"}\n{"q": "丙"}')
    assert [item.texts for item in read(tmp_path)] == [("甲\u2028乙",), ("丙",)]


def test_gzip(tmp_path: Path) -> None:
    (tmp_path / "set.json.gz").write_bytes(gzip.compress('[{"q": "甲"}]'.encode()))
    assert read(tmp_path) == [Item("set.json.gz: 0", ("甲",))]


def test_squad_has_an_item_for_each_paragraph(tmp_path: Path) -> None:
    question = {"question": "苔藓怎样繁殖？", "answers": [{"text": "孢子", "answer_start": 4}]}
    paragraphs = [{"context": CONTEXT + str(n), "qas": [question] * 3} for n in range(2)]
    content = {"version": "1.3", "data": [{"title": "苔藓", "paragraphs": paragraphs}] * 2}
    write(tmp_path, "set.json", content)
    items = read(tmp_path)
    assert [item.place for item in items] == [
        f"set.json: data.{article}.paragraphs.{n}" for article in (0, 1) for n in (0, 1)
    ]
    # What stands above the paragraphs belongs to the first of them.
    assert items[0].texts == ("1.3", "苔藓", CONTEXT + "0", "苔藓怎样繁殖？", "孢子")
    assert items[1].texts == (CONTEXT + "1", "苔藓怎样繁殖？", "孢子")


def test_records_may_be_lists(tmp_path: Path) -> None:
    # As in C3: a passage, its questions, a name.
    write(tmp_path, "set.json", [[[CONTEXT], [{"question": "问", "choice": ["甲"]}], "m-1"]] * 2)
    items = read(tmp_path)
    assert [item.texts for item in items] == [(CONTEXT, "问", "甲", "m-1")] * 2


def test_a_long_description_does_not_make_one_item_of_a_file(tmp_path: Path) -> None:
    examples = [{"input": CONTEXT + str(n), "target": "乙"} for n in range(9)]
    write(tmp_path, "set.json", {"description": CONTEXT[:60], "examples": examples})
    assert len(read(tmp_path)) == 9


def test_chosen_fields(tmp_path: Path) -> None:
    write(tmp_path, "set.jsonl", {"passage": "文", "qas": [{"question": "问", "id": "7"}]})
    assert read(tmp_path, fields=["question"])[0].texts == ("问",)
    with pytest.raises(UserError, match=r"no item has a text under 'questions'.*'question'"):
        read(tmp_path, fields=["passage", "questions"])


def test_a_row_of_parquet_is_an_item(tmp_path: Path) -> None:
    table = pa.table({"q": ["甲", None], "a": [["乙"], ["丙"]], "n": [1, 2]})
    pq.write_table(table, tmp_path / "set.parquet")
    assert read(tmp_path) == [
        Item("set.parquet: row 0", ("甲", "乙")),
        Item("set.parquet: row 1", ("丙",)),
    ]


def test_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    write(tmp_path, "set.txt", "\n床前明月光\n疑是地上霜\n\n举头望明月\n")
    assert read(tmp_path) == [
        Item("set.txt: line 2", ("床前明月光\n疑是地上霜",)),
        Item("set.txt: line 5", ("举头望明月",)),
    ]


def test_text_without_blank_lines_is_cut_at_lines(tmp_path: Path) -> None:
    lines = [f"1 ||| {CONTEXT}", "2 ||| 苔藓 怎样 繁殖 ？"]
    (tmp_path / "set.doc_query").write_bytes("\n".join(lines).encode("gb18030"))
    assert [item.texts for item in read(tmp_path)] == [(line,) for line in lines]


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, "set.jsonl", '{"q": "\\ud83d"}')
    (item,) = read(tmp_path)
    item.texts[0].encode("utf-8")


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("set-b.jsonl", "set-a.jsonl"):
        write(tmp_path, name, {"q": name})
    assert [item.place for item in read(tmp_path)] == ["set-a.jsonl: line 1", "set-b.jsonl: line 1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.jsonl", "{", "line 1 is not JSON"),
        ("set.json", "train: 3\ndev: 4", "line 1 is not JSON.*name the file's `format`"),
        ("set.json", "[]", "holds no item"),
        ("set.txt", "\n \n", "holds no item"),
        ("set.parquet", "PAR1", "cannot be read as Parquet"),
        ("set.json.gz", "\x1f", "not JSON"),
        ("set.json", "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("set.jsonl", '{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    write(tmp_path, name, content)
    with pytest.raises(
        UserError, match=rf"(?s)decontaminate\.sets\.moss: {name}.*{message}|{message}"
    ):
        read(tmp_path)


def test_damaged_gzip_is_said(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl.gz").write_bytes(gzip.compress(b'{"q": "a"}' * 99)[:-12])
    with pytest.raises(UserError, match="damaged gzip"):
        read(tmp_path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"decontaminate\.sets\.moss\.paths\.0: 'set\*' names no"):
        read(tmp_path)
