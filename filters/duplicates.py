"""From candidate pairs to clusters: which texts are similar, and which document stands for which.

Two rules keep clusters honest. Only similar texts are connected: a candidate pair counts once its
similarity is known. And a document is merged only into one that it resembles: where A is like B
and B like C, but C not like A, the best of them takes in what is like it, then of the rest the
next best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from filters.duplicate_settings import Deduplicate, KeepBy, NearDuplicates
from filters.kernels.components import Forest
from filters.minhash import match_probability

# Texts of a bucket of which every pair is compared.
SMALL_BUCKET = 8
# Groups that are looked for in one large bucket, and survivors in one connected component. What is
# left then stays in the corpus.
ROUNDS = 32

EXACT, URL, NEAR = "exact", "url", "near"
# The same, of a document that is merged into one of an older corpus.
OLDER = {EXACT: "older_exact", URL: "older_url", NEAR: "older_near"}


class Similarities:
    """Similarities of pairs of texts. Those of similar pairs are remembered.

    Args:
      texts: number of texts.
      compute: from int64 (pairs, 2), numbers of texts, the smaller first, to float64 (pairs,).
      least: from which two texts are similar; of the others there may be too many to remember.
    """

    def __init__(
        self, texts: int, compute: Callable[[np.ndarray], np.ndarray], least: float
    ) -> None:
        self.least = least
        self._texts = max(1, texts)
        self._compute = compute
        self._codes = np.empty(0, np.int64)
        self._values = np.empty(0, np.float64)

    def of(self, pairs: np.ndarray) -> np.ndarray:
        """The similarity of each pair: float64 (pairs,).

        Args:
          pairs: int64 (pairs, 2), two different texts each.
        """
        if len(pairs) == 0:
            return np.empty(0, np.float64)
        codes = pairs.min(axis=1) * self._texts + pairs.max(axis=1)
        unknown = np.setdiff1d(codes, self._codes)
        computed = self._compute(np.column_stack(np.divmod(unknown, self._texts)))
        known = np.concatenate([self._codes, unknown])
        order = np.argsort(known, kind="stable")
        known, values = known[order], np.concatenate([self._values, computed])[order]
        is_similar = values >= self.least
        self._codes, self._values = known[is_similar], values[is_similar]
        return values[np.searchsorted(known, codes)]


def similar_pairs(
    pairs: np.ndarray,
    members: np.ndarray,
    starts: np.ndarray,
    similarities: Similarities,
) -> np.ndarray:
    """The candidates that are similar.

    A large bucket may mix several groups. All its texts are compared with the first; then all with
    the first of those that are like none so far; and so on, for up to ROUNDS rounds.

    Args:
      pairs: int64 (pairs, 2), texts to compare.
      members, starts: int64, texts of large buckets: bucket i is members[starts[i]:starts[i + 1]].
      similarities: of the texts.

    Returns:
      int64 (similar, 2).
    """
    found = [pairs[similarities.of(pairs) >= similarities.least]]
    buckets = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    is_alone = np.ones(len(members), np.bool_)
    for _ in range(ROUNDS):
        alone = np.flatnonzero(is_alone)
        if len(alone) == 0:
            break
        leaders = alone[_firsts(buckets[alone])[0]]
        leader_of = np.full(len(starts) - 1, -1)
        leader_of[buckets[leaders]] = leaders
        led_by = leader_of[buckets]
        others = np.flatnonzero((led_by >= 0) & (led_by != np.arange(len(members))))
        compared = np.column_stack([members[led_by[others]], members[others]])
        is_similar = similarities.of(compared) >= similarities.least
        found.append(compared[is_similar])
        is_alone[others[is_similar]] = False
        is_alone[leaders] = False
    return np.concatenate(found)


def _firsts(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For sorted group numbers: whether a row is the first of its group, and which row that is."""
    is_first = np.ones(len(groups), np.bool_)
    is_first[1:] = groups[1:] != groups[:-1]
    return is_first, np.flatnonzero(is_first)[np.cumsum(is_first) - 1]


