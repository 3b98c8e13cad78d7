"""What languages the texts of a crawl, and of files of texts, are taken for.

    python benchmarks/languages.py crawl-*.warc.gz --index INDEX.jsonl.gz
        [--texts FILE.jsonl.gz ...]

The index has one JSON object a page with `warc` (file name), `offset` and `lang`, what the page is
known to be. Files of --texts have one with `text` each. Prints a table: known language or file ×
language that the text is taken for; pages without main text are left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.encoding import UndecodableError, decode_page
from filters.kernels.line_statistics import line_statistics_of
from filters.kernels.text_batch import TextBatch
from filters.language import LANGUAGES, language_numbers
from filters.main_text import ExtractionError, extract_main_text
from pipeline.reading.input_files import ReadLimits, Record, read_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--texts", nargs="*", type=Path, default=[])
    arguments = parser.parse_args()
    texts: dict[str, list[str]] = {}
    for language, text in read_crawl(arguments.crawl, arguments.index):
        texts.setdefault(language, []).append(text)
    for path in arguments.texts:
        texts[path.name] = [row["text"] for row in read_json_lines(path)]
    print(f"{'':<36}" + "".join(f"{language:>8}" for language in LANGUAGES))
    for name, of_name in sorted(texts.items()):
        found = Counter(languages(of_name))
        print(f"{name:<36}" + "".join(f"{found[language]:>8,}" for language in LANGUAGES))


def read_crawl(crawl: list[Path], index: Path) -> Iterator[tuple[str, str]]:
    """The known language and the main text of each page that has one."""
    known = {(row["warc"], row["offset"]): row["lang"] for row in read_json_lines(index)}
    for path in crawl:
        with path.open("rb") as file:
            for record in read_records(file, path.name, "warc", ReadLimits()):
                if not isinstance(record, Record) or (path.name, record.offset) not in known:
                    continue
                try:
                    page = decode_page(record.body, record.charset)
                    text = extract_main_text(page.utf8, record.url).text
                except (UndecodableError, ExtractionError):
                    continue
                if text.strip():
                    yield known[path.name, record.offset], text


def read_json_lines(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def languages(texts: list[str]) -> list[str]:
    """The language that each text is taken for."""
    _, classes = line_statistics_of(TextBatch.from_strings(texts))
    return [LANGUAGES[number] for number in language_numbers(classes)]


if __name__ == "__main__":
    main()
