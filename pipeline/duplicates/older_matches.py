"""Documents of a run compared with those of older corpora: who meets, and the best match of each.

Pairs that meet by a key are compared at once, and of each document only the best match of each kind
is remembered: a copy counts before a capture of the same address, that before a near-duplicate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filters.bit_signatures import estimated_similarity
from filters.duplicate_settings import Deduplicate
from filters.duplicates import EXACT, NEAR, URL
from pipeline.duplicates.fingerprints import Fingerprints, read_fingerprints
from pipeline.duplicates.key_table import KeyTable
from pipeline.duplicates.keys import HASH_OF_NOTHING


class Matches:
    """The best match of each of so many holders; the more similar, of equals the first in place.

    Attributes:
      values: float64 (n,), similarity; -1 where there is none.
      runs: int64 (n,), number of the older run.
      ids: object (n,), ids of the older documents.
    """

    def __init__(self, count: int) -> None:
        self.values = np.full(count, -1.0)
        self._places = np.zeros(count, np.int64)
        self.runs = np.zeros(count, np.int64)
        self.ids = np.full(count, "", object)

    def offer(
        self, holders: np.ndarray, places: np.ndarray, values: np.ndarray, ids: pa.Array, run: int
    ) -> None:
        """Takes better ones.

        Args:
          holders: int64 (pairs,).
          places: int64 (pairs,), of the older documents among all.
          values: float64 (pairs,), similarities.
          ids: of the older documents, (pairs,).
          run: number of their run.
        """
        order = np.lexsort((places, -values, holders))
        is_first = np.ones(len(order), np.bool_)
        is_first[1:] = holders[order][1:] != holders[order][:-1]
        best = order[is_first]
        known, known_places = self.values[holders[best]], self._places[holders[best]]
        earlier = (values[best] == known) & (places[best] < known_places)
        best = best[(values[best] > known) | earlier]
        targets = holders[best]
        self.values[targets], self._places[targets] = values[best], places[best]
        self.runs[targets] = run
        self.ids[targets] = ids.take(pa.array(best)).to_pylist()

    def chosen(self, holders: np.ndarray) -> Matches:
        """Those of some holders."""
        matches = Matches(len(holders))
        matches.values, matches.runs = self.values[holders], self.runs[holders]
        matches.ids = self.ids[holders]
        return matches


class Wanted:
    """Documents that are looked for, and their best match of each kind.

    Args:
      documents: their fingerprints.
      settings: of the recipe.
    """

    def __init__(self, documents: Fingerprints, settings: Deduplicate) -> None:
        self._texts = documents.texts
        self._signatures = documents.signatures
        self._compared = documents.compared
        near = settings.near
        self._verify = near.verify != "off"
        self._least = near.similarity if self._verify else 0.0
        self._count = len(documents.texts)
        self._matches: dict[str, Matches] = {}
        self._bands: list[KeyTable] = []
        if settings.exact:
            self._copies = np.flatnonzero(documents.texts[:, 0] != HASH_OF_NOTHING)
            self._hashes = KeyTable(documents.texts[self._copies, 0])
            self._matches[EXACT] = Matches(self._count)
        if settings.url != "off":
            self._captures = np.flatnonzero(documents.has_page)
            self._pages = KeyTable(documents.pages[self._captures])
            self._matches[URL] = Matches(self._count)
        if near.enabled:
            self._bands = [KeyTable(keys) for keys in documents.bands.T]
            self._matches[NEAR] = Matches(self._count)

    def compare(self, batch: pa.RecordBatch, place: int, run: int) -> None:
        """Compares them with some rows of an index.

        Args:
          batch: the rows.
          place: of the first among the rows of all indexes.
          run: number of the index.
        """
        older, ids = read_fingerprints(batch), batch.column("id")
        for kind, holders, rows, values in self._pairs(older):
            chosen = ids.take(pa.array(rows))
            self._matches[kind].offer(holders, place + rows, values, chosen, run)

    def _pairs(
        self, older: Fingerprints
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """Yields (kind, holders, rows of the older ones, similarities) of those that match."""
        if EXACT in self._matches:
            for found, rows in self._hashes.pairs(older.texts[:, 0]):
                holders = self._copies[found]
                same = self._texts[holders, 1] == older.texts[rows, 1]
                yield EXACT, holders[same], rows[same], np.ones(int(same.sum()))
        if URL in self._matches:
            captures = np.flatnonzero(older.has_page)
            for found, rows in self._pages.pairs(older.pages[captures]):
                yield URL, self._captures[found], captures[rows], np.ones(len(rows))
        for band, table in enumerate(self._bands if len(older.compared) else ()):
            for found, rows in table.pairs(older.bands[:, band]):
                values = estimated_similarity(self._signatures[found], older.signatures[rows])
                similar = values >= self._least
                holders, places = self._compared[found], older.compared[rows]
                yield NEAR, holders[similar], places[similar], values[similar]

    def found(self) -> Iterator[tuple[str, np.ndarray, Matches, pa.Array]]:
        """Yields (kind, int64 holders, their matches, similarities); each document in one kind."""
        left = np.ones(self._count, np.bool_)
        for kind, matches in self._matches.items():
            holders = np.flatnonzero(left & (matches.values >= 0))
            left[holders] = False
            chosen = matches.chosen(holders)
            is_known = kind == EXACT or (kind == NEAR and self._verify)
            values = chosen.values if is_known else np.full(len(holders), np.nan)
            yield kind, holders, chosen, pa.array(values, pa.float32(), from_pandas=True)
