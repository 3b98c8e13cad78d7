"""Our way of every step, as the stages take it: batches of about 1 MB, no Python strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from benchmarks.text_corpus import BATCH_BYTES, Crawl, Documents
from filters.classifier import Classifier
from filters.classifier_settings import POSITIVE
from filters.clean import Cleaner, CleanSettings
from filters.encoding import UndecodableError, decode_page
from filters.folding import fold_texts
from filters.kernels.character_variety import CharacterVariety
from filters.kernels.line_statistics import line_statistics_of
from filters.kernels.paragraph_hashes import paragraphs_of
from filters.kernels.repetition import Repetition
from filters.kernels.text_batch import TextBatch
from filters.kernels.word_search import WordIndex
from filters.main_text import ExtractionError, extract_main_text
from filters.minhash import MinHash
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.signals import Measurer
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import Record, read_records
from pipeline.reading.page_extraction import Extracted, PageExtractor
from pipeline.stages.measure import content_hashes

Work = Callable[[Documents], object]
RawWork = Callable[[Crawl], object]


def text_steps(words: Sequence[str], model: bytes) -> dict[str, Callable[[], Work]]:
    """Makers of the work of each step on documents, by the step's name."""

    def decode() -> Work:
        return lambda documents: [TextBatch.from_arrow(column) for column in documents.columns]

    def clean() -> Work:
        cleaner = Cleaner(CleanSettings())
        return lambda documents: [cleaner.clean_batch(batch) for batch in documents.batches]

    def personal_data() -> Work:
        masker = PersonalDataMasker(PersonalDataSettings())
        return lambda documents: [masker.mask_batch(batch) for batch in documents.batches]

    def statistics() -> Work:
        variety = CharacterVariety()

        def work(documents: Documents) -> None:
            for batch in documents.batches:
                line_statistics_of(batch)
                variety.measure(batch)

        return work

    def repetition() -> Work:
        kernel = Repetition()
        return lambda documents: [kernel.measure(batch) for batch in documents.batches]

    def folding() -> Work:
        return lambda documents: [fold_texts(batch) for batch in documents.batches]

    def keywords() -> Work:
        index = WordIndex({"words": words})

        def work(documents: Documents) -> None:
            for folded in documents.folded:
                nothing = TextBatch.from_strings([""] * len(folded.texts))
                index.search(nothing, folded.texts)

        return work

    def minhash() -> Work:
        kernel = MinHash(5, 16, 8, 1)
        return lambda documents: [
            kernel.band_keys_of(folded.comparable) for folded in documents.folded
        ]

    def hashes() -> Work:
        def work(documents: Documents) -> None:
            for column, folded in zip(documents.columns, documents.folded, strict=True):
                content_hashes(column)
                paragraphs_of(folded)

        return work

    def classifier() -> Work:
        loaded = Classifier(model, "model", "characters", POSITIVE)
        return lambda documents: [loaded.score_batch(batch) for batch in documents.batches]

    def whole() -> Work:
        path = TextPath(words, model)
        return lambda documents: [path.measure(column) for column in documents.columns]

    return {
        "decode": decode,
        "clean": clean,
        "personal data": personal_data,
        "statistics": statistics,
        "repetition": repetition,
        "fold": folding,
        "1,000 keywords": keywords,
        "MinHash, bands": minhash,
        "hashes": hashes,
        "classifier": classifier,
        "whole text path": whole,
    }


class TextPath:
    """Everything between a text and the columns that rules and deduplication read."""

    def __init__(self, words: Sequence[str], model: bytes) -> None:
        self._cleaner = Cleaner(CleanSettings())
        self._masker = PersonalDataMasker(PersonalDataSettings())
        self._measurer = Measurer({"words": words})
        self._minhash = MinHash(5, 16, 8, 1)
        self._classifier = Classifier(model, "model", "characters", POSITIVE)

    def measure(self, column: pa.StringArray) -> Mapping[str, object]:
        cleaned = self._cleaner.clean_batch(TextBatch.from_arrow(column))
        texts = self._masker.mask_batch(cleaned.texts).texts
        folded = fold_texts(texts)
        titles = TextBatch.from_strings([""] * len(texts))
        return {
            "signals": self._measurer.measure_batch(titles, texts, folded),
            "content": content_hashes(texts.to_arrow()),
            "paragraphs": paragraphs_of(folded),
            "bands": self._minhash.band_keys_of(folded.comparable),
            "score": self._classifier.score_batch(texts),
        }


def raw_steps(words: Sequence[str], model: bytes) -> dict[str, Callable[[], RawWork]]:
    """Makers of the work of each step on a crawl, by the step's name."""

    def reading() -> RawWork:
        return lambda crawl: sum(len(record.body) for record in _records(crawl))

    def charset() -> RawWork:
        def work(crawl: Crawl) -> None:
            for page in crawl.pages:
                try:
                    decode_page(page.body, page.charset)
                except UndecodableError:
                    continue

        return work

    def main_text() -> RawWork:
        def work(crawl: Crawl) -> None:
            for utf8, _, url in crawl.decoded:
                try:
                    extract_main_text(utf8, url)
                except ExtractionError:
                    continue

        return work

    def whole() -> RawWork:
        path = TextPath(words, model)
        extractor = PageExtractor(ExtractSettings())

        def work(crawl: Crawl) -> None:
            waiting: list[str] = []
            size = 0
            for record in _records(crawl):
                extracted = extractor.extract(record)
                if isinstance(extracted, Extracted):
                    waiting.append(extracted.text)
                    size += len(extracted.text) * 3
                if size > BATCH_BYTES:
                    path.measure(pa.array(waiting, pa.string()))
                    waiting, size = [], 0
            path.measure(pa.array(waiting, pa.string()))

        return work

    return {
        "WARC reading": reading,
        "charset": charset,
        "main text": main_text,
        "whole raw path": whole,
    }


def main_texts(crawl: Crawl) -> list[str]:
    """The texts of all pages that have one."""
    extractor = PageExtractor(ExtractSettings())
    results = map(extractor.extract, _records(crawl))
    return [result.text for result in results if isinstance(result, Extracted)]


def _records(crawl: Crawl) -> list[Record]:
    with crawl.file.open("rb") as file:
        items = read_records(file, crawl.file.name, "warc", ExtractSettings())
        return [item for item in items if isinstance(item, Record)]
