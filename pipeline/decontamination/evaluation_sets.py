"""Evaluation sets as the files they come in: JSON, JSONL, Parquet or text, also gzipped.

A set is read as *items*, the units that are counted when some of them are found in a corpus: a line
of JSONL, a row of Parquet, a block of text between blank lines (or a line, in a file without any),
and in JSON the innermost record that holds a good part of its text itself. So a file in the form of
SQuAD has an item for each paragraph with its questions. No text is left out: a title above such
records belongs to the first of them.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from filters.decontamination_settings import EvaluationSet
from filters.encoding import UndecodableError, decode_page
from pangu_settings import UserError, nearest
from pipeline import storage
from pipeline.reading.rows import whole_characters
from pipeline.recipe import find_files, resolve

# A file must fit into memory several times over.
MOST_BYTES = 1 << 30
# A record of JSON is cut up into the records within it if less of its text stands outside them.
OWN_SHARE = 0.1

_FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_GZIP = b"\x1f\x8b"
_ROWS = 1024

# A text and the key it stands under, "" if there is none.
KeyedText = tuple[str, str]


@dataclass(frozen=True)
class Item:
    """One example of an evaluation set.

    Attributes:
      place: file as the recipe names it, and where in it.
      texts: every text that is to be looked for.
    """

    place: str
    texts: tuple[str, ...]


def set_files(root: str, name: str, settings: EvaluationSet) -> list[str]:
    """The files of a set, as the recipe names them.

    Args:
      root: folder that relative paths start from.
      name: of the set.
      settings: of the set.

    Raises:
      UserError: a pattern names no file.
    """
    return find_files(root, settings.paths, f"decontaminate.sets.{name}.paths")


def read_set(root: str, name: str, settings: EvaluationSet) -> list[Item]:
    """Reads all items of a set, in the order of its files.

    Raises:
      UserError: a file is missing, damaged, too large, of another format or without items, or no
        item has one of the fields.
    """
    items: list[Item] = []
    keys: set[str] = set()
    for file in set_files(root, name, settings):
        place = f"decontaminate.sets.{name}: {file}"
        found = list(_read_file(resolve(root, file), file, place, settings.format))
        if not found:
            raise UserError(f"{place}: holds no item")
        for where, texts in found:
            keys.update(key for key, _ in texts if key)
            chosen = (
                whole_characters(text)
                for key, text in texts
                if settings.fields == "all" or key in settings.fields
            )
            items.append(Item(f"{file}: {where}", tuple(dict.fromkeys(chosen))))
    for field in settings.fields if settings.fields != "all" else ():
        if field not in keys:
            raise UserError(
                f"decontaminate.sets.{name}.fields: no item has a text under '{field}'"
                f"{nearest(field, keys)}"
            )
    return items


def _read_file(
    path: str, name: str, place: str, given: str
) -> Iterator[tuple[str, list[KeyedText]]]:
    """Yields (where in the file, texts) of each item."""
    content = _read_bytes(path, place)
    plain_name = re.sub(r"\.gz$", "", name)
    suffix = plain_name[plain_name.rfind(".") :] if "." in plain_name else ""
    kind = _FORMATS.get(suffix, "text") if given == "auto" else given
    try:
        if kind == "parquet":
            yield from _parquet_items(content, place)
        elif kind == "jsonl":
            yield from _jsonl_items(content, place)
        elif kind == "json":
            yield from _json_items(content, place)
        else:
            yield from _text_items(content, place)
    except RecursionError:
        raise UserError(f"{place}: is nested too deeply") from None


def _read_bytes(path: str, place: str) -> bytes:
    with storage.open_read(path) as file:
        content = file.read(MOST_BYTES + 1)
    if content.startswith(_GZIP):
        try:
            with gzip.open(io.BytesIO(content)) as unpacked:
                content = unpacked.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{place}: damaged gzip ({error}); fetch it again") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{place}: has more than {MOST_BYTES:,} bytes; give it in several files")
    return content


def _jsonl_items(content: bytes, place: str) -> Iterator[tuple[str, list[KeyedText]]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(
                    f"{place}: line {number} is not JSON ({error}); name the file's `format`"
                ) from None
            yield f"line {number}", list(_texts(row))


def _json_items(content: bytes, place: str) -> Iterator[tuple[str, list[KeyedText]]]:
    try:
        whole = json.loads(content)
    except ValueError:
        # Many a file called .json has a record on each line.
        yield from _jsonl_items(content, place)
        return
    yield from _records(whole, "", [])


def _records(
    node: Any, path: str, above: Sequence[KeyedText]
) -> Iterator[tuple[str, list[KeyedText]]]:
    """The records of a JSON value, each with its texts; those from above go to the first."""
    if _is_array_of_records(node):
        for index, element in enumerate(node):
            yield from _records(element, f"{path}.{index}".lstrip("."), [] if index else above)
        return
    arrays: list[tuple[str, list[Any]]] = []
    own = list(_texts(node, arrays=arrays, path=path))
    every = list(_texts(node)) if arrays else own
    is_whole = _characters(own) >= OWN_SHARE * _characters(every)
    if is_whole or not arrays:
        if above or every:
            yield path or "whole file", [*above, *every]
        return
    for index, (place, array) in enumerate(arrays):
        yield from _records(array, place, [] if index else [*above, *own])


def _texts(
    node: Any, key: str = "", arrays: list[tuple[str, list[Any]]] | None = None, path: str = ""
) -> Iterator[KeyedText]:
    """The texts of a JSON value; with `arrays`, arrays of records go there instead."""
    if isinstance(node, str):
        yield key, node
    elif arrays is not None and _is_array_of_records(node):
        arrays.append((path, node))
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, str(name), arrays, f"{path}.{name}".lstrip("."))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _texts(value, key, arrays, f"{path}.{index}".lstrip("."))


def _is_array_of_records(node: Any) -> bool:
    return isinstance(node, list) and bool(node) and all(map(_holds_an_object, node))


def _holds_an_object(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_holds_an_object, node))
    return isinstance(node, dict)


def _characters(texts: Sequence[KeyedText]) -> int:
    return sum(len(text) for _, text in texts)


def _parquet_items(content: bytes, place: str) -> Iterator[tuple[str, list[KeyedText]]]:
    number = 0
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as table:
            for batch in table.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    yield f"row {number}", list(_texts(row))
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{place}: row {number} cannot be read as Parquet: {error}") from None


def _text_items(content: bytes, place: str) -> Iterator[tuple[str, list[KeyedText]]]:
    try:
        lines = decode_page(content, None).text.splitlines()
    except UndecodableError as error:
        raise UserError(f"{place}: {error}; convert it to UTF-8") from None
    is_in_blocks = any(
        not line.strip() and index for index, line in enumerate(lines) if index < len(lines) - 1
    )
    first, block = 1, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            first = first if block else number
            block.append(line)
        if block and (not line.strip() or not is_in_blocks):
            yield f"line {first}", [("", "\n".join(block))]
            block = []
