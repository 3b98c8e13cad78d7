"""What deduplication looks at of a document: five columns, from Parquet or from JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pangu_settings import UserError, nearest
from pipeline.documents import TIMESTAMP

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("captured_at", TIMESTAMP),
        # Not a number where there is none: behind all others.
        pa.field("quality", pa.float32(), nullable=False),
        # Null where the row has no text.
        pa.field("text", pa.string()),
    ]
)
# Rows that are no documents.
LOST = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        # Of the file, counted from 0.
        pa.field("row", pa.int64(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
_ROW_DIGITS = 9
_NO_NUMBER = float("nan")


@dataclass(frozen=True)
class Fields:
    """Names of the fields that hold a document's columns; "" for none.

    Under the usual names, all but the text may be missing.
    """

    text: str = "text"
    id: str = "id"
    url: str = "url"
    captured_at: str = "captured_at"
    quality: str = "quality"

    def check(self, file: str, names: Sequence[str]) -> None:
        """Raises UserError if a file lacks the text, or a field under a name of the user's own."""
        usual = Fields()
        for name, own in vars(self).items():
            is_asked_for = name == "text" or own not in ("", getattr(usual, name))
            if is_asked_for and own not in names:
                raise UserError(f"{file}: has no column '{own}'{nearest(own, names)}")

    def of_json(self, file: str, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of DOCUMENT; what is of another type counts as missing.

        Args:
          file: as the user named it.
          number: of the row, counted from 0.
          row: without lone surrogates.
        """
        found = {name: row.get(own) for name, own in vars(self).items()}
        is_id = isinstance(found["id"], str | int) and not isinstance(found["id"], bool)
        return {
            "id": str(found["id"]) if is_id else f"{file}:{number:0{_ROW_DIGITS}d}",
            "url": found["url"] if isinstance(found["url"], str) else "",
            "captured_at": _date(found["captured_at"]),
            "quality": _number(found["quality"]),
            "text": found["text"] if isinstance(found["text"], str) else None,
        }

    def of_parquet(
        self, file: str, first: int, batch: pa.RecordBatch, names: Sequence[str]
    ) -> pa.RecordBatch:
        """Columns of DOCUMENT; a value that is not valid UTF-8 counts as missing.

        Args:
          file: as the user named it.
          first: number of the first row within it.
          batch: the columns of the file that are there.
          names: of the columns that are wanted.

        Raises:
          UserError: a column is of another type.
        """
        arrays = []
        for name in names:
            own = getattr(self, name)
            is_there = own in batch.schema.names
            column = batch.column(own) if is_there else pa.nulls(batch.num_rows)
            try:
                arrays.append(_COLUMNS[name](column))
            except (pa.ArrowException, TypeError):
                option = "captured" if name == "captured_at" else name
                raise UserError(
                    f"{file}: column '{own}' holds {column.type}, which cannot be the {name} of a "
                    f"document; name another column with --{option}-field"
                ) from None
        if "id" in names:
            place = list(names).index("id")
            arrays[place] = pc.coalesce(arrays[place], _row_ids(file, first, batch.num_rows))
        schema = pa.schema([DOCUMENT.field(name) for name in names])
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _row_ids(file: str, first: int, rows: int) -> pa.StringArray:
    """What rows without an id are called: within a file these sort as they stand there."""
    numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
    return pc.binary_join_element_wise(
        pa.scalar(file), pc.utf8_lpad(numbers, _ROW_DIGITS, "0"), pa.scalar(":")
    )


def _strings(column: pa.Array) -> pa.StringArray:
    """Text or bytes as valid UTF-8, null for anything else."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_null(column.type) or _is_text(column.type)):
        raise TypeError
    options = pc.CastOptions(target_type=pa.string(), allow_invalid_utf8=True)
    column = pc.cast(column, options=options)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([_text(value) for value in column.cast(pa.binary()).to_pylist()])
    return column


def _is_text(kind: pa.DataType) -> bool:
    kinds = (pa.string(), pa.large_string(), pa.string_view())
    return kind in kinds or kind in (pa.binary(), pa.large_binary(), pa.binary_view())


def _text(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


def _ids(column: pa.Array) -> pa.StringArray:
    return column.cast(pa.string()) if pa.types.is_integer(column.type) else _strings(column)


def _addresses(column: pa.Array) -> pa.StringArray:
    return _strings(column).fill_null("")


def _dates(column: pa.Array) -> pa.TimestampArray:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return column.cast(pa.timestamp("s"), safe=False).cast(TIMESTAMP)
    return pa.array([_date(value) for value in _strings(column).to_pylist()], TIMESTAMP)


def _date(value: Any) -> datetime | None:
    """A date as ISO 8601 writes it, in UTC unless it says otherwise; None for anything else."""
    try:
        date = datetime.fromisoformat(value).replace(microsecond=0)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _numbers(column: pa.Array) -> pa.FloatArray:
    return column.cast(pa.float32(), safe=False).fill_null(_NO_NUMBER)


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) else _NO_NUMBER
    except OverflowError:
        return _NO_NUMBER


_COLUMNS = {
    "id": _ids,
    "url": _addresses,
    "captured_at": _dates,
    "quality": _numbers,
    "text": _strings,
}


def lost_rows(rows: Sequence[tuple[str, int, str, str]]) -> pa.RecordBatch:
    """Rows of LOST: file, number of the row, error, detail."""
    columns = list(zip(*rows, strict=True)) or [()] * len(LOST)
    arrays = [pa.array(found, field.type) for found, field in zip(columns, LOST, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=LOST)
