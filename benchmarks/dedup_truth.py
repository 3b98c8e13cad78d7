"""Which documents are alike, by brute force, and how well somebody's clusters agree with that.

Alike is the Jaccard similarity of the sets of runs of five letters or digits, folded as for the
signatures. Every pair from `LEAST` on is found, whether or not it was planned. Two sets of which
the smaller has n runs cannot be so alike unless they share one of their rarest (1 − LEAST) × n + 1
runs (prefix filtering, Chaudhuri et al. 2006), so only documents that share one of those are
compared; nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.dedup_corpus import ALONE, Document
from filters.folding import fold_texts
from filters.kernels.shingle_sets import PackedSets, jaccard_of
from filters.kernels.text_batch import TextBatch

SHINGLE = 5
SIMILAR = 0.8
# Pairs below are not listed.
LEAST = 0.7
_BATCH = 4096
# Pairs that are held before those found twice are thrown away.
_WAITING = 1 << 25


@dataclass(frozen=True)
class Truth:
    """All pairs of documents that are alike.

    Attributes:
      documents: how many there are.
      pairs: int64 (pairs, 2), the smaller number first.
      similarity: float64 (pairs,), LEAST … 1.
    """

    documents: int
    pairs: np.ndarray
    similarity: np.ndarray

    @property
    def similar(self) -> np.ndarray:
        """int64 (n, 2): the pairs that are to be merged."""
        return self.pairs[self.similarity >= SIMILAR]


def find_truth(texts: Sequence[str]) -> Truth:
    """Compares all texts."""
    sets = shingle_sets(texts)
    sizes = np.diff(sets.starts)
    pairs = _candidates(sets, sizes)
    similarity = jaccard_of(sets, pairs, LEAST)
    is_alike = similarity >= LEAST
    return Truth(len(texts), pairs[is_alike], similarity[is_alike])


def shingle_sets(texts: Sequence[str]) -> PackedSets:
    """The texts' sets of runs as numbers, the rarest run of all being 0.

    Runs are told apart by 64-bit hashes: that two of a billion different ones are taken for the
    same happens once in forty collections.
    """
    hashes, owners = [], []
    for first in range(0, len(texts), _BATCH):
        comparable = fold_texts(TextBatch.from_strings(texts[first : first + _BATCH])).comparable
        found, counts = _runs(comparable)
        hashes.append(found)
        owners.append(np.repeat(np.arange(first, first + len(counts)), counts))
    values = np.concatenate([np.empty(0, np.uint64), *hashes])
    documents = np.concatenate([np.empty(0, np.int64), *owners])
    order = np.argsort(values, kind="stable")
    values, documents = values[order], documents[order]
    is_first = np.ones(len(values), np.bool_)
    is_first[1:] = (values[1:] != values[:-1]) | (documents[1:] != documents[:-1])
    values, documents = values[is_first], documents[is_first]
    borders = np.flatnonzero(np.diff(values, prepend=~values[:1]))
    frequency = np.diff(borders, append=len(values))
    rank = np.empty(len(frequency), np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency))
    numbers = np.repeat(rank, frequency)
    ordered = np.sort(documents.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64))
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.bincount(documents, minlength=len(texts)), out=starts[1:])
    return PackedSets((ordered & np.uint64(0xFFFF_FFFF)).astype(np.uint32), starts)


def _runs(texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit hash of each run of SHINGLE characters, and the number of runs of each text."""
    characters = texts.characters.astype(np.uint64)
    counts = np.maximum(0, np.diff(texts.starts) - (SHINGLE - 1))
    places = np.arange(counts.sum()) + np.repeat(
        texts.starts[:-1] - (np.cumsum(counts) - counts), counts
    )
    state = np.zeros(len(places), np.uint64)
    for offset in range(SHINGLE):
        state = (state ^ characters[places + offset]) * np.uint64(0x9E37_79B9_7F4A_7C15)
        state ^= state >> np.uint64(32)
    return state, counts


