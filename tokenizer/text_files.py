"""Texts of plain, JSON Lines and Parquet files, one document at a time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from pangu_settings import UserError

TEXT_FIELD = "text"


def read_texts(paths: Iterable[str | Path]) -> Iterator[str]:
    """The documents of files, told apart by the ends of their names.

    `.txt` holds documents with a blank line between them, `.jsonl` one object with a `text` a
    line (both also as `.gz`), `.parquet` a column `text`.

    Raises:
      UserError: a file is missing, is of another kind, or holds a row without text.
    """
    for path in map(Path, paths):
        ending = "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:])
        try:
            if ending == ".parquet":
                yield from _read_parquet(path)
            elif ending in (".txt", ".txt.gz"):
                with _open_text(path) as lines:
                    yield from _split_at_blank_lines(lines)
            elif ending in (".jsonl", ".jsonl.gz"):
                with _open_text(path) as lines:
                    yield from _read_json_lines(path, lines)
            else:
                raise UserError(
                    f"{path}: unknown kind of file; give .txt, .jsonl (also .gz) or .parquet"
                )
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _split_at_blank_lines(lines: Iterable[str]) -> Iterator[str]:
    document: list[str] = []
    for line in lines:
        if line.strip():
            document.append(line)
        elif document:
            yield "".join(document).rstrip("\n")
            document = []
    if document:
        yield "".join(document).rstrip("\n")


def _read_json_lines(path: Path, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}:{number}: not valid JSON: {error}") from None
        text = row.get(TEXT_FIELD) if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise UserError(f"{path}:{number}: expected an object with a string '{TEXT_FIELD}'")
        yield text


def _read_parquet(path: Path) -> Iterator[str]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UserError(
            f"{path}: Parquet needs pyarrow; install it with: pip install 'pangu-alpha[data]'"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            if TEXT_FIELD not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names)
                raise UserError(f"{path}: has no column '{TEXT_FIELD}'; its columns: {names}")
            kind = file.schema_arrow.field(TEXT_FIELD).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise UserError(f"{path}: the column '{TEXT_FIELD}' holds {kind}, not strings")
            for batch in file.iter_batches(batch_size=1_000, columns=[TEXT_FIELD]):
                yield from (text for text in batch.column(0).to_pylist() if text is not None)
    except pa.ArrowException as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}") from None
