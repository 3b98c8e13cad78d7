"""`pangu sample-crawl`: real Chinese pages that any machine with a package index can get, as WARC.

The source archive of the Python package `gne`, an extractor of news pages, holds some 70 saved
pages of Chinese portals for its tests. pip fetches the archive and checks its digest; here it is
read in memory, nothing of it is unpacked or run, and the pages become one WARC. The pages belong
to their publishers and are not part of this project; see docs/sample-crawl.md.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

import click

from filters.encoding import decode_page
from pangu_settings import UserError
from pipeline import storage
from pipeline.reading.input_files import ReadLimits, Record, read_records

PACKAGE, VERSION = "gne", "0.4.3"
ARCHIVE_SHA256 = "26ed77fc2b96d5e9dd28b288ebfdeaf6bf7f034a92b8f75067c64eefffd0b4a9"
PAGES = 72
FOLDERS = ("tests", "test_list_page", "visiable_test")
FILE_NAME = "crawl.warc.gz"

MAX_PAGE_BYTES = 4 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
PIP_SECONDS = 900

# Where a saved page names its own address: link and meta in either order of attributes, and the
# comment that Chrome puts on top of pages that it saves.
_ADDRESSES = (
    re.compile(r"<link\b[^>]*rel=[\"']?canonical\b[^>]*href=[\"'](https?://[^\s\"'<>]+)", re.I),
    re.compile(r"<link\b[^>]*href=[\"'](https?://[^\s\"'<>]+)[^>]*rel=[\"']?canonical\b", re.I),
    re.compile(r"<meta\b[^>]*og:url[^>]*content=[\"'](https?://[^\s\"'<>]+)", re.I),
    re.compile(r"<meta\b[^>]*content=[\"'](https?://[^\s\"'<>]+)[^>]*og:url", re.I),
    re.compile(r"<!--\s*saved from url=\(\d+\)(https?://[^\s\"'<>]+)", re.I),
)
_ADDRESS_CHARACTERS = 200_000


@dataclass(frozen=True)
class SavedPage:
    """A page of the archive.

    Attributes:
      path: below the archive's top folder, such as tests/sina/1.html.
      saved_at: the time that the archive gives it, UTC.
      body: bytes as saved.
    """

    path: str
    saved_at: datetime
    body: bytes


def fetch_sample_crawl(directory: Path) -> Path:
    """Makes sure that the sample crawl is in a directory.

    Args:
      directory: is made if it is not there. A whole crawl in it is left alone.

    Returns:
      The WARC file.

    Raises:
      UserError: pip cannot fetch the package, or the directory cannot be written to.
    """
    path = directory / FILE_NAME
    if path.is_file() and _is_whole(path):
        click.echo(f"{path} is already there and whole", err=True)
        return path
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory}: cannot be made: {error.strerror or error}") from None
    with tempfile.TemporaryDirectory(prefix="pangu-sample-crawl-") as folder:
        click.echo(f"Fetching the source archive of {PACKAGE} {VERSION} with pip (33 MB)", err=True)
        with open(_download(Path(folder)), "rb") as archive:
            pages = read_saved_pages(archive)
    write_crawl(pages, path)
    return path


def read_saved_pages(archive: BinaryIO) -> list[SavedPage]:
    """Reads the saved pages out of a source archive (.tar.gz) without unpacking it.

    Only regular files named *.html or *.htm below one of FOLDERS count; links, other types and
    paths that lead elsewhere are passed over.

    Returns:
      Pages in the order of their paths.

    Raises:
      UserError: it is no such archive, or larger than MAX_UNPACKED_BYTES.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as members:
            pages = list(_pages_of(members))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"the archive of {PACKAGE} cannot be read: {error}") from None
    return sorted(pages, key=lambda page: page.path)


