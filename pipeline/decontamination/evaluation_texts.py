"""The texts of all evaluation sets, each once, in files that workers and the summary read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.decontamination import comparable
from pipeline import storage
from pipeline.decontamination.evaluation_sets import Item
from pipeline.tables import TableWriter, read_table

FOLDER = "known"
# A text that more items share, of a larger share of their set, is no item's own: an instruction,
# or a notice of the website that all come from. Passages with many questions stay.
COMMON_ITEMS = 20
COMMON_SHARE = 0.05

# Every text of all sets, each once, comparable, and whether it is common.
_TEXTS = pa.schema(
    [
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("common", pa.bool_(), nullable=False),
    ]
)
# Row n: item n of all sets, and the numbers of its texts.
_ITEMS = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("texts", pa.list_(pa.int32()), nullable=False),
    ]
)
# Every set that holds a text, by text: the first of its items that do, and how many do.
_HOLDERS = pa.schema(
    [
        pa.field("text", pa.int32(), nullable=False),
        pa.field("set", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("items", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class EvaluationTexts:
    """Where the files are.

    Attributes:
      folder: of the files.
    """

    folder: str

    def write(self, sets: Mapping[str, list[Item]]) -> list[storage.ListedFile]:
        """Writes the texts of all items, each once."""
        numbers: dict[str, int] = {}
        items = []
        holders: dict[tuple[int, str], dict[str, Any]] = {}
        for name, members in sets.items():
            forms = iter(comparable([text for item in members for text in item.texts]))
            for item in members:
                held = {numbers.setdefault(next(forms), len(numbers)) for _ in item.texts}
                items.append({"set": name, "item": item.place, "texts": sorted(held)})
                for text in held:
                    row = {"text": text, "set": name, "item": item.place, "items": 0}
                    holders.setdefault((text, name), row)["items"] += 1
        rows = [holders[key] for key in sorted(holders)]
        sizes = {name: len(members) for name, members in sets.items()}
        common = {
            row["text"]
            for row in rows
            if row["items"] > max(COMMON_ITEMS, COMMON_SHARE * sizes[row["set"]])
        }
        texts = [{"text": text, "common": number in common} for text, number in numbers.items()]
        return [
            self._write("texts", pa.Table.from_pylist(texts, _TEXTS)),
            self._write("items", pa.Table.from_pylist(items, _ITEMS)),
            self._write("holders", pa.Table.from_pylist(rows, _HOLDERS)),
        ]

    def _write(self, name: str, table: pa.Table) -> storage.ListedFile:
        with TableWriter(storage.join(self.folder, f"{name}.parquet"), table.schema) as writer:
            for batch in table.to_batches():
                writer.write(batch)
        return writer.facts(f"{FOLDER}/{name}.parquet")

    def texts(self) -> list[str]:
        """The texts, comparable; those that are common are empty, so that they are not found."""
        table = self._read("texts")
        texts: list[str] = pc.if_else(table.column("common"), "", table.column("text")).to_pylist()
        return texts

    def are_common(self, characters: int) -> np.ndarray:
        """bool (texts,): which texts of at least so many characters are not looked for."""
        table = self._read("texts")
        is_long = pc.greater_equal(pc.utf8_length(table.column("text")), characters)
        return np.asarray(pc.and_(table.column("common"), is_long))

    def items(self) -> list[dict[str, Any]]:
        """Every item: set, item, texts."""
        rows: list[dict[str, Any]] = self._read("items").to_pylist()
        return rows

    def holders(self) -> pa.Table:
        """The sets that hold each text, sorted by text."""
        return self._read("holders")

    def _read(self, name: str) -> pa.Table:
        return read_table(storage.join(self.folder, f"{name}.parquet")).combine_chunks()


def holders_of(holders: pa.Table, text: int) -> list[dict[str, Any]]:
    """The rows of `EvaluationTexts.holders` of one text."""
    start, stop = np.searchsorted(np.asarray(holders.column("text")), [text, text + 1])
    rows: list[dict[str, Any]] = holders.slice(start, stop - start).to_pylist()
    return rows