def _candidates(sets: PackedSets, sizes: np.ndarray) -> np.ndarray:
    """Pairs of sets that share one of their rarest members and are not too different in size."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    places = np.arange(len(owners)) - sets.starts[owners]
    prefix = sizes - np.ceil(LEAST * sizes - 1e-9).astype(np.int64) + 1
    chosen = np.flatnonzero(places < prefix[owners])
    chosen = chosen[np.argsort(sets.hashes[chosen], kind="stable")]
    members, owners = sets.hashes[chosen].astype(np.int64), owners[chosen]
    starts = np.flatnonzero(np.diff(members, prepend=-1))
    lengths = np.diff(starts, append=len(members))
    found = np.empty(0, np.int64)
    waiting: list[np.ndarray] = []
    held = 0
    for length in np.unique(lengths[lengths > 1]):
        first, second = np.triu_indices(length, 1)
        of_length = starts[lengths == length]
        step = max(1, _WAITING // len(first))
        for begin in range(0, len(of_length), step):
            here = of_length[begin : begin + step, None]
            a, b = owners[here + first].ravel(), owners[here + second].ravel()
            fits = np.minimum(sizes[a], sizes[b]) >= LEAST * np.maximum(sizes[a], sizes[b])
            waiting.append(a[fits] * len(sizes) + b[fits])
            held += len(waiting[-1])
            if held > _WAITING:
                found, waiting, held = np.unique(np.concatenate([found, *waiting])), [], 0
    found = np.unique(np.concatenate([found, *waiting]))
    return np.column_stack(np.divmod(found, max(1, len(sizes))))


Band = tuple[float, float]
BANDS: tuple[Band, ...] = ((0.8, 0.85), (0.85, 0.9), (0.9, 0.95), (0.95, 1.01))


@dataclass(frozen=True)
class Score:
    """How well clusters agree with the truth.

    Attributes:
      removed: documents that are gone.
      precision: share of them that are similar to one that stays.
      recall: share of the documents that had to go; those which should still go are what an exact
        search would take out of what is left.
      pair_precision, pair_recall: of pairs in one cluster, of similar pairs. Clusters around one
        survivor cannot have all: of three, each like the next, only two may be together.
      apart: share of similar pairs of which not both stay.
    """

    removed: int
    precision: float
    recall: float
    pair_precision: float
    pair_recall: float
    apart: float

    @property
    def f1(self) -> float:
        return _harmonic(self.precision, self.recall)

    @property
    def pair_f1(self) -> float:
        return _harmonic(self.pair_precision, self.pair_recall)


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def score(truth: Truth, survivors: np.ndarray) -> Score:
    """Judges clusters.

    Args:
      truth: of the documents.
      survivors: int64 (documents,), the document that stands for each; itself where it stays.
    """
    removed = survivors != np.arange(truth.documents)
    right = removed & (nearest(truth, survivors) >= SIMILAR)
    left = still_to_remove(truth, survivors)
    similar = truth.similar
    together = (survivors[similar[:, 0]] == survivors[similar[:, 1]]).sum()
    sizes = np.bincount(survivors, minlength=1).astype(np.int64)
    return Score(
        removed=int(removed.sum()),
        precision=_share(right.sum(), removed.sum()),
        recall=_share(right.sum(), right.sum() + left),
        pair_precision=_share(together, (sizes * (sizes - 1) // 2).sum()),
        pair_recall=_share(together, len(similar)),
        apart=_share(is_apart(similar, survivors).sum(), len(similar)),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


def is_apart(pairs: np.ndarray, survivors: np.ndarray) -> np.ndarray:
    """bool (pairs,): whether not both documents of a pair stay."""
    return (survivors[pairs] != pairs).any(axis=1)


def nearest(truth: Truth, survivors: np.ndarray) -> np.ndarray:
    """float64 (documents,): the similarity of each to the most similar other one that stays.

    0 stands for everything below LEAST.
    """
    best = np.zeros(truth.documents)
    for one, other in ((0, 1), (1, 0)):
        stays = survivors[truth.pairs[:, other]] == truth.pairs[:, other]
        np.maximum.at(best, truth.pairs[stays, one], truth.similarity[stays])
    return best


def exact_survivors(pairs: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """What an exact search makes of similar pairs: the best document takes in what is like it, then
    of the rest the next best.

    Args:
      pairs: int64 (pairs, 2).
      ranks: int64 (documents,), 0 is the best.

    Returns:
      int64 (documents,): the document that stands for each.
    """
    both = np.concatenate([pairs, pairs[:, ::-1]])
    # Each document's neighbours one after another, documents in the order of their ranks.
    both = both[np.lexsort((ranks[both[:, 1]], ranks[both[:, 0]]))]
    survivors = np.arange(len(ranks))
    stays = np.zeros(len(ranks), np.bool_)
    for first, second in both.tolist():
        if survivors[first] == first:
            stays[first] = True
            if not stays[second] and survivors[second] == second:
                survivors[second] = first
    return survivors


def still_to_remove(truth: Truth, survivors: np.ndarray) -> int:
    """How many of the documents that stay an exact search would take out."""
    left = truth.similar[~is_apart(truth.similar, survivors)]
    exact = exact_survivors(left, np.arange(truth.documents))
    return int((exact != np.arange(truth.documents)).sum())


@dataclass(frozen=True)
class KindScore:
    """What became of one kind of documents.

    Attributes:
      documents: of the kind.
      planned: those that are similar to the document that they were made from.
      found: share of those of which not both stay.
      removed: share of all of the kind that are gone.
      wrong: documents that are gone although nothing that stays is similar to them.
    """

    documents: int
    planned: int
    found: float
    removed: float
    wrong: int


def score_kinds(
    documents: Sequence[Document], truth: Truth, survivors: np.ndarray
) -> dict[str, KindScore]:
    """The score of each kind that was made, in the order of the names given by the corpus."""
    numbers = np.arange(len(documents))
    origins = np.array([document.origin for document in documents], np.int64)
    kinds = np.array([document.kind for document in documents])
    similar = truth.similar
    known = np.sort(similar[:, 0] * truth.documents + similar[:, 1])
    codes = np.minimum(numbers, origins) * truth.documents + np.maximum(numbers, origins)
    planned = np.isin(codes, known)
    apart = is_apart(np.column_stack([numbers, origins]), survivors)
    removed = survivors != numbers
    wrong = removed & (nearest(truth, survivors) < SIMILAR)
    scores = {}
    for kind in dict.fromkeys([*kinds.tolist(), ALONE]):
        of_kind = kinds == kind
        scores[kind] = KindScore(
            documents=int(of_kind.sum()),
            planned=int((of_kind & planned).sum()),
            found=_share((of_kind & planned & apart).sum(), (of_kind & planned).sum()),
            removed=_share((of_kind & removed).sum(), of_kind.sum()),
            wrong=int((of_kind & wrong).sum()),
        )
    return scores


@dataclass(frozen=True)
class BandScore:
    """What became of the pairs of one band of similarity.

    Attributes:
      pairs: how many there are.
      found: share of them of which not both stay.
      lone_pairs: those of which neither document is similar to a third, so that no other pair
        helps.
      lone_found: share of those of which not both stay.
    """

    pairs: int
    found: float
    lone_pairs: int
    lone_found: float


def score_bands(truth: Truth, survivors: np.ndarray) -> dict[Band, BandScore]:
    """The score of each of BANDS."""
    apart = is_apart(truth.pairs, survivors)
    degrees = np.bincount(truth.similar.ravel(), minlength=truth.documents)
    lone = (degrees[truth.pairs] == 1).all(axis=1)
    found = {}
    for low, high in BANDS:
        here = (truth.similarity >= low) & (truth.similarity < high)
        found[low, high] = BandScore(
            int(here.sum()),
            _share((apart & here).sum(), here.sum()),
            int((lone & here).sum()),
            _share((apart & lone & here).sum(), (lone & here).sum()),
        )
    return found
