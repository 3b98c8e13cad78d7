"""Judges odd or many pages and prints the most memory that took, in MB.

python peak_memory.py FOLDER huge|PAGES
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from odd_input import PAGE, STORY, odd_pages, write_warc
from road import judge

from pipeline.reading import ReadLimits

HUGE = 200_000_000
# With its HTTP header below the limit of a record.
LARGEST = ReadLimits().max_record_bytes - 1000


def pages(kind: str) -> Iterator[bytes]:
    if kind == "huge":
        yield PAGE.format("<p>" + "船水麦子" * (HUGE // 12)).encode()
        for body in odd_pages(LARGEST).values():
            yield body[:LARGEST]
    else:
        for number in range(int(kind)):
            yield PAGE.format(f"<p>第{number}号。" + STORY * 40).encode()


def main(folder: Path, kind: str) -> None:
    count = write_warc(folder / "odd.warc", pages(kind))
    ends = judge(folder, folder / "odd.warc", extract={"chinese_prefilter": 0}).ends()
    assert len(ends) == len(set(ends)) == count, (len(ends), count)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
