"""`pangu dedup` gives files of documents the survivors of a run, row by row, and loses none."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pangu
from pangu_settings import UserError
from runs import FinishedRun

ADDED = ["cluster", "cluster_size", "survivor", "survivor_id", "merged_by", "similarity"]
Rows = list[dict[str, Any]]


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(pangu.program, ["dedup", *map(str, arguments)])


def call(*arguments: str | Path) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def error(*arguments: str | Path) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, UserError), (result.output, result.exception)
    return str(result.exception)


def read(path: Path) -> Rows:
    if path.suffix == ".parquet":
        rows: Rows = pq.read_table(path).to_pylist()
        return rows
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


def write(path: Path, rows: Rows, row_group: int = 1 << 20) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group)
        return path
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def prose(seed: int, characters: int = 300) -> str:
    points = np.random.default_rng(seed).integers(0x4E00, 0x9000, characters)
    return "".join(map(chr, points))


def edited(text: str, place: int) -> str:
    return text[:place] + "改" + text[place + 1 :]


def collection(size: int = 60) -> Rows:
    """Documents in threes: one alone, one with an edit, one with a copy; some without a quality."""
    rows: Rows = []
    for number in range(size):
        text = prose(number // 5)
        texts = [text, edited(text, 150), text, prose(1000 + number), "短"]
        quality = None if number % 7 == 0 else number % 4 / 4
        rows.append({"id": f"d{number:03d}", "text": texts[number % 5], "quality": quality})
        rows[-1]["tags"] = [str(number)] if number % 3 else None
    return rows


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("documents") / "all.parquet", collection())


def found(rows: Rows) -> Rows:
    """What was added, by id; ids are as long as they are distinct."""
    return [{name: row[name] for name in ["id", *ADDED]} for row in rows]


def test_rows_keep_their_order_and_columns(parquet: Path, tmp_path: Path) -> None:
    output = call(parquet, "-o", tmp_path / "out.parquet")
    rows = read(tmp_path / "out.parquet")
    assert [{name: row[name] for name in row if name not in ADDED} for row in rows] == collection()
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        survivor = by_id[row["survivor_id"]]
        assert row["cluster"] == row["survivor_id"]
        assert row["survivor"] == (row["id"] == row["survivor_id"])
        assert survivor["survivor"]
        assert row["cluster_size"] == survivor["cluster_size"]
        assert (row["merged_by"] is None) == row["survivor"]
        assert (row["similarity"] is None) == row["survivor"]
        if row["merged_by"] == "exact":
            assert row["text"] == survivor["text"]
            assert row["similarity"] == 1
        elif row["merged_by"] == "near":
            assert 0.8 <= row["similarity"] < 1
    # Of the first five, one is another's edit and one its copy; the best by quality stays.
    assert {row["survivor_id"] for row in rows[:3]} == {"d002"}
    assert rows[3]["survivor"]
    # Equal texts are copies, however short.
    assert len({row["survivor_id"] for row in rows[4::5]}) == 1
    counts = Counter(row["merged_by"] for row in rows)
    lines = [line for line in output.splitlines() if line.endswith("%")]
    shown = {line[2:16].strip(): line.split()[-2] for line in lines}
    assert shown["stay"] == str(counts[None])
    assert shown["merged, exact"] == str(counts["exact"])
    assert shown["merged, near"] == str(counts["near"])
    assert "cluster of             12  like d" in output


def test_same_bytes_for_workers_row_groups_and_memory(parquet: Path, tmp_path: Path) -> None:
    # Ids by file and row are then the same.
    for number, row_group in enumerate((60, 7, 1)):
        write(tmp_path / f"{number}.parquet", collection(), row_group)
        more = ["--workers", "2"] if row_group == 7 else ["--memory", "100KB"][: 2 * (number == 2)]
        call(tmp_path / f"{number}.parquet", "-o", tmp_path / f"out{number}.parquet", *more)
    first, *others = ((tmp_path / f"out{number}.parquet").read_bytes() for number in range(3))
    assert all(other == first for other in others)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_lines_give_what_parquet_gives(parquet: Path, tmp_path: Path, suffix: str) -> None:
    lines = write(tmp_path / f"in{suffix}", collection())
    call(parquet, "-o", tmp_path / "a.parquet")
    call(lines, "-o", tmp_path / "b.parquet")
    call(lines, "-o", tmp_path / f"c{suffix}")
    rows = read(tmp_path / "a.parquet")
    assert read(tmp_path / "b.parquet") == rows
    assert read(tmp_path / f"c{suffix}") == rows


def test_files_of_both_formats_are_one_collection(tmp_path: Path) -> None:
    rows = collection()
    first = write(tmp_path / "first.parquet", rows[:20])
    more = [{**row, "extra": 1.5} for row in rows[20:]]
    second = write(tmp_path / "second.jsonl", more)
    whole = write(tmp_path / "whole.parquet", rows)
    call(whole, "-o", tmp_path / "a.jsonl")
    call(first, second, "-o", tmp_path / "b.jsonl")
    call(second, first, "-o", tmp_path / "c.parquet")
    expected = found(read(tmp_path / "a.jsonl"))
    assert found(read(tmp_path / "b.jsonl")) == expected
    assert "extra" not in read(tmp_path / "b.jsonl")[0]
    table = read(tmp_path / "c.parquet")
    assert found([*table[-20:], *table[:-20]]) == expected
    assert [row["extra"] for row in table] == [1.5] * 40 + [None] * 20


def test_survivors_are_those_of_a_run(finished: FinishedRun, tmp_path: Path) -> None:
    def rows(stage: str, table: str) -> Rows:
        files = sorted(finished.path.glob(f"stages/{stage}-*/{table}/*.parquet"))
        return [row for file in files for row in read(file)]

    kept = {row["id"]: row for row in rows("decide", "verdicts") if row["kept"]}
    documents = [
        {name: row[name] for name in ("id", "url", "captured_at", "text")}
        | {"quality": kept[row["id"]]["quality"]}
        for row in rows("clean", "documents")
        if row["id"] in kept
    ]
    call(write(tmp_path / "in.parquet", documents), "-o", tmp_path / "out.parquet")
    ours = {row["id"]: row for row in read(tmp_path / "out.parquet")}
    theirs = {row["id"]: row for row in rows("deduplicate", "verdicts") if row["id"] in kept}
    assert ours.keys() == theirs.keys()
    assert {row["kind"] for row in theirs.values()} >= {"", "exact", "near"}
    for name, row in theirs.items():
        expected = (row["cluster_id"], row["cluster_size"], row["kept"], row["similarity"])
        assert (
            tuple(ours[name][n] for n in ("cluster", "cluster_size", "survivor", "similarity"))
            == expected
        )


def test_only_survivors(parquet: Path, tmp_path: Path) -> None:
    call(parquet, "-o", tmp_path / "all.parquet")
    call(parquet, "--only-survivors", "-o", tmp_path / "some.parquet")
    expected = [row for row in read(tmp_path / "all.parquet") if row["survivor"]]
    assert read(tmp_path / "some.parquet") == expected


def test_rows_without_an_id_are_called_by_file_and_row(tmp_path: Path) -> None:
    rows = [{"text": prose(1)}, {"text": prose(2)}, {"text": prose(1), "id": None}]
    for name in ("in.parquet", "in.jsonl"):
        path = write(tmp_path / name, rows)
        call(path, "-o", tmp_path / f"out-{name}")
        survivors = [row["survivor_id"] for row in read(tmp_path / f"out-{name}")]
        assert survivors == [f"{path}:00000000{number}" for number in (0, 1, 0)]


def test_newest_capture_of_an_address_stays(tmp_path: Path) -> None:
    rows = [
        {"id": "old", "text": prose(1), "page": "http://a.cn/x", "when": "2024-01-01T00:00:00"},
        {"id": "new", "text": prose(2), "page": "https://a.cn/x", "when": "2024-01-02T00:00:00Z"},
        {"id": "undated", "text": prose(3), "page": "http://a.cn/x", "when": "yesterday"},
    ]
    names = ["--url-field", "page", "--captured-field", "when"]
    for name in ("in.parquet", "in.jsonl"):
        call(write(tmp_path / name, rows), "-o", tmp_path / f"out-{name}", *names)
        out = read(tmp_path / f"out-{name}")
        assert [row["survivor_id"] for row in out] == ["new", "new", "undated"]
        assert [row["merged_by"] for row in out] == ["url", None, None]


def test_similarity_and_settings_are_the_recipes(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": prose(1)}, {"id": "b", "text": edited(prose(1), 150)}]
    path = write(tmp_path / "in.parquet", rows)

    def stay(*options: str) -> int:
        call(path, "-o", tmp_path / "out.parquet", *options)
        return sum(row["survivor"] for row in read(tmp_path / "out.parquet"))

    assert stay() == 1
    assert stay("--similarity", "0.99") == 2
    assert stay("--set", "near.enabled=false") == 2
    assert "near.bandz" in error(path, "-o", tmp_path / "x.jsonl", "--set", "near.bandz=1")
    assert "recipe" in error(path, "-o", tmp_path / "x.jsonl", "--set", "index=true")


def test_rows_that_are_no_documents_are_listed(tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    good = json.dumps({"id": "g", "text": prose(1)}, ensure_ascii=False)
    lines.write_text(f'{good}\n{{"text": 5}}\nnonsense\n[1]\n\n{{"id": "n"}}\n', encoding="utf-8")
    texts = pa.array([prose(2).encode(), b"\xff\xfe", None], pa.binary())
    table = pa.table({"text": _as_text(texts)})
    pq.write_table(table, tmp_path / "in.parquet")
    for out in ("out.parquet", "out.jsonl"):
        output = call(lines, tmp_path / "in.parquet", "-o", tmp_path / out)
        assert len(read(tmp_path / out)) == 2
        dead = read(tmp_path / out.replace("out.", "out.dead_letters."))
        places = [(Path(row["file"]).name, row["row"]) for row in dead]
        bad_lines = [("in.jsonl", row) for row in (1, 2, 3, 5)]
        assert places == [*bad_lines, ("in.parquet", 1), ("in.parquet", 2)]
        assert all(row["error"] == "bad_row" and row["detail"] for row in dead)
        assert "left out: 6 rows, the first:" in output
    write(lines, [{"text": prose(1)}])
    call(lines, "-o", tmp_path / "out.parquet")
    assert not (tmp_path / "out.dead_letters.parquet").exists()


def _as_text(column: pa.Array) -> pa.Array:
    """Bytes as text, valid or not, as some writers leave them."""
    return pa.Array.from_buffers(pa.string(), len(column), column.buffers())


def test_odd_values_go_through(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    rows = [
        {"text": "", "id": 7, "quality": "good", "url": 3, "captured_at": 1e400},
        {"text": "\ud83d单", "id": True, "quality": 10**400},
        {"text": "\0" * 100, "id": "x", "captured_at": "0001-01-01T00:00:00+23:00"},
        {"text": "", "id": "y", "cluster": "mine"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = call(path, "-o", tmp_path / "out.jsonl")
    out = read(tmp_path / "out.jsonl")
    assert [row["survivor_id"] for row in out] == ["7", f"{path}:000000001", "x", "y"]
    assert "replaced fields: cluster" in output


def test_lines_on_the_standard_output(parquet: Path) -> None:
    result = invoke(parquet, "-o", "-")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in collection()]
    assert "60 documents" in result.stderr


def test_errors_name_the_thing_and_the_way_out(parquet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    texts = write(tmp_path / "texts.parquet", [{"txt": "甲"}])
    assert "has no column 'text'; did you mean 'txt'" in error(texts, "-o", out)
    assert "has no column 'name'" in error(parquet, "--id-field", "name", "-o", out)
    assert "--quality-field" in error(
        texts, "--text-field", "txt", "--quality-field", "txt", "-o", out
    )
    twice = write(tmp_path / "twice.jsonl", [{"id": "a", "text": "甲"}, {"id": "b", "text": "乙"}])
    copy = write(tmp_path / "copy.parquet", [{"id": "b", "text": "丙"}])
    message = error(twice, copy, "-o", out)
    assert "the id 'b' is in " in message
    assert "copy.parquet" in message
    assert "--id-field ''" in message
    call(twice, copy, "--id-field", "", "-o", tmp_path / "numbered.parquet")
    assert "name" in error(parquet, "-o", parquet)
    assert "decides its format" in error(parquet, "-o", tmp_path / "out.csv")
    empty = write(tmp_path / "empty.jsonl", [])
    assert "hold no rows" in error(empty, "-o", out)
    assert "no text in field 'text'" in error(write(empty, [{"a": 1}]), "-o", out)
    page = tmp_path / "page.html"
    page.write_text("<html><body>甲</body></html>", encoding="utf-8")
    assert "pangu extract" in error(page, "-o", out)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(parquet.read_bytes()[:-20])
    assert "cannot be read" in error(damaged, "-o", out)
    mixed = write(tmp_path / "mixed.jsonl", [{"text": "甲", "n": 1}, {"text": "乙", "n": "x"}])
    assert ".jsonl" in error(mixed, "-o", out)
    call(mixed, "-o", tmp_path / "mixed-out.jsonl")
    assert not out.exists()
    # Nor is anything else left where OUT would be.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


TEXTS = st.one_of(
    st.sampled_from(["", "短", prose(1), prose(2), edited(prose(1), 100), edited(prose(2), 7)]),
    st.text(max_size=30),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | TEXTS, min_size=1, max_size=30), row_group=st.integers(1, 31))
def test_survivors_and_merged_are_the_input(
    tmp_path: Path, texts: list[str | None], row_group: int
) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"text": pa.array(texts, pa.string()), "n": range(len(texts))})
    pq.write_table(table, path, row_group_size=row_group)
    if not any(text is not None for text in texts):
        assert "no row is a document" in error(path, "-o", tmp_path / "out.parquet")
        return
    call(path, "-o", tmp_path / "out.parquet")
    rows = read(tmp_path / "out.parquet")
    assert [row["n"] for row in rows] == [n for n, text in enumerate(texts) if text is not None]
    sizes = Counter(row["cluster"] for row in rows)
    assert all(row["cluster_size"] == sizes[row["cluster"]] for row in rows)
    assert sum(row["cluster_size"] for row in rows if row["survivor"]) == len(rows)
    # Equal texts stand or fall together, empty ones each alone.
    survivors: dict[str, set[str]] = {}
    for row in rows:
        survivors.setdefault(row["text"], set()).add(row["survivor_id"])
    for text, ids in survivors.items():
        assert len(ids) == (sum(row["text"] == "" for row in rows) if text == "" else 1)
