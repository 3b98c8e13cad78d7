"""Writes odd or many pages; or judges them and prints the most memory that took, in MB.

python peak_memory.py write FOLDER huge|PAGES
python peak_memory.py judge FOLDER
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from odd_input import PAGE, STORY, odd_pages, write_warc
from road import judge

from pipeline.reading.input_files import ReadLimits

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


def judge_pages(folder: Path) -> None:
    ends = judge(folder, folder / "odd.warc", extract={"chinese_prefilter": 0}).ends()
    count = int((folder / "count.txt").read_text())
    assert len(ends) == len(set(ends)) == count, (len(ends), count)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    _verb, _folder, *_kind = sys.argv[1:]
    if _verb == "write":
        _count = write_warc(Path(_folder) / "odd.warc", pages(*_kind))
        (Path(_folder) / "count.txt").write_text(str(_count))
    else:
        judge_pages(Path(_folder))
