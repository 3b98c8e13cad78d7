"""The keys by which documents meet: content hashes, addresses of captures, keys of bands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.addresses import page_of
from filters.duplicate_settings import Deduplicate
from pipeline.duplicates.inputs import ROWS, Inputs, NumberedPart
from pipeline.parts import Part
from pipeline.stages.measure import content_hashes, unpack_bands


def fixed_width(column: pa.Array, width: int) -> np.ndarray:
    """A fixed-width binary column as numbers: uint64 (rows, width ÷ 8)."""
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    data = data[column.offset * width : (column.offset + len(column)) * width]
    return data.view("<u8").reshape(len(column), -1).astype(np.uint64)


HASH_OF_NOTHING = fixed_width(content_hashes(pa.array([""], pa.string())), 16)[0, 0]


@dataclass(frozen=True)
class Keys:
    """The rows that one part contributes to one band.

    Attributes:
      band: number of the band; after the last one come content hashes, then addresses.
      keys, texts, ordinals: uint64 (n,).
    """

    band: int
    keys: np.ndarray
    texts: np.ndarray
    ordinals: np.ndarray

    def chosen(self, rows: np.ndarray) -> Keys:
        """Some of the rows."""
        return Keys(self.band, self.keys[rows], self.texts[rows], self.ordinals[rows])


@dataclass(frozen=True)
class KeyReader:
    """Reads the keys of documents that the rules let through."""

    inputs: Inputs
    settings: Deduplicate

    def bands(self) -> list[int]:
        """Numbers of the bands that the settings ask for."""
        near = self.settings.near
        wanted = list(range(near.bands)) if near.enabled else []
        wanted += [near.bands] if self.settings.exact else []
        return wanted + ([near.bands + 1] if self.settings.url != "off" else [])

    def read(self, numbered: NumberedPart, bands: Sequence[int]) -> Iterator[Keys]:
        """Yields the keys of a part, ROWS documents at a time."""
        kept = self.inputs.kept(numbered)
        ordinals = np.arange(numbered.first, numbered.first + numbered.rows, dtype=np.uint64)
        of_bands = [band for band in bands if band < self.settings.near.bands]
        if of_bands or self.settings.near.bands in bands:
            first = 0
            columns = ["content_hash", *(["bands"] if of_bands else [])]
            for batch in self.inputs.signals(numbered.part, columns):
                rows = slice(first, first + batch.num_rows)
                yield from self._of_texts(batch, bands, kept[rows], ordinals[rows])
                first += batch.num_rows
        if self.settings.near.bands + 1 in bands:
            yield from self._of_addresses(numbered.part, kept, ordinals)

    def _of_texts(
        self, batch: pa.RecordBatch, bands: Sequence[int], kept: np.ndarray, ordinals: np.ndarray
    ) -> Iterator[Keys]:
        count = self.settings.near.bands
        texts = fixed_width(batch.column("content_hash"), 16)[:, 0]
        if count in bands:
            # Documents without a text are not copies of each other.
            chosen = kept & (texts != HASH_OF_NOTHING)
            yield Keys(count, texts[chosen], ordinals[chosen], ordinals[chosen])
        if "bands" not in batch.schema.names:
            return
        has_keys, keys = unpack_bands(batch.column("bands"), count)
        chosen = kept[has_keys]
        texts, ordinals = texts[has_keys][chosen], ordinals[has_keys][chosen]
        for band in bands:
            if band < count:
                yield Keys(band, keys[chosen, band], texts, ordinals)

    def _of_addresses(self, part: Part, kept: np.ndarray, ordinals: np.ndarray) -> Iterator[Keys]:
        first = 0
        for batch in self.inputs.documents(part, ["url", "captured_at"], ROWS):
            pages = captured_pages(batch)
            rows = np.flatnonzero([bool(page) for page in pages])
            rows = rows[kept[first + rows]]
            chosen = ordinals[first + rows]
            keys = page_keys([pages[row] for row in rows])
            yield Keys(self.settings.near.bands + 1, keys, chosen, chosen)
            first += batch.num_rows


def captured_pages(batch: pa.RecordBatch) -> list[str]:
    """The comparable address of each document that was captured from the web, "" of the others.

    Rows of other data sets often name one address for many texts, such as the book they are from.
    """
    captured = batch.column("captured_at").is_valid().to_pylist()
    urls = batch.column("url").to_pylist()
    return [page_of(url) if known else "" for url, known in zip(urls, captured, strict=True)]


def page_keys(pages: Sequence[str]) -> np.ndarray:
    """uint64 (n,): the keys of comparable addresses."""
    digests = [hashlib.blake2b(page.encode(), digest_size=8).digest() for page in pages]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
