"""Mirrors and copies in a real crawl whose truth is known are merged, whatever the rules say."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from document_tables import Document, write_tables

from filters.clean import Cleaner, CleanSettings
from filters.duplicate_settings import Deduplicate
from filters.encoding import decode_page
from filters.kernels.text_batch import TextBatch
from filters.main_text import ExtractionError, extract_main_text
from filters.minhash import MinHash
from pipeline.reading.input_files import read_records
from pipeline.reading.record import ReadLimits, Record, TextFields

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "web"
COPIES = ("mirror", "dup-url")


def pages() -> dict[str, tuple[dict[str, Any], str]]:
    """File and offset of each page in a group with copies -> (what the index says, its text)."""
    with gzip.open(FOLDER / "crawl.index.jsonl.gz", "rt", encoding="utf-8") as lines:
        index = {(row["warc"], row["offset"]): row for row in map(json.loads, lines)}
    groups = {row["dup_group"] for row in index.values() if row["kind"] in COPIES}
    found = {}
    for path in sorted(FOLDER.glob("crawl-*.warc.gz")):
        with path.open("rb") as file:
            for record in read_records(file, path.name, "auto", ReadLimits(), TextFields()):
                row = index.get((path.name, record.offset))
                if (
                    row is None
                    or row.get("dup_group") not in groups
                    or not isinstance(record, Record)
                ):
                    continue
                try:
                    decoded = decode_page(record.body, record.charset)
                    text = extract_main_text(decoded.utf8, record.url).text
                except ExtractionError:
                    continue
                found[f"{path.name}:{record.offset}"] = (row, text)
    return found


@pytest.mark.shared_data
@pytest.mark.skipif(not FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name real pages")
def test_mirrors_and_copies_are_merged(tmp_path: Path) -> None:
    found = pages()
    texts = TextBatch.from_strings([text for _, text in found.values()])
    cleaned = Cleaner(CleanSettings()).clean_batch(texts).texts.to_strings()
    documents = [
        Document(name, text, row["url"], 1)
        for (name, (row, _)), text in zip(found.items(), cleaned, strict=True)
        if text
    ]
    settings = Deduplicate()
    tables = write_tables(tmp_path / "tables", {"web.a": documents}, settings)
    results = tables.results(settings, tmp_path / "work")
    survivor = {d.id: results[d.id]["survivor"] if d.id in results else d.id for d in documents}
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[found[document.id][0]["dup_group"]].append(document)
    merged = split = 0
    for members in groups.values():
        for one, other in itertools.combinations(members, 2):
            if survivor[one.id] == survivor[other.id]:
                merged += 1
                continue
            split += 1
            assert similarity(one.text, other.text) < settings.near.similarity, (one.url, other.url)
    assert merged >= 150
    assert split <= 5
    # Nobody is merged with a page of another group.
    group_of = {document.id: found[document.id][0]["dup_group"] for document in documents}
    assert all(group_of[name] == group_of[kept] for name, kept in survivor.items())


def similarity(first: str, second: str) -> float:
    minhash = MinHash(5, 16, 8, 1)
    one, other = (set(minhash.shingle_hashes(text)) for text in (first, second))
    return len(one & other) / max(1, len(one | other))