def cover(
    labels: np.ndarray,
    ranks: np.ndarray,
    similarities: Similarities | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses survivors: in each component the best text takes in all that are like it, then of
    those left the next best, and so on.

    Args:
      labels: int64 (texts,), component of each text; -1 for one that may not survive.
      ranks: int64 (texts,), 0 is the best.
      similarities: of the texts; None takes in all of a component.

    Returns:
      survivors int64 (texts,), and float64 (texts,) how similar a text is to its survivor: 1 to
      itself, nan where nobody looked.
    """
    survivors = np.arange(len(labels))
    similarity = np.ones(len(labels))
    left = np.lexsort((ranks, labels))
    left = left[labels[left] >= 0]
    for _ in range(ROUNDS):
        if len(left) == 0:
            break
        is_first, first = _firsts(labels[left])
        others, best = left[~is_first], left[first][~is_first]
        if similarities is None:
            values = np.full(len(others), np.nan)
            is_similar = np.ones(len(others), np.bool_)
        else:
            values = similarities.of(np.column_stack([best, others]))
            is_similar = values >= similarities.least
        survivors[others[is_similar]] = best[is_similar]
        similarity[others[is_similar]] = values[is_similar]
        left = others[~is_similar]
    return survivors, similarity


@dataclass(frozen=True)
class Members:
    """Documents that may be duplicates of each other, as columns of equal length.

    Attributes:
      ids: numbers or fixed-width bytes; only their order counts.
      quality: float.
      lengths: int, characters.
      sources: int, place of the document's source in the recipe.
      captured: int, seconds; any small number where unknown.
      texts: int, equal for equal texts, counted from 0.
      addresses: int, equal for captures of one address; -1 where there is none.
      has_shingles: bool, whether a text is long enough to be compared.
    """

    ids: np.ndarray
    quality: np.ndarray
    lengths: np.ndarray
    sources: np.ndarray
    captured: np.ndarray
    texts: np.ndarray
    addresses: np.ndarray
    has_shingles: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def ranks(self, keep: Sequence[KeepBy]) -> np.ndarray:
        """int64 (documents,): 0 for the one that is kept before all others."""
        columns = {
            "quality": -np.nan_to_num(self.quality.astype(np.float64), nan=-np.inf),
            "source_priority": self.sources,
            "length": -self.lengths,
            "id": self.ids,
        }
        order = np.lexsort([columns[name] for name in reversed([*keep, "id"])])
        ranks = np.empty(len(self), np.int64)
        ranks[order] = np.arange(len(self))
        return ranks


@dataclass(frozen=True)
class Verdicts:
    """What becomes of each document.

    Attributes:
      survivors: int64 (documents,), the document that stands for it: itself where it stays.
      kinds: str (documents,): exact, url or near, of those that do not stay; "" of those that do.
      similarity: float64 (documents,), to the survivor; nan where it was not computed.
    """

    survivors: np.ndarray
    kinds: np.ndarray
    similarity: np.ndarray


def judge(
    members: Members,
    similar: np.ndarray,
    similarities: Similarities | None,
    settings: Deduplicate,
) -> Verdicts:
    """Decides which documents stay.

    Of several captures of one address one is chosen, then of copies of one text, then of similar
    texts; a document follows the one it was merged into.

    Args:
      members: the documents.
      similar: int64 (pairs, 2), connected texts, as numbered in `members.texts`.
      similarities: of the texts, or None to merge whatever is connected.
      settings: of the recipe.
    """
    ranks = members.ranks(settings.keep)
    captures = _best_captures(members, ranks, settings)
    stays = captures == np.arange(len(members))
    count = int(members.texts.max(initial=-1)) + 1
    # The best document of each text that has one left; copies of a text too short to compare count
    # as copies only where the recipe asks for equal texts.
    best = np.full(count, -1, np.int64)
    order = np.argsort(-ranks)
    candidates = order[stays[order]]
    best[members.texts[candidates]] = candidates
    copies = np.arange(len(members))
    merged = stays & (members.has_shingles if not settings.exact else True)
    copies[merged] = best[members.texts[merged]]

    forest = Forest(count)
    forest.connect(similar)
    alive = best >= 0
    labels = np.where(alive, forest.labels(), -1)
    text_ranks = np.where(alive, ranks[best], len(members))
    covered, text_similarity = cover(labels, text_ranks, similarities)
    survivors = best[covered[members.texts[copies]]]
    # A copy that is not merged stands for itself.
    survivors = np.where(copies == best[members.texts[copies]], survivors, copies)
    near_similarity = np.where(survivors == copies, 1.0, text_similarity[members.texts[copies]])
    final = survivors[captures]
    similarity = near_similarity[captures]

    same_text = members.texts == members.texts[final]
    kinds = np.where(same_text, EXACT, np.where(stays, NEAR, URL)).astype("<U5")
    kinds[final == np.arange(len(members))] = ""
    return Verdicts(final, kinds, np.where(same_text, 1.0, np.where(stays, similarity, np.nan)))


def _best_captures(members: Members, ranks: np.ndarray, settings: Deduplicate) -> np.ndarray:
    """int64 (documents,): of the captures of a document's address, the one that stays."""
    best = np.arange(len(members))
    if settings.url == "off":
        return best
    first = members.captured if settings.url == "newest" else members.lengths
    order = np.lexsort((ranks, -first, members.addresses))
    order = order[members.addresses[order] >= 0]
    _, firsts = _firsts(members.addresses[order])
    best[order] = order[firsts]
    return best


def explain(settings: Deduplicate) -> list[str]:
    """What the settings merge, and how likely near-duplicates are found, in lines for a person."""
    near = settings.near
    lines = []
    if settings.exact:
        lines.append("merge equal texts")
    if settings.url != "off":
        lines.append(f"merge captures of one address; the {settings.url} stays")
    if near.enabled:
        lines.append(_VERIFIED[near.verify].format(f"{near.similarity:g}"))
        least = near.similarity if near.verify != "off" else 0.5
        values = [least + (1 - least) * step / 4 for step in range(4)]
        lines.append(f"  chance of being compared, by similarity: {_curve(near, values)}")
        if near.verify != "off":
            below = [value for value in (0.3, 0.5, 0.7) if value < near.similarity]
            lines.append(f"  compared in vain: {_curve(near, below)}")
    if lines:
        lines += [f"merge what the corpus of {run} holds into it" for run in settings.against]
        lines.append(f"keep the best by {', '.join(settings.keep)}")
    return lines


_VERIFIED = {
    "exact": "merge texts of similarity {} and more, each pair checked by its shingles",
    "signature": "merge texts of about similarity {} and more, each pair checked by its signatures",
    "off": "merge whatever shares a band, unchecked",
}


def _curve(near: NearDuplicates, values: Sequence[float]) -> str:
    """The S-curve of MinHash at some similarities."""
    return ", ".join(
        f"{value:.2f}: {match_probability(value, near.bands, near.rows):.1%}" for value in values
    )