def write_crawl(pages: Sequence[SavedPage], path: Path) -> None:
    """Writes pages as one WARC, a gzip member a record; the same pages give the same bytes.

    The HTTP headers are made up and name no charset. A page that names no address of its own gets
    one below https://example.cn/gne/.
    """
    about = (
        f"software: pangu sample-crawl\r\n"
        f"format: WARC File Format 1.1\r\n"
        f"description: saved pages from the source archive of {PACKAGE} {VERSION}; "
        f"HTTP headers, dates and addresses below https://example.cn/gne/ are made up\r\n"
    ).encode()
    first = min((page.saved_at for page in pages), default=datetime.fromtimestamp(0, UTC))
    with storage.write_atomically(str(path)) as file:
        file.write(_record("warcinfo", "", first, "application/warc-fields", about))
        for page in pages:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page.body)}"
            block = head.encode() + b"\r\n\r\n" + page.body
            media_type = "application/http; msgtype=response"
            file.write(_record("response", address_of(page), page.saved_at, media_type, block))


def address_of(page: SavedPage) -> str:
    """The address that a page names as its own, else a stable one that is made up."""
    text = decode_page(page.body, None).text[:_ADDRESS_CHARACTERS]
    for pattern in _ADDRESSES:
        match = pattern.search(text)
        if match and match[1].isascii():
            return html.unescape(match[1])
    return f"https://example.cn/gne/{quote(page.path)}"


def _download(folder: Path) -> Path:
    """Fetches the archive with pip, which compares its digest before it does anything with it."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="ascii")
    options = ["--require-hashes", "--no-deps", "--no-binary", PACKAGE, "--no-input", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(wanted)]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PIP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(_explain(f"pip was not done after {PIP_SECONDS} s")) from None
    found = sorted(folder.glob(f"{PACKAGE}-*.tar.gz"))
    if done.returncode != 0 or not found:
        lines = (done.stderr or done.stdout).splitlines()
        errors = [line for line in lines if line.strip() and not line.startswith("WARNING")]
        raise UserError(_explain("\n".join(errors[-4:]) or f"pip exited with {done.returncode}"))
    return found[0]


def _explain(problem: str) -> str:
    return (
        f"pip could not fetch {PACKAGE} {VERSION}:\n{problem}\n"
        "Without a package index within reach, copy a crawl.warc.gz that was made on another "
        "machine into the directory, or name WARC, WET, JSONL, Parquet or text files of your own "
        "in a recipe (docs/recipes.md)."
    )


def _pages_of(members: tarfile.TarFile) -> Iterator[SavedPage]:
    unpacked = 0
    for member in members:
        unpacked += member.size
        if unpacked > MAX_UNPACKED_BYTES:
            raise UserError(
                f"the archive of {PACKAGE} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes"
            )
        parts = PurePosixPath(member.name).parts
        is_page = (
            member.isreg()
            and len(parts) > 2
            and parts[1] in FOLDERS
            and not {"/", ".."} & set(parts)
            and member.name.lower().endswith((".html", ".htm"))
            and member.size <= MAX_PAGE_BYTES
        )
        content = members.extractfile(member) if is_page else None
        if content is not None:
            saved_at = datetime.fromtimestamp(int(member.mtime), UTC)
            yield SavedPage("/".join(parts[1:]), saved_at, content.read())


def _record(kind: str, url: str, date: datetime, media_type: str, block: bytes) -> bytes:
    """One WARC record (ISO 28500) as one gzip member; its id comes from its content."""
    digest = hashlib.sha1(block, usedforsecurity=False).digest()
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {url} {digest.hex()}")
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{identity}>",
        f"WARC-Date: {date:%Y-%m-%dT%H:%M:%SZ}",
        *([f"WARC-Target-URI: {url}"] if url else []),
        f"WARC-Block-Digest: sha1:{base64.b32encode(digest).decode()}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(block)}",
    ]
    content = "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"
    return gzip.compress(content, compresslevel=6, mtime=0)


def _is_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        items = list(read_records(file, path.name, "warc", ReadLimits()))
    return len(items) == PAGES and all(isinstance(item, Record) for item in items)
