"""Reading, decoding and main-text extraction with other libraries, as in `text_libraries`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.text_corpus import Crawl
from benchmarks.text_libraries import OfDocument, card_of_document, wheels_of_document

RawWork = Callable[[Crawl], object]


def card_raw_steps(words: Sequence[str]) -> dict[str, Callable[[], RawWork]]:
    """warcio, charset-normalizer, trafilatura and the usual text libraries."""
    pieces = (_warcio, _charset_normalizer, _trafilatura)
    return _raw_steps(*pieces, lambda: card_of_document(words)["whole text path"]())


def wheel_raw_steps(words: Sequence[str]) -> dict[str, Callable[[], RawWork]]:
    """fastwarc, resiliparse and the fastest wheels for text."""
    pieces = (_fastwarc, _resiliparse_charset, _resiliparse)
    return _raw_steps(*pieces, lambda: wheels_of_document(words)["whole text path"]())


def justext_steps() -> dict[str, Callable[[], RawWork]]:
    """jusText, tuned for Chinese: no stop words, lengths in characters."""
    return {"main text": lambda: _extraction(_justext())}


def _raw_steps(
    reader: Callable[[], Callable[[Path], Iterator[bytes]]],
    decoder: Callable[[], Callable[[bytes], str]],
    extractor: Callable[[], OfDocument],
    text_path: Callable[[], OfDocument],
) -> dict[str, Callable[[], RawWork]]:
    def reading() -> RawWork:
        read = reader()
        return lambda crawl: sum(len(body) for body in read(crawl.file))

    def charset() -> RawWork:
        decode = decoder()
        return lambda crawl: [decode(page.body) for page in crawl.pages]

    def whole() -> RawWork:
        read, decode, extract, measure = reader(), decoder(), extractor(), text_path()

        def work(crawl: Crawl) -> None:
            for body in read(crawl.file):
                text = extract(decode(body))
                if text:
                    measure(str(text))

        return work

    return {
        "WARC reading": reading,
        "charset": charset,
        "main text": lambda: _extraction(extractor()),
        "whole raw path": whole,
    }


def _extraction(extract: OfDocument) -> RawWork:
    return lambda crawl: [extract(text) for _, text, _ in crawl.decoded]


def _warcio() -> Callable[[Path], Iterator[bytes]]:
    from warcio.archiveiterator import ArchiveIterator

    def read(path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "response":
                    yield record.content_stream().read()

    return read


def _fastwarc() -> Callable[[Path], Iterator[bytes]]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    def read(path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                yield record.reader.read()

    return read


def _charset_normalizer() -> Callable[[bytes], str]:
    from charset_normalizer import from_bytes

    def decode(body: bytes) -> str:
        best = from_bytes(body).best()
        return body.decode(best.encoding if best else "utf-8", "replace")

    return decode


def _resiliparse_charset() -> Callable[[bytes], str]:
    from resiliparse.parse.encoding import detect_encoding

    def decode(body: bytes) -> str:
        try:
            return body.decode()
        except UnicodeDecodeError:
            name = detect_encoding(body, from_html_meta=True) or "gb18030"
            return body.decode("gb18030" if name.lower().startswith("gb") else name, "replace")

    return decode


def _trafilatura() -> OfDocument:
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return lambda page: trafilatura.extract(page) or ""


def _resiliparse() -> OfDocument:
    from resiliparse.extract.html2text import extract_plain_text

    return lambda page: extract_plain_text(
        page, main_content=True, alt_texts=False, comments=False, list_bullets=False
    )


def _justext() -> OfDocument:
    import justext

    def extract(page: str) -> str:
        try:
            paragraphs = justext.justext(
                page, frozenset(), length_low=20, length_high=60, stopwords_low=0, stopwords_high=0
            )
        except Exception:  # an empty page is an error to it
            return ""
        return "\n".join(part.text for part in paragraphs if not part.is_boilerplate)

    return extract
