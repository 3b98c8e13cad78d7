"""Whatever comes in ends as a document, a drop or a dead letter, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crawl.build import Crawl
from odd_input import STORY, mutations, odd_pages, write_warc
from road import judge

from filters.clean import Cleaner, CleanSettings
from filters.kernels.text_batch import TextBatch
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.signals import Measurer
from pipeline.reading.input_files import ReadLimits, Record, read_records

SHARED = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "web"
MUTATIONS = 1000
# Of processor time, with bounds checks and, the first time, with compilation: a stall takes more.
SECONDS_FOR_A_RUN = 240
WORKER_MEGABYTES = 1500
BOUNDS_CHECKS = "NUMBA_BOUNDSCHECK"


# What docs/odd-input.md promises.
FATES = {
    **dict.fromkeys(("nothing", "one space", "mark of UTF-8", "end tags"), "no_main_text"),
    **dict.fromkeys(("NUL", "byte FF", "surrogate", "half a character"), "undecodable"),
    **dict.fromkeys(("UTF-16", "UTF-32", "surrogates in text", "absurd entities"), "kept"),
    **dict.fromkeys(("tail cut in a character", "one long line"), "kept"),
    "one long sentence": "repeated_sentences",
}


def test_odd_pages_each_end_once(tmp_path: Path) -> None:
    pages = odd_pages(100_000)
    count = write_warc(tmp_path / "odd.warc", pages.values())
    start = time.process_time()
    judged = judge(tmp_path, tmp_path / "odd.warc", extract={"chinese_prefilter": 0})
    assert time.process_time() - start < SECONDS_FOR_A_RUN
    ends = judged.ends()
    assert len(ends) == len(set(ends)) == count == len(pages)
    fates = dict(zip(pages, map(judged.fate, ends), strict=True))
    assert {name: fates[name] for name in FATES} == FATES


def test_mutated_pages_each_end_once(tmp_path: Path, crawl: Crawl) -> None:
    pages = bodies(crawl.files["web"])
    count = write_warc(tmp_path / "odd.warc", mutations(pages, MUTATIONS, seed=1))
    start = time.process_time()
    ends = judge(tmp_path, tmp_path / "odd.warc").ends()
    assert time.process_time() - start < SECONDS_FOR_A_RUN
    assert len(ends) == len(set(ends)) == count == MUTATIONS


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="PANGU_SHARED_DATA does not name the collection")
@pytest.mark.parametrize("seed", range(3))
def test_mutated_real_pages_each_end_once(tmp_path: Path, seed: int) -> None:
    pages = bodies([SHARED / "smoke.warc.gz"])
    count = write_warc(tmp_path / "odd.warc", mutations(pages, MUTATIONS, seed))
    ends = judge(tmp_path, tmp_path / "odd.warc").ends()
    assert len(ends) == len(set(ends)) == count == MUTATIONS


def bodies(files: list[Path]) -> list[bytes]:
    """The HTML pages of WARC files that can be read."""
    found = []
    for path in files:
        if ".warc" not in path.name:
            continue
        with path.open("rb") as file:
            for item in read_records(file, path.name, "warc", ReadLimits(max_record_bytes=10**6)):
                if isinstance(item, Record) and item.kind == "html" and item.body:
                    found.append(item.body)
    assert len(found) > 20
    return found


def test_odd_texts_in_jsonl_each_end_once(tmp_path: Path) -> None:
    texts = [
        STORY * 5,
        "",
        "\ud800" + STORY * 5,
        STORY * 5 + "\udfff\ud800",
        "\x00" * 1000,
        STORY * 3 + "\x00" + STORY * 3,
        "\u202e\ufeff\u200b" * 500,
        "\n" * 10_000,
        "\r\n\u2028\x0b\x0c\x1c\x85" * 1000,
        "船" * 100_000,
        "的\n" * 50_000,
        "12345678901 " * 10_000,
        "a@b.cn" * 10_000,
        "𠮷" * 10_000,
        "\U0010ffff" * 1000,
        "e\u0301" * 10_000,
    ]
    lines = [json.dumps({"text": text}) for text in texts]
    lines += ["", "{", "[]", '{"text": null}', '{"text": 5}', '{"text": "\\ud800"}', '{"url": "x"}']
    lines += ['{"text": ' + "[" * 100_000, '{"text": "' + "船" * 10]
    path = tmp_path / "odd.jsonl"
    path.write_bytes(
        "\n".join(lines).encode() + b'\n{"text": "\xff\xfe"}\n{"text": "\xed\xa0\x80"}\n'
    )
    judged = judge(tmp_path, path)
    ends = judged.ends()
    # The blank line is no row.
    assert len(ends) == len(set(ends)) == len(lines) - 1 + 2
    assert {0, 2, 5, 9} <= set(judged.documents)


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], ["\n"], ["", STORY, ""]])
def test_empty_batches_and_empty_texts(texts: list[str]) -> None:
    batch = TextBatch.from_strings(texts)
    cleaned = Cleaner(CleanSettings()).clean_batch(batch)
    masked = PersonalDataMasker(PersonalDataSettings()).mask_batch(cleaned.texts)
    signals = Measurer({"advertisement": ["免费领取"]}).measure_batch(batch, masked.texts)
    assert len(masked.texts) == signals.num_rows == len(texts)


def test_a_file_without_records(tmp_path: Path) -> None:
    for name in ("empty.jsonl", "empty.warc"):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name.partition(".")[2]).mkdir()
        assert judge(tmp_path / name.partition(".")[2], tmp_path / name).documents == {}


@pytest.mark.slow
def test_huge_pages_need_bounded_memory(tmp_path: Path) -> None:
    """A page of 200 MB, and odd ones as long as a record may be."""
    assert peak_megabytes(tmp_path, "huge") < WORKER_MEGABYTES


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pages(tmp_path: Path) -> None:
    few, many = (tmp_path / "few", tmp_path / "many")
    few.mkdir()
    many.mkdir()
    peaks = [peak_megabytes(few, "2000"), peak_megabytes(many, "32000")]
    assert peaks[1] < peaks[0] + 300


def peak_megabytes(folder: Path, kind: str) -> int:
    """The most memory of a process that judges such pages, without bounds checks."""
    _in_process("write", str(folder), kind)
    return int(_in_process("judge", str(folder)).split()[-1])


def _in_process(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != BOUNDS_CHECKS}
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("peak_memory.py")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout
