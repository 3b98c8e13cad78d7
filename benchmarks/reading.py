"""How fast page records are read, beside a bare loop of fastwarc that checks nothing.

    python benchmarks/reading.py CRAWL.warc.gz...

MB are of the stored file, seconds are CPU time. The best of nine runs counts.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.reading import ReadLimits, Record, read_records
from pipeline.warc import read_warc_records

RUNS = 9


def bare_fastwarc(path: str) -> int:
    """Bodies of responses, taken as they come."""
    size = 0
    with open(path, "rb") as file:
        for record in ArchiveIterator(file):
            body = record.reader.read()
            if record.record_type == WarcRecordType.response:
                size += len(body)
    return size


def fastwarc_fields(path: str) -> int:
    """The same with encodings taken off and the fields that a page record of ours has."""
    size = 0
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, auto_decode="all"):
            body = record.reader.read()
            if record.record_type == WarcRecordType.response:
                fields = (record.headers["WARC-Target-URI"], record.record_date)
                fields += (record.http_headers.status_code, record.http_content_type)
                fields += (record.http_charset, record.stream_pos)
                size += len(body)
    return size


def warc_records(path: str) -> int:
    """Intact records, HTTP messages not taken apart."""
    with open(path, "rb") as file:
        records = read_warc_records(file, ReadLimits())
        return sum(len(record.block) for record in records if hasattr(record, "block"))


def page_records(path: str) -> int:
    """What the extract stage gets."""
    with open(path, "rb") as file:
        records = read_records(file, path, "warc", ReadLimits())
        return sum(len(record.body) for record in records if isinstance(record, Record))


READERS: tuple[Callable[[str], int], ...] = (
    bare_fastwarc,
    fastwarc_fields,
    warc_records,
    page_records,
)


def main(paths: list[str]) -> None:
    """Prints a line for each reader and file."""
    for path in paths:
        stored = Path(path).stat().st_size
        for reader in READERS:
            best = min(_timed(reader, path) for _ in range(RUNS))
            print(f"{reader.__name__:15} {best:7.3f} s {stored / best / 1e6:7.1f} MB/s  {path}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of all of it: {peak / 1024:.0f} MB")


def _timed(reader: Callable[[str], int], path: str) -> float:
    start = time.process_time()
    reader(path)
    return time.process_time() - start


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
