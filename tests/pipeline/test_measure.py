"""The measure stage writes the same columns however its input is cut into batches."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.duplicate_settings import NearDuplicates
from filters.folding import folded_lines
from filters.kernels.paragraph_hashes import paragraph_hashes
from filters.minhash import MinHash
from filters.signals import Measurer
from pipeline.parts import Part, PartOutput
from pipeline.stages import measure
from pipeline.stages.clean import CLEANED

PROSE = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。"
TEXTS = [PROSE, "", PROSE * 3 + "\n加微信\n" + PROSE, "短", "Ａ\n" * 40, PROSE]
TITLES = ["老桥", "空", "", "", "A", "老桥"]
LISTS = {"advertisement": ("加微信",), "mine": ("桥",)}
NEAR = NearDuplicates()


def _clean_table(folder: Path) -> None:
    rows: list[dict[str, Any]] = []
    for number, (title, text) in enumerate(zip(TITLES, TEXTS, strict=True)):
        row: dict[str, Any] = {
            field.name: 0 if pa.types.is_integer(field.type) else "" for field in CLEANED
        }
        row |= {"id": str(number), "title": title, "text": text, "captured_at": None}
        row |= {"hanzi": 4 * number, "traditional": number, "personal_email": number}
        rows.append(row)
    (folder / "documents").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, CLEANED), folder / "documents" / "part.parquet")


def _measured(folder: Path, near: NearDuplicates = NEAR) -> pa.Table:
    clean, out = folder / "clean", folder / "measure"
    if not clean.exists():
        _clean_table(clean)
    part = Part("part", "web", "a.warc", "a.warc", 0)
    transform = measure.MeasurePart(str(clean), LISTS, near)
    transform.setup()
    with PartOutput(str(out), "parts", part) as output:
        transform.process(part, output)
    assert output.books.kept.documents == len(TEXTS)
    assert output.books.kept.characters == sum(map(len, TEXTS))
    assert output.books.kept.bytes == sum(len(text.encode()) for text in TEXTS)
    return pq.read_table(out / "signals" / "part.parquet")


def test_every_document_has_the_values_of_the_references(tmp_path: Path) -> None:
    rows = _measured(tmp_path).to_pylist()
    measurer = Measurer(LISTS)
    minhash = MinHash(NEAR.shingle, NEAR.bands, NEAR.rows, NEAR.seed)
    for number, row in enumerate(rows):
        title, text = TITLES[number], TEXTS[number]
        assert (row["id"], row["title"], row["text_bytes"]) == (
            str(number),
            title,
            len(text.encode()),
        )
        assert row["content_hash"] == hashlib.sha256(text.encode()).digest()[:16]
        paragraphs = np.array(paragraph_hashes(folded_lines(text)), "<u8")
        assert row["paragraph_hashes"] == paragraphs.tobytes()
        letters = np.frombuffer(row["paragraph_letters"], "<u4")
        places = np.frombuffer(row["paragraph_places"], "<i4").reshape(-1, 2)
        lines = ["".join(folded_lines(text[start:end])) for start, end in places]
        assert paragraph_hashes(lines) == paragraphs.tolist()
        assert letters.tolist() == list(map(len, lines))
        assert row["bands"] == minhash.band_keys(text).astype("<u8").tobytes()
        assert row["traditional_share"] == (0.25 if number else 0)
        assert row["personal_email"] == number
        for name, value in measurer.measure(title, text).items():
            assert row[name] == (value if isinstance(value, str) else pytest.approx(value))


@pytest.mark.parametrize("slice_bytes", [1, 100, 500])
def test_columns_do_not_depend_on_how_the_input_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    expected = _measured(tmp_path)
    monkeypatch.setattr(measure, "SLICE_BYTES", slice_bytes)
    assert _measured(tmp_path) == expected


def test_band_keys_come_back_as_numbers_and_only_where_there_are_any(tmp_path: Path) -> None:
    column = _measured(tmp_path).column("bands").combine_chunks()
    has_bands, keys = measure.unpack_bands(column, NEAR.bands)
    assert has_bands.tolist() == [True, False, True, False, True, True]
    np.testing.assert_array_equal(keys[0], keys[-1])
    assert keys.shape == (4, NEAR.bands)


def test_without_near_duplicates_there_are_no_band_keys(tmp_path: Path) -> None:
    column = _measured(tmp_path, NearDuplicates(enabled=False)).column("bands")
    assert set(column.to_pylist()) == {b""}
