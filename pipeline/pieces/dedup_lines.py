"""Lines of JSONL files are parsed once and kept as Parquet for the time being.

A line is kept as it is, beside what deduplication looks at, so that it can be written again with
all of its fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pangu_settings import UserError
from pipeline import storage
from pipeline.documents import BATCH_CHARACTERS, BATCH_ROWS
from pipeline.parts import Part, PartOutput
from pipeline.pieces.dedup_columns import DOCUMENT, LOST, Fields, lost_rows
from pipeline.reading.record import Damage, ReadLimits
from pipeline.reading.rows import read_json_rows, whole_characters
from pipeline.tables import RowBuffer

LINES, DEAD_LETTERS = "lines", "dead_letters"
LINE = pa.schema([*DOCUMENT, pa.field("line", pa.string(), nullable=False)])


@dataclass(frozen=True)
class ReadLines:
    """Parses JSONL files into the tables lines and dead_letters.

    Attributes:
      fields: names of the fields.
      infer: whether to find out the type of every field; the facts have them as a schema.
    """

    fields: Fields
    infer: bool

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(LINES, LINE)
        output.open_table(DEAD_LETTERS, LOST)
        lines = RowBuffer(LINE, BATCH_ROWS, BATCH_CHARACTERS)
        schema, waiting = pa.schema([]), list[dict[str, Any]]()
        with storage.open_read(part.path) as file:
            for item in read_json_rows(file, ReadLimits()):
                if isinstance(item, Damage):
                    self._lose(output, part.file, item.offset, item.error, item.detail)
                    continue
                number, row = item
                line = json.dumps(row, ensure_ascii=False)
                if (whole := whole_characters(line)) is not line:
                    line, row = whole, json.loads(whole)
                document = self.fields.of_json(part.file, number, row)
                if document["text"] is None:
                    detail = f"no text in field '{self.fields.text}'"
                    self._lose(output, part.file, number, "bad_row", detail)
                    continue
                waiting.append(row)
                full = lines.add({**document, "line": line}, len(line))
                if full is not None:
                    output.write(LINES, full, LINE)
                    schema, waiting = self._inferred(part.file, schema, waiting), []
        output.write(LINES, lines.take(), LINE)
        schema = self._inferred(part.file, schema, waiting)
        output.facts["schema"] = schema.serialize().to_pybytes().hex()

    def _lose(self, output: PartOutput, *row: Any) -> None:
        output.write(DEAD_LETTERS, lost_rows([row]), LOST)

    def _inferred(self, file: str, schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> pa.Schema:
        if not self.infer or not rows:
            return schema
        try:
            found = pa.schema(list(pa.infer_type(rows)))
        except (pa.ArrowException, OverflowError) as error:
            raise no_table(file, error) from None
        return united(file, [schema, found])


def schema_of_facts(facts: dict[str, Any]) -> pa.Schema:
    """The types of a file's fields, as `ReadLines` noted them."""
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(facts["schema"])))


def united(file: str, schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The schema of one table that holds the rows of all.

    Raises:
      UserError: a field has types that do not go together.
    """
    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowException as error:
        raise no_table(file, error) from None


def no_table(file: str, error: Exception) -> UserError:
    """What to say of rows that do not fit one table."""
    return UserError(
        f"{file}: its fields do not fit one table ({error}); name an OUT that ends in .jsonl or "
        ".jsonl.gz"
    )
