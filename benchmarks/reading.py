"""How fast page records are read, beside a bare loop of fastwarc that checks nothing.

    python benchmarks/reading.py CRAWL.warc.gz...

Each file is measured as it is and, cut from all files together, with its large pages only (more
than 80 KB) and its small ones only (less than 20 KB). MB are of decompressed pages, seconds are CPU
time. The best of nine runs counts. `inflate` is what decompressing the members takes by itself, so
the rest is the cost of finding and checking records.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.reading.input_files import ReadLimits, Record, read_records
from pipeline.reading.members import MemberStream
from pipeline.reading.warc import read_warc_records

RUNS = 9
LARGE_BYTES, SMALL_BYTES = 80_000, 20_000


def inflate(path: str) -> int:
    """Decompresses every member, with the decompressor that our reader uses."""
    size = 0
    with open(path, "rb") as file:
        stream = MemberStream(file, allowance=2**40)
        while piece := stream.read():
            size += len(piece.data)
    return size


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
    inflate,
    bare_fastwarc,
    fastwarc_fields,
    warc_records,
    page_records,
)


def pages_of_size(paths: list[str], folder: str) -> list[str]:
    """Writes a WARC of the large pages of all files and one of the small ones."""
    targets = [str(Path(folder) / name) for name in ("large.warc.gz", "small.warc.gz")]
    with open(targets[0], "wb") as large, open(targets[1], "wb") as small:
        for path in paths:
            content = Path(path).read_bytes()
            with open(path, "rb") as file:
                found = [
                    (r.stream_pos, r.record_type, r.content_length) for r in ArchiveIterator(file)
                ]
            ends = [position for position, _, _ in found[1:]] + [len(content)]
            for (start, record_type, length), end in zip(found, ends, strict=True):
                if record_type == WarcRecordType.response and length > LARGE_BYTES:
                    large.write(content[start:end])
                elif record_type == WarcRecordType.response and length < SMALL_BYTES:
                    small.write(content[start:end])
    return targets


def main(paths: list[str]) -> None:
    """Prints a line for each reader and file."""
    with tempfile.TemporaryDirectory() as folder:
        for path in [*paths, *pages_of_size(paths, folder)]:
            pages = bodies_of(path)
            print(f"{Path(path).name}: {len(pages):,} pages, {sum(pages) / 1e6:.1f} MB")
            for reader in READERS:
                best = min(_timed(reader, path) for _ in range(RUNS))
                print(
                    f"  {reader.__name__:15} {best:7.3f} s {sum(pages) / best / 1e6:7.0f} MB/s "
                    f"{1e6 * best / len(pages):6.1f} µs a page"
                )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of all of it: {peak / 1024:.0f} MB")


def bodies_of(path: str) -> list[int]:
    """Bytes of each page."""
    with open(path, "rb") as file:
        records = read_records(file, path, "warc", ReadLimits())
        return [len(record.body) for record in records if isinstance(record, Record)]


def _timed(reader: Callable[[str], int], path: str) -> float:
    start = time.process_time()
    reader(path)
    return time.process_time() - start


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
