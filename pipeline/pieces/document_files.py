"""Files that commands outside of a run read and write: found by name, format by name."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import date, time
from types import TracebackType
from typing import Any, BinaryIO, Protocol, cast

import fsspec
import pyarrow as pa

from pangu_settings import UserError, nearest
from pipeline import storage
from pipeline.reading.input_files import format_of_name
from pipeline.reading.rows import whole_characters
from pipeline.tables import TableWriter

STANDARD_OUTPUT = "-"
OUTPUT_SUFFIXES = (".parquet", ".jsonl.gz", ".jsonl")
_GZIP_LEVEL = 6


def find_files(names: Iterable[str]) -> list[str]:
    """The files that arguments of a command mean, each once, in the order of the arguments.

    Args:
      names: files, patterns with `*` (also of object stores, s3://…), or folders, of which every
        file below counts whose name tells a format that can be read.

    Raises:
      UserError: a name means no file.
    """
    found: dict[str, None] = {}
    for name in names:
        files = _files_below(name) if _is_folder(name) else _matches(name)
        if not files:
            raise UserError(f"'{name}' names no file that can be read{_way_out(name)}")
        found.update(dict.fromkeys(files))
    return list(found)


def _is_folder(name: str) -> bool:
    filesystem, path = fsspec.core.url_to_fs(name)
    return bool(filesystem.isdir(path))


def _files_below(folder: str) -> list[str]:
    return [path for path in _matches(storage.join(folder, "**")) if format_of_name(path)]


def _matches(pattern: str) -> list[str]:
    """The files of a pattern, hidden ones only if they are named."""
    return [
        path
        for path in storage.glob(pattern)
        if path == pattern or not path.rsplit("/", 1)[-1].startswith(".")
    ]


def _way_out(name: str) -> str:
    if _is_folder(name):
        return "; name the files themselves and give --format"
    folder, _, last = name.rpartition("/")
    return nearest(last, storage.list_files(folder or ".")) if "://" not in name else ""


class _Sink(Protocol):
    def write(self, batch: pa.RecordBatch, size: int | None = None) -> None: ...


class DocumentFile:
    """Rows in a file that appears whole: Parquet, JSONL or JSONL.gz by its name.

    Args:
      path: ends in one of OUTPUT_SUFFIXES, or is `-` for JSONL on the standard output.
      schema: of the rows.

    Raises:
      UserError: the name tells no format.
    """

    def __init__(self, path: str, schema: pa.Schema) -> None:
        check_output(path)
        self._schema = schema
        self._stack = ExitStack()
        self._sink: _Sink
        if path == STANDARD_OUTPUT:
            self._sink = _JsonLines(sys.stdout.buffer)
        elif path.endswith(".parquet"):
            self._sink = self._stack.enter_context(TableWriter(path, schema))
        else:
            file = cast(BinaryIO, self._stack.enter_context(storage.write_atomically(path)))
            if path.endswith(".gz"):
                # Without name and time, so that the same rows give the same bytes.
                packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)
                file = cast(BinaryIO, self._stack.enter_context(packed))
            self._sink = _JsonLines(file)

    def write(self, batch: pa.RecordBatch, size: int | None = None) -> None:
        """Adds rows; columns that the schema does not have are left out.

        Args:
          batch: the rows.
          size: see TableWriter.write.
        """
        self._sink.write(batch.select(self._schema.names), size)

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows as they are.

        Raises:
          KeyError: a row has a field that the schema of a Parquet file does not have.
        """
        if isinstance(self._sink, _JsonLines):
            self._sink.write_rows(rows)
        else:
            if new := {name for row in rows for name in row} - set(self._schema.names):
                raise KeyError(f"the first documents have no field '{min(new)}'")
            self._sink.write(pa.RecordBatch.from_pylist(list(rows), schema=self._schema))

    def __enter__(self) -> DocumentFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, batch: pa.RecordBatch, size: int | None = None) -> None:
        self.write_rows(batch.to_pylist())

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        lines = (json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)
        self._file.write(whole_characters("".join(lines)).encode())


def _plain(value: Any) -> Any:
    """What JSON has no type for."""
    if isinstance(value, date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def check_output(path: str) -> None:
    """Raises UserError unless the name of a file tells a format that can be written."""
    if path != STANDARD_OUTPUT and not path.endswith(OUTPUT_SUFFIXES):
        raise UserError(
            f"{path}: the name of the output decides its format; end it in "
            f"{', '.join(OUTPUT_SUFFIXES)}, or give - for JSON lines on the standard output"
        )


def beside(path: str, word: str) -> str:
    """Name of a second file: `out.jsonl.gz` and `dead_letters` give `out.dead_letters.jsonl.gz`."""
    suffix = next(suffix for suffix in OUTPUT_SUFFIXES if path.endswith(suffix))
    return f"{path.removesuffix(suffix)}.{word}{suffix}"
