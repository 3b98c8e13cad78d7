"""Documents of which it is known how they were made from each other: copies, edits, templates.

Originals are runs of lines of any collection, each line used once, so that two of them are alike
only where the collection repeats itself. Some get copies, changed in one of the ways of `KINDS`.
How alike two documents really are is not planned but measured afterwards (`dedup_truth.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.text_corpus import DEVIATION, MEAN_LOG_CHARACTERS, texts_of

# Characters below which no original is made, since one edit would change half of it.
SHORTEST = 100
EDITS = (0.005, 0.01, 0.02, 0.05, 0.10)
REPLACED = (0.1, 0.2, 0.3)
# An issue of a page that comes out with other numbers; pages of one site; versions of one page.
ISSUES, PAGES, VERSIONS = 4, 16, 6
DRIFT = 0.015
LARGEST_FAMILY = 40
ROW_GROUP = 10_000

ALONE, ORIGINAL = "alone", "original"


@dataclass(frozen=True)
class Document:
    """A text and how it came to be.

    Attributes:
      text: never empty.
      kind: one of `KINDS`, or `original` for a document that others were made from.
      origin: number of the document that it was made from; its own number if from none.
    """

    text: str
    kind: str
    origin: int


class Originals:
    """Takes originals from a collection, and pieces of them to mix into others.

    Args:
      lines: of the collection, in its order.
      chance: decides how long the next one is.
    """

    def __init__(self, lines: Iterable[str], chance: random.Random) -> None:
        self._lines = iter(lines)
        self._chance = chance
        self._taken: list[str] = []

    def take(self) -> str:
        """The next original.

        Raises:
          StopIteration: the collection has no more lines.
        """
        wanted = max(SHORTEST, self._chance.lognormvariate(MEAN_LOG_CHARACTERS, DEVIATION))
        lines = [next(self._lines)]
        size = len(lines[0])
        while size < wanted:
            lines.append(next(self._lines))
            size += len(lines[-1])
        self._taken.append("\n".join(lines))
        return self._taken[-1]

    def piece(self, characters: int) -> str:
        """So many characters of earlier originals."""
        text = ""
        while len(text) < characters:
            text += self._chance.choice(self._taken)
        start = self._chance.randrange(len(text) - characters + 1)
        return text[start : start + characters]


def edited(text: str, share: float, chance: random.Random) -> str:
    """A text with a share of its hanzi, at least one, replaced, followed by another, or left out.

    New characters are from the text itself, so that they are as common as the others.
    """
    characters = list(text)
    places = [place for place, character in enumerate(characters) if _is_hanzi(character)]
    new = [characters[place] for place in places]
    for place in chance.sample(places, min(len(places), max(1, round(share * len(places))))):
        other = chance.choice(new)
        characters[place] = chance.choice((other, characters[place] + other, ""))
    return "".join(characters)


def _is_hanzi(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def with_other_head(text: str, share: float, others: Originals) -> str:
    """A text whose first part is of another document."""
    length = round(share * len(text))
    return others.piece(length) + text[length:]


def with_other_tail(text: str, share: float, others: Originals) -> str:
    """A text whose last part is of another document."""
    length = round(share * len(text))
    return text[: len(text) - length] + others.piece(length)


def traditional(text: str) -> str:
    """A text in traditional writing, as OpenCC has it."""
    converted: str = _converter().convert(text)
    return converted


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("s2t")


_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_ASCII_MARKS = str.maketrans("，。！？；：（）“”", ',.!?;:()""')


def other_form(text: str, chance: random.Random) -> str:
    """The same letters and digits: another width, other marks, spaces and line breaks."""
    marks = text.translate(_ASCII_MARKS) if chance.random() < 0.5 else text
    wide = marks.translate(_FULL_WIDTH) if chance.random() < 0.5 else marks
    return "\u3000\u3000" + wide.replace("\n", chance.choice((" ", "\n\n", "\n\u3000\u3000")))


def issues(text: str, chance: random.Random) -> list[str]:
    """Issues of one page which differ in the numbers that stand every so often in the text."""
    distance = chance.randint(30, 200)
    pieces = [text[start : start + distance] for start in range(0, len(text), distance)]
    digits = [chance.randint(1, 4) for _ in pieces]
    return [
        "".join(
            piece + "".join(chance.choices("0123456789", k=count))
            for piece, count in zip(pieces, digits, strict=True)
        )
        for _ in range(ISSUES)
    ]


def pages_of_site(others: Originals, chance: random.Random) -> list[str]:
    """Different articles between one head and one foot, which are up to 60 % of an average page."""
    articles = [others.take() for _ in range(PAGES)]
    average = sum(map(len, articles)) / PAGES
    share = chance.uniform(0.2, 0.6)
    both = round(average * share / (1 - share))
    head, foot = others.piece(both // 2), others.piece(both - both // 2)
    # An article too short for its site would be little but template.
    return [f"{head}\n{text}\n{foot}" for text in articles if len(text) > average / 2]


def versions(text: str, chance: random.Random) -> list[str]:
    """A page and its versions, each edited a little more, so that the first and last differ."""
    chain = [text]
    while len(chain) < VERSIONS:
        chain.append(edited(chain[-1], DRIFT, chance))
    return chain


def family(text: str, chance: random.Random) -> list[str]:
    """A page that many have copied: mostly a few copies, seldom dozens, some equal, some edited."""
    size = min(LARGEST_FAMILY, 1 + int(chance.paretovariate(1)))
    shares = [chance.choice((0, 0, 0.005, 0.01, 0.02)) for _ in range(size)]
    return [edited(text, share, chance) if share else text for share in shares]


# From (original, others, chance) to the documents that are made of it.
Maker = Callable[[str, Originals, random.Random], Sequence[str]]


def _edit(share: float) -> Maker:
    return lambda text, others, chance: [edited(text, share, chance)]


def _head(share: float) -> Maker:
    return lambda text, others, chance: [with_other_head(text, share, others)]


def _tail(share: float) -> Maker:
    return lambda text, others, chance: [with_other_tail(text, share, others)]


# Kind -> how many originals of a hundred, and what is made of such a one.
COPIES: dict[str, tuple[float, Maker]] = {
    "copy": (4, lambda text, others, chance: [text]),
    **{f"edited {share:.1%}": (4, _edit(share)) for share in EDITS},
    **{f"head {share:.0%}": (2, _head(share)) for share in REPLACED},
    **{f"tail {share:.0%}": (2, _tail(share)) for share in REPLACED},
    "traditional": (3, lambda text, others, chance: [traditional(text)]),
    "form": (3, lambda text, others, chance: [other_form(text, chance)]),
    "family": (2, lambda text, others, chance: family(text, chance)),
    # The first of these is as much an issue, a version or a page of the site as the others.
    "issues": (2, lambda text, others, chance: issues(text, chance)),
    "versions": (1, lambda text, others, chance: versions(text, chance)),
    "site": (0.5, lambda text, others, chance: pages_of_site(others, chance)),
}
WITHOUT_ORIGINAL = ("issues", "versions", "site")
KINDS = (*COPIES, ALONE, ORIGINAL)


def make_corpus(paths: Sequence[Path], documents: int, seed: int = 1) -> list[Document]:
    """Makes at least so many documents, in an order that says nothing about their kinds.

    Args:
      paths: JSONL, Parquet (both with a column `text`) or text files, or folders of them.
      documents: how many; fewer where the collection is too small.
      seed: the same seed and collection give the same documents.
    """
    chance = random.Random(seed)
    others = Originals(_lines(paths), chance)
    made: list[Document] = []
    kinds = [*COPIES, ALONE]
    weights = [weight for weight, _ in COPIES.values()]
    weights.append(100 - sum(weights))
    try:
        while len(made) < documents:
            kind = chance.choices(kinds, weights)[0]
            made += _group(kind, others, chance, len(made))
    except StopIteration:
        pass
    order = list(range(len(made)))
    chance.shuffle(order)
    place = {number: new for new, number in enumerate(order)}
    return [Document(made[n].text, made[n].kind, place[made[n].origin]) for n in order]


def _group(kind: str, others: Originals, chance: random.Random, number: int) -> list[Document]:
    """An original and what is made of it, the first of which has this number."""
    text = others.take()
    if kind == ALONE:
        return [Document(text, ALONE, number)]
    texts = COPIES[kind][1](text, others, chance)
    if kind in WITHOUT_ORIGINAL:
        return [Document(text, kind, number) for text in texts]
    return [Document(text, ORIGINAL, number), *(Document(text, kind, number) for text in texts)]


def _lines(paths: Sequence[Path]) -> Iterator[str]:
    for text in texts_of(paths):
        for line in text.split("\n"):
            if line.strip():
                yield line.strip()


def write_corpus(documents: Sequence[Document], path: Path) -> None:
    """Writes the texts into a Parquet file, with ids in their order."""
    ids = [f"{number:09}" for number in range(len(documents))]
    table = pa.table({"id": ids, "text": [document.text for document in documents]})
    pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd")
