"""Fingerprints: what of a document is compared with those of other runs, without its text.

An index holds them of the documents of a corpus, and the same is computed of the documents that are
looked for in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bit_signatures import WORDS, BitSignatures
from filters.folding import fold_texts
from filters.kernels.text_batch import TextBatch
from pipeline.duplicates.inputs import Inputs
from pipeline.duplicates.keys import captured_pages, fixed_width, page_keys
from pipeline.parts import Part
from pipeline.stages.measure import slices, unpacked

FINGERPRINT = (
    pa.field("content_hash", pa.binary(16), nullable=False),
    # Key of the address of a capture; null of anything else.
    pa.field("page", pa.uint64()),
    # One uint64 for each band, little-endian, and the bit signature; empty where the text is too
    # short to compare, or is not to be compared.
    pa.field("bands", pa.binary(), nullable=False),
    pa.field("signature", pa.binary(), nullable=False),
)
# Rows of texts read at a time; row groups end before they are many megabytes.
_ROWS_READ = 512


def fingerprints(
    inputs: Inputs,
    part: Part,
    chosen: np.ndarray,
    compared: np.ndarray,
    signatures: BitSignatures,
) -> Iterator[tuple[np.ndarray, list[pa.Array]]]:
    """Yields the fingerprints of chosen documents of a part, some at a time.

    Args:
      inputs: the documents' columns.
      part: the part.
      chosen: bool (rows,), documents that are wanted.
      compared: bool (rows,), those of them whose bands and signature are wanted too.
      signatures: of the recipe's shingles.

    Yields:
      int64 (n,), rows, ascending, and the columns of FINGERPRINT for each.
    """
    measured = _Rows(inputs.signals(part, ["content_hash", "bands"]))
    first = 0
    for batch in inputs.documents(part, ["url", "captured_at", "text"], _ROWS_READ):
        for documents in slices(batch):
            signals = measured.take(documents.num_rows)
            here = slice(first, first + documents.num_rows)
            first += documents.num_rows
            rows = np.flatnonzero(chosen[here])
            if len(rows) == 0:
                continue
            mask = pa.array(chosen[here])
            wanted = pa.array(compared[here][rows])
            documents, signals = documents.filter(mask), signals.filter(mask)
            bands = signals.column("bands").combine_chunks()
            columns = [
                signals.column("content_hash").combine_chunks(),
                _pages(documents),
                pc.if_else(wanted, bands, pa.scalar(b"", pa.binary())),
                _signatures(documents.column("text"), compared[here][rows], signatures),
            ]
            yield here.start + rows, columns


def _pages(documents: pa.RecordBatch) -> pa.Array:
    pages = captured_pages(documents)
    is_page = np.array([bool(page) for page in pages], np.bool_)
    keys = np.zeros(len(pages), np.uint64)
    keys[is_page] = page_keys([page for page in pages if page])
    return pa.array(keys, mask=~is_page)


def _signatures(texts: pa.Array, compared: np.ndarray, signatures: BitSignatures) -> pa.Array:
    chosen = TextBatch.from_arrow(texts.filter(pa.array(compared)))
    has_signature, values = signatures.signatures_of(fold_texts(chosen).comparable)
    lengths = np.zeros(len(texts), np.int64)
    lengths[np.flatnonzero(compared)[has_signature]] = 8 * WORDS
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(values.astype("<u8").tobytes())]
    return pa.BinaryArray.from_buffers(pa.binary(), len(texts), buffers)


class _Rows:
    """Rows of consecutive batches, taken in pieces of any size."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left = pa.table({})

    def take(self, count: int) -> pa.Table:
        """The next rows; there must be so many."""
        pieces = []
        while count:
            if self._left.num_rows == 0:
                self._left = pa.Table.from_batches([next(self._batches)])
            pieces.append(self._left.slice(0, count))
            self._left = self._left.slice(count)
            count -= pieces[-1].num_rows
        return pa.concat_tables(pieces)


@dataclass(frozen=True)
class Fingerprints:
    """Columns of FINGERPRINT as numbers.

    Attributes:
      texts: uint64 (n, 2), hash of the text.
      has_page: bool (n,), and pages uint64 (n,), without meaning where it has none.
      compared: int64 (m,), rows that have bands and a signature.
      bands: uint64 (m, bands); (0, 0) where no row has any.
      signatures: uint64 (m, WORDS).
    """

    texts: np.ndarray
    has_page: np.ndarray
    pages: np.ndarray
    compared: np.ndarray
    bands: np.ndarray
    signatures: np.ndarray


def read_fingerprints(batch: pa.RecordBatch) -> Fingerprints:
    """The fingerprints of a batch that has the columns of FINGERPRINT."""
    bands, starts = unpacked(batch.column("bands"), "<u8")
    signatures, _ = unpacked(batch.column("signature"), "<u8")
    compared = np.flatnonzero(np.diff(starts))
    pages = batch.column("page")
    return Fingerprints(
        texts=fixed_width(batch.column("content_hash"), 16),
        has_page=np.asarray(pages.is_valid()),
        pages=np.asarray(pages.fill_null(0)),
        compared=compared,
        bands=bands.reshape(len(compared), len(bands) // max(1, len(compared))).astype(np.uint64),
        signatures=signatures.reshape(-1, WORDS).astype(np.uint64),
    )
