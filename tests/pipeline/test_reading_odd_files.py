"""Real archives that are malformed, odd or foreign: how many pages and damages each one has.

The files are test data of warcio, pywb, webarchive-commons and Common Crawl's tutorials, and some
made from crawled pages; they are not part of the project.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipeline.reading.input_files import Damage, ReadLimits, detect_format, read_records

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "odd-warcs"

# file: (pages that are not revisits, revisits, what is damaged)
EXPECTED = {
    "IAH-urls-wget.warc": (19, 0, []),
    "IAH-urls-wget.warc.gz": (19, 0, []),
    "bad.arc": (0, 0, ["damaged_file"]),
    "dupes.warc.gz": (3, 9, []),
    "empty.gz": (0, 0, ["damaged_file"]),
    "empty.warc.gz": (0, 0, ["damaged_file"]),
    "example-bad-non-chunked.warc.gz": (1, 1, []),
    "example-bad.warc.gz.bad": (2, 1, []),
    "example-digest.warc": (0, 0, []),
    "example-extra.warc": (2, 2, []),
    "example-iana.org-chunked.warc": (1, 0, []),
    "example-resource.warc.gz": (1, 0, []),
    "example-space-in-target-uri.warc.gz": (1, 0, []),
    "example-space-in-url.arc": (0, 0, ["damaged_file"]),
    "example-trunc.warc": (0, 0, ["damaged_record"]),
    "example-url-agnostic-orig.warc.gz": (1, 0, []),
    "example-url-agnostic-revisit.warc.gz": (0, 1, []),
    "example-wget-1-14.warc.gz": (4, 0, []),
    "example-wget-bad-target-uri.warc.gz": (3, 0, []),
    "example-wpull.warc.gz": (2, 0, []),
    "example-wrong-chunks.warc.gz": (1, 0, []),
    "example.arc": (0, 0, ["damaged_file"]),
    "example.arc.gz": (0, 0, ["damaged_file"]),
    "example.warc": (1, 1, []),
    "example.warc.gz": (1, 1, []),
    "html-not-warc.warc.gz": (0, 0, ["damaged_file"]),
    "httpbin-resource.warc.gz": (1, 0, []),
    "iana.warc.gz": (48, 123, []),
    "missing-status-text.warc": (1, 0, []),
    "mutliple-headers.warc": (1, 0, []),
    "post-test.warc.gz": (3, 0, []),
    "whirlwind.warc": (1, 0, []),
    "whirlwind.warc.gz": (1, 0, []),
    "whirlwind.warc.wat.gz": (0, 0, []),
    "whirlwind.warc.wet.gz": (1, 0, []),
    "zh-chunked-gzip.warc.gz": (4, 0, []),
    "zh-content-length-too-long.warc": (3, 0, ["damaged_record"]),
    "zh-content-length-too-short.warc": (3, 0, ["damaged_record"]),
    "zh-corrupt-middle.warc.gz": (7, 0, ["damaged_record"]),
    "zh-lf-headers.warc": (3, 0, []),
    "zh-plain.warc": (4, 0, []),
    "zh-revisit.warc.gz": (3, 3, []),
    "zh-single-member.warc.gz": (5, 0, []),
    "zh-truncated-tail.warc.gz": (7, 0, ["damaged_record"]),
    "zh-wrong-charset-header.warc.gz": (6, 0, []),
    "zh.warc.wet.gz": (20, 0, []),
    "zh.warc.zst": (4, 0, []),
}


@pytest.mark.shared_data
@pytest.mark.skipif(not FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name the collection")
@pytest.mark.parametrize("name", EXPECTED)
def test_odd_files_run_to_their_end(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    start = time.perf_counter()
    with open(FOLDER / name, "rb") as file:
        format = "warc" if name == "empty.gz" else detect_format(name, content[:4096])
        items = list(read_records(file, name, format, ReadLimits()))
    damages = [item for item in items if isinstance(item, Damage)]
    types = [item.record_type for item in items if not isinstance(item, Damage)]
    revisits = types.count("revisit")
    assert (len(types) - revisits, revisits, [damage.error for damage in damages]) == EXPECTED[name]
    assert all(damage.detail for damage in damages)
    assert len({item.offset for item in items}) == len(items)
    assert time.perf_counter() - start < 1
