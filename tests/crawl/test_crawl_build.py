"""The small crawl is the same whenever it is built, and nothing in it lies unused."""

from __future__ import annotations

from pathlib import Path

import yaml
from crawl.build import HERE, Crawl, build_crawl


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = build_crawl(tmp_path / "first"), build_crawl(tmp_path / "second")
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_every_page_and_site_is_used() -> None:
    description = yaml.safe_load((HERE / "crawl.yaml").read_text(encoding="utf-8"))
    records = [record for file in description["files"] for record in file["records"]]
    for folder, key in (("pages", "page"), ("sites", "site")):
        used = {Path(record[key]).stem for record in records if key in record}
        assert used == {path.stem for path in (HERE / folder).iterdir()}


def test_counts_account_for_every_record(crawl: Crawl) -> None:
    counts = crawl.counts()
    assert sum(counts.values()) == len(crawl.expectations)
    assert {"kept", "merged", "dropped:too_short", "dead:damaged_record"} <= set(counts)
