"""`pangu dedup FILE… -o OUT`: duplicates among the documents of files, without a recipe or a run.

What stands for what is found by the steps of the stage *deduplicate*; here are only the files. They
are read twice for it, and once more to be written: no text is held.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import Deduplicate
from filters.folding import fold_texts
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pangu_settings import UserError
from pipeline import storage
from pipeline.documents import TIMESTAMP
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.execution import Execution
from pipeline.parts import Part, PartOutput, read_part_record
from pipeline.pieces.dedup_columns import DOCUMENT, LOST, Fields, lost_rows
from pipeline.pieces.dedup_ids import check_ids
from pipeline.pieces.dedup_lines import DEAD_LETTERS, LINES, ReadLines, schema_of_facts, united
from pipeline.pieces.dedup_output import Written, first_dead_letter, write_documents
from pipeline.pieces.dedup_pieces import Piece, cut, is_lines
from pipeline.pieces.document_files import STANDARD_OUTPUT, check_output
from pipeline.stages.deduplicate import MergePart, find_duplicates
from pipeline.stages.measure import band_column, content_hashes, slices
from pipeline.tables import read_table, table_path

READ, SIGN, MERGE = "read", "sign", "merge"
SIGNALS = pa.schema(
    [
        pa.field("content_hash", pa.binary(16), nullable=False),
        pa.field("bands", pa.binary(), nullable=False),
    ]
)
VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Whether the row has a text.
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("quality", pa.float32(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("text_bytes", pa.int64(), nullable=False),
    ]
)
ADDRESSES = pa.schema(
    [pa.field("url", pa.string(), nullable=False), pa.field("captured_at", TIMESTAMP)]
)
_NO_TEXT = "no text, or none that is UTF-8"
# Of the work, done when texts are signed; what is left is writing.
_SIGNED = 0.6


@dataclass(frozen=True)
class PieceInputs(Inputs):
    """What deduplication reads: columns that were written here, and texts from the user's files."""

    pieces: dict[str, Piece] = field(default_factory=dict)

    def documents(self, part: Part, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        if "text" not in names:
            yield from super().documents(part, names, rows)
            return
        addresses = read_table(table_path(self.clean, "documents", part.name), ADDRESSES.names)
        first = 0
        for batch in self.pieces[part.name].documents(["text"], rows):
            texts = batch.column("text").fill_null("")
            columns = {"text": texts}
            for name in ADDRESSES.names:
                columns[name] = addresses.column(name).slice(first, len(texts)).combine_chunks()
            yield pa.RecordBatch.from_arrays([columns[name] for name in names], list(names))
            first += len(texts)


@dataclass(frozen=True)
class SignPiece:
    """Writes the columns of a piece that deduplication reads, as the stages before it would."""

    pieces: dict[str, Piece]
    settings: Deduplicate
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Draws the permutations."""
        near = self.settings.near
        minhash = MinHash(near.shingle, near.bands, near.rows, near.seed)
        self.loaded["minhash"] = minhash if near.enabled else None

    def process(self, part: Part, output: PartOutput) -> None:
        for table, schema in (
            ("documents", ADDRESSES),
            ("signals", SIGNALS),
            ("verdicts", VERDICTS),
            (DEAD_LETTERS, LOST),
        ):
            output.open_table(table, schema)
        piece = self.pieces[part.name]
        row = piece.first
        for batch in piece.documents(DOCUMENT.names):
            kept = batch.column("text").is_valid()
            lost = row + np.flatnonzero(~np.asarray(kept))
            rows = [(part.file, number, "bad_row", _NO_TEXT) for number in lost.tolist()]
            output.write(DEAD_LETTERS, lost_rows(rows), LOST)
            output.write("documents", batch.select(ADDRESSES.names), ADDRESSES)
            row += batch.num_rows
            place = batch.schema.get_field_index("text")
            batch = batch.set_column(place, "text", batch.column("text").fill_null(""))
            for documents in slices(batch.append_column("kept", kept)):
                self._sign(documents, output)

    def _sign(self, documents: pa.RecordBatch, output: PartOutput) -> None:
        column = documents.column("text")
        texts = TextBatch.from_arrow(column)
        bands = band_column(fold_texts(texts).comparable, self.loaded["minhash"])
        signals = pa.RecordBatch.from_arrays([content_hashes(column), bands], schema=SIGNALS)
        output.write("signals", signals, SIGNALS)
        arrays = [
            documents.column("id"),
            documents.column("kept"),
            documents.column("quality"),
            pa.array(texts.lengths()),
            pc.binary_length(column).cast(pa.int64()),
        ]
        output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=VERDICTS), VERDICTS)


def dedup_files(
    paths: Sequence[str],
    out: str,
    settings: Deduplicate,
    fields: Fields,
    workers: int = 1,
    only_survivors: bool = False,
    on_progress: Callable[[int, float], None] = lambda documents, share: None,
) -> Written:
    """Writes the documents of Parquet and JSONL files with what stands for each of them.

    Args:
      paths: the files; OUT has their rows in this order.
      out: Parquet or JSONL by its name, see DocumentFile. Rows without a text are not in it but in
        a file beside it, `OUT.dead_letters.SUFFIX`, if there are any.
      settings: as in a recipe's `deduplicate` block.
      fields: which fields hold what is looked at.
      workers: processes that read texts.
      only_survivors: leave out what was merged.
      on_progress: hears how many documents are done, and what share of the work.

    Raises:
      UserError: a file cannot be read, lacks a column, or is OUT; two rows have one id; there is no
        document; or the rows of several files do not fit one table.
    """
    check_output(out)
    if any(_is_same(path, out) for path in paths):
        raise UserError(f"{out}: is one of the files that are read; give OUT another name")
    execution = Execution(workers=workers)
    with _temporary_folder(out) as folder:
        try:
            pieces, schema = _pieces(paths, fields, folder, out.endswith(".parquet"), execution)
            total = sum(piece.rows for piece in pieces)
            execution.on_progress = lambda done, parts: on_progress(
                total * done // max(1, parts), _SIGNED * done / max(1, parts)
            )
            by_name = {piece.part.name: piece for piece in pieces}
            parts = [piece.part for piece in pieces]
            execution.map_parts(SignPiece(by_name, settings), parts, folder, SIGN)
            execution.on_progress = lambda done, parts: None
            inputs = PieceInputs(folder, folder, folder, ("",), pieces=by_name)
            numbered = inputs.number(parts)
            _check_documents(folder, inputs, numbered)
            check_ids(inputs, numbered, settings.memory)
            work = storage.join(folder, "work")
            results = find_duplicates(execution, inputs, numbered, settings, work)
            first = {entry.part.name: (entry.first, entry.rows) for entry in numbered}
            merged = storage.join(folder, MERGE)
            execution.map_parts(MergePart(inputs, results, first), parts, merged)
        finally:
            execution.close()
        return write_documents(
            pieces,
            out,
            schema,
            folder,
            merged,
            only_survivors,
            lambda rows: on_progress(rows, _SIGNED + (1 - _SIGNED) * rows / max(1, total)),
        )


def _temporary_folder(out: str) -> tempfile.TemporaryDirectory[str]:
    """A hidden folder beside OUT, where there must be room anyhow."""
    if out == STANDARD_OUTPUT or "://" in out:
        return tempfile.TemporaryDirectory(prefix="pangu-dedup-")
    place = Path(out).absolute().parent
    place.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f".{Path(out).name}.", dir=place)


def _is_same(path: str, out: str) -> bool:
    return path == out or (
        Path(path).exists() and Path(out).exists() and Path(path).samefile(Path(out))
    )


def _pieces(
    paths: Sequence[str], fields: Fields, folder: str, to_parquet: bool, execution: Execution
) -> tuple[list[Piece], pa.Schema]:
    """All pieces in their order, and the schema of a table that holds the rows of all files."""
    files = [
        Part(f"{number:06d}", "", path, path, max(0, storage.size(path)))
        for number, path in enumerate(paths)
    ]
    of_lines = [file for file in files if is_lines(file.path)]
    execution.map_parts(ReadLines(fields, to_parquet), of_lines, folder, READ)
    pieces: list[Piece] = []
    schema = pa.schema([])
    for file in files:
        if file in of_lines:
            found, _ = cut(file, table_path(folder, LINES, file.name), None)
            more = schema_of_facts(read_part_record(folder, READ, file)["facts"])
        else:
            found, more = cut(file, file.path, fields)
        pieces += found
        if to_parquet:
            schema = united(file.file, [schema, _plain(more)])
    return pieces, schema


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema without what describes the file only: pandas' notes, and dictionaries."""
    fields = (
        f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema
    )
    return pa.schema(fields)


def _check_documents(folder: str, inputs: Inputs, parts: Sequence[NumberedPart]) -> None:
    """Raises UserError if there is not one document."""
    if not any(inputs.kept(numbered).any() for numbered in parts):
        reason = first_dead_letter(folder)
        raise UserError(
            f"no row is a document with a text; the first: {reason}"
            if reason
            else "the files hold no rows"
        )
