"""What the text benchmarks run on: documents and pages of any collection, always the same ones."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from filters.folding import fold_texts
from filters.kernels.folding import FoldedBatch
from filters.kernels.text_batch import TextBatch
from pipeline.reading.input_files import ReadLimits, Record, read_records

BATCH_BYTES = 1 << 20
# Lengths of documents: log-normal, 2 KB of UTF-8 on average, as on the web.
MEAN_LOG_CHARACTERS = 6.0
DEVIATION = 1.0


@dataclass(frozen=True)
class Documents:
    """Texts, in the forms that the ways of working on them begin with."""

    strings: tuple[str, ...]

    def first(self, count: int) -> Documents:
        return Documents(self.strings[:count])

    def __len__(self) -> int:
        return len(self.strings)

    @cached_property
    def megabytes(self) -> float:
        return sum(len(text.encode()) for text in self.strings) / 1e6

    @cached_property
    def encoded(self) -> list[bytes]:
        return [text.encode() for text in self.strings]

    @cached_property
    def columns(self) -> list[pa.StringArray]:
        """Arrow columns of about BATCH_BYTES each."""
        groups: list[list[str]] = [[]]
        size = 0
        for text in self.strings:
            if size > BATCH_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(text)
            size += len(text.encode())
        return [pa.array(group, pa.string()) for group in groups]

    @cached_property
    def batches(self) -> list[TextBatch]:
        return [TextBatch.from_arrow(column) for column in self.columns]

    @cached_property
    def folded(self) -> list[FoldedBatch]:
        return [fold_texts(batch) for batch in self.batches]


@dataclass(frozen=True)
class Page:
    """An HTML page as a crawl holds it."""

    url: str
    charset: str | None
    body: bytes


@dataclass(frozen=True)
class Crawl:
    """Pages, and WARC files that hold them."""

    pages: tuple[Page, ...]

    def first(self, count: int) -> Crawl:
        return Crawl(self.pages[:count])

    def __len__(self) -> int:
        return len(self.pages)

    @cached_property
    def megabytes(self) -> float:
        return sum(len(page.body) for page in self.pages) / 1e6

    @cached_property
    def file(self) -> Path:
        """All pages in one WARC file, a gzip member each."""
        return self.write(Path(tempfile.mkdtemp(prefix="pangu-benchmark-")), 1)[0]

    @cached_property
    def decoded(self) -> list[tuple[bytes, str, str]]:
        """Of each page that decodes: UTF-8, the same as a string, and the URL."""
        from filters.encoding import UndecodableError, decode_page

        found = []
        for page in self.pages:
            try:
                utf8 = decode_page(page.body, page.charset).utf8
            except UndecodableError:
                continue
            found.append((utf8, utf8.decode(), page.url))
        return found

    def write(self, folder: Path, files: int) -> list[Path]:
        """Writes the pages into so many WARC files, in turn."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"crawl-{number:02}.warc.gz" for number in range(files)]
        for number, path in enumerate(paths):
            with path.open("wb") as file:
                for page in self.pages[number::files]:
                    file.write(gzip.compress(_record(page), 6, mtime=0))
        return paths


def _record(page: Page) -> bytes:
    charset = f"; charset={page.charset}" if page.charset else ""
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html{charset}\r\n\r\n".encode() + page.body
    head = (
        f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: {page.url}\r\n"
        "WARC-Date: 2024-05-18T01:58:10Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def read_crawl(paths: Sequence[Path]) -> Crawl:
    """The HTML pages of WARC files."""
    pages = []
    for path in paths:
        with path.open("rb") as file:
            for item in read_records(file, path.name, "auto", ReadLimits()):
                if isinstance(item, Record) and item.kind == "html" and item.http_status == 200:
                    pages.append(Page(item.url, item.charset, item.body))
    return Crawl(tuple(pages))


def read_documents(paths: Sequence[Path], megabytes: float, seed: int = 1) -> Documents:
    """Documents resampled from texts: runs of paragraphs, of lengths as on the web.

    Args:
      paths: JSONL, Parquet (both with a column `text`) or text files, or folders of them.
      megabytes: of UTF-8 to make.
    """
    paragraphs = [
        line.strip() for text in texts_of(paths) for line in text.split("\n") if line.strip()
    ]
    chance = random.Random(seed)
    strings: list[str] = []
    size = 0
    while size < megabytes * 1e6:
        wanted = int(chance.lognormvariate(MEAN_LOG_CHARACTERS, DEVIATION))
        place = chance.randrange(len(paragraphs))
        chosen: list[str] = []
        while wanted > 0:
            chosen.append(paragraphs[place % len(paragraphs)])
            wanted -= len(chosen[-1])
            place += 1
        strings.append("\n".join(chosen))
        size += len(strings[-1].encode())
    return Documents(tuple(strings))


def texts_of(paths: Sequence[Path]) -> Iterator[str]:
    """Yields the texts of JSONL, Parquet (both with a column `text`) or text files, or folders."""
    for path in paths:
        if path.is_dir():
            yield from texts_of(sorted(path.iterdir()))
        elif path.suffix == ".parquet":
            yield from pq.read_table(path, columns=["text"])["text"].to_pylist()
        elif ".jsonl" in path.name:
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rt", encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)["text"]
        elif path.suffix == ".txt":
            yield path.read_text(encoding="utf-8", errors="replace")


def sample_words(documents: Documents, count: int, seed: int = 1) -> list[str]:
    """So many different words of 2 to 5 characters, most of which stand in the documents."""
    chance = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        text = chance.choice(documents.strings)
        start = chance.randrange(len(text))
        word = text[start : start + chance.randint(2, 5)].strip()
        if len(word) >= 2 and word.isalpha():
            words[word] = None
    return list(words)
