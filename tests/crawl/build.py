"""Builds the small crawl that tests run on; crawl.yaml beside this file says what is in it.

The files differ from real ones in nothing that a reader looks at: one gzip member a record,
warcinfo first, a request before each response. Dates are fixed and record ids come from the
content, so building twice gives the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

HERE = Path(__file__).parent
WEB = "web"
DATE = datetime(2024, 5, 20, 8, 0, tzinfo=UTC)
NESTING = 5_000
PADDING_BYTES = 20_000_000
NOISE = bytes((73 * index + 41) % 256 for index in range(40))
EXCESS_LENGTH = 150
REASONS = {200: "OK", 404: "Not Found"}


@dataclass(frozen=True)
class Capture:
    """One record of a WARC file as crawl.yaml describes it."""

    url: str
    fate: str
    page: str | None = None
    site: str | None = None
    title: str = ""
    encoding: str = "utf-8"
    header: str = "same"
    meta: str = "same"
    status: int = 200
    content_type: str = "text/html"
    date: datetime = DATE
    damage: str | None = None
    says: str = ""


@dataclass(frozen=True)
class Expectation:
    """How one record should end: `kept`, `dropped:RULE`, `dead:ERROR` or `one_of:CLUSTER`."""

    source: str
    file: str
    url: str
    fate: str
    says: str = ""


@dataclass(frozen=True)
class Crawl:
    """The built crawl: its files by source, and how every record in them should end."""

    directory: Path
    files: dict[str, list[Path]]
    expectations: tuple[Expectation, ...]

    def counts(self) -> dict[str, int]:
        """Documents by outcome over all sources: kept, merged, dropped:RULE, dead:ERROR."""
        found: Counter[str] = Counter()
        clusters: Counter[str] = Counter()
        for expectation in self.expectations:
            if expectation.fate.startswith("one_of:"):
                clusters[expectation.fate] += 1
            else:
                found[expectation.fate] += 1
        for size in clusters.values():
            found.update(kept=1, merged=size - 1)
        return dict(sorted(found.items()))


def build_crawl(directory: Path) -> list[Path]:
    """Writes the crawl into a directory.

    Returns:
      The files: WARC files below `web/`, then one file below a folder for each text source.
    """
    description = yaml.safe_load((HERE / "crawl.yaml").read_text(encoding="utf-8"))
    written = []
    for file in description["files"]:
        target = directory / WEB / file["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        captures = [Capture(**record) for record in file["records"]]
        target.write_bytes(warc_file(target.name, captures))
        written.append(target)
    for text in description["texts"]:
        target = directory / text["source"] / text["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "texts" / text["name"], target)
        written.append(target)
    return written


def describe_crawl(directory: Path) -> Crawl:
    """Builds the crawl into a directory and says what to expect of it."""
    files: dict[str, list[Path]] = {}
    for path in build_crawl(directory):
        files.setdefault(path.parent.name, []).append(path)
    description = yaml.safe_load((HERE / "crawl.yaml").read_text(encoding="utf-8"))
    expectations = []
    for file in description["files"]:
        for record in file["records"]:
            fate, says = record["fate"], record.get("says", "")
            expectations.append(Expectation(WEB, file["name"], record["url"], fate, says))
    for text in description["texts"]:
        for fate in text["fates"]:
            expectations.append(Expectation(text["source"], text["name"], "", fate))
    return Crawl(directory, files, tuple(expectations))


def warc_file(name: str, captures: list[Capture]) -> bytes:
    """The bytes of one WARC file, compressed record by record if its name ends in `.gz`."""
    compress: Callable[[bytes], bytes] = _gzip if name.endswith(".gz") else bytes
    about = b"software: tests/crawl/build.py\r\nformat: WARC File Format 1.1\r\n"
    parts = [compress(_record("warcinfo", name, DATE, "application/warc-fields", about))]
    for capture in captures:
        parts.append(compress(_request(capture)))
        parts.append(_damage_member(capture, compress(_page_record(capture))))
    return b"".join(parts)


def _request(capture: Capture) -> bytes:
    _, _, host, path = capture.url.split("/", 3)
    block = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: small-crawl\r\n\r\n".encode()
    return _record("request", capture.url, capture.date, "application/http; msgtype=request", block)


def _page_record(capture: Capture) -> bytes:
    """A response record; for `damage: revisit` a revisit without a body."""
    kind = "revisit" if capture.damage == "revisit" else "response"
    excess = EXCESS_LENGTH if capture.damage == "length_too_long" else 0
    media_type = "application/http; msgtype=response"
    return _record(kind, capture.url, capture.date, media_type, _response(capture), excess)


def _record(
    kind: str, url: str, date: datetime, media_type: str, block: bytes, excess: int = 0
) -> bytes:
    digest = hashlib.sha1(block).digest()
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {url} {date.isoformat()} {digest.hex()}")
    place = "WARC-Filename" if kind == "warcinfo" else "WARC-Target-URI"
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{identity}>",
        f"WARC-Date: {date:%Y-%m-%dT%H:%M:%SZ}",
        f"{place}: {url}",
        f"WARC-Block-Digest: sha1:{base64.b32encode(digest).decode()}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(block) + excess}",
    ]
    if kind == "revisit":
        lines.append("WARC-Profile: http://netpreserve.org/warc/1.1/revisit/server-not-modified")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def _response(capture: Capture) -> bytes:
    """HTTP status line, headers and body."""
    body = _body(capture)
    charset = capture.encoding if capture.header == "same" else capture.header
    parameter = f"; charset={charset}" if charset != "none" and capture.page else ""
    headers = [
        f"HTTP/1.1 {capture.status} {REASONS[capture.status]}",
        "Server: nginx",
        f"Content-Type: {capture.content_type}{parameter}",
    ]
    if capture.damage == "chunked_gzip":
        headers += ["Content-Encoding: gzip", "Transfer-Encoding: chunked"]
        body = _chunked(_gzip(body))
    else:
        headers.append(f"Content-Length: {len(body)}")
    return "\r\n".join(headers).encode() + b"\r\n\r\n" + body


def _body(capture: Capture) -> bytes:
    if capture.page is None:
        return b""
    content = (HERE / "pages" / capture.page).read_text(encoding="utf-8")
    if capture.damage == "nested":
        content = "<div>" * NESTING + content + "</div>" * NESTING
    if capture.damage == "padded":
        line = "<p>这一段文字只是为了让页面变得很大。</p>\n"
        content += line * (PADDING_BYTES // len(line.encode()) + 1)
    if capture.site is not None:
        template = (HERE / "sites" / f"{capture.site}.html").read_text(encoding="utf-8")
        content = template.replace("{{content}}", content).replace("{{title}}", capture.title)
    charset = capture.encoding if capture.meta == "same" else capture.meta
    media_type = f"text/html; charset={charset}"
    declaration = f'<meta http-equiv="Content-Type" content="{media_type}">'
    content = content.replace("{{meta}}", "" if charset == "none" else declaration)
    content = content.replace("{{date}}", f"{capture.date:%Y-%m-%d %H:%M}")
    if capture.damage == "character_references":
        return content.encode("ascii", "xmlcharrefreplace")
    body = content.encode(capture.encoding)
    if capture.damage == "bad_byte":
        middle = body.index("。".encode(capture.encoding))
        body = body[:middle] + b"\xff" + body[middle:]
    return body


def _damage_member(capture: Capture, member: bytes) -> bytes:
    middle = len(member) // 2
    if capture.damage == "noise":
        return member[:middle] + NOISE + member[middle + len(NOISE) :]
    if capture.damage == "truncated":
        return member[:middle]
    return member


def _chunked(body: bytes, size: int = 700) -> bytes:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    framed = [f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in [*chunks, b""]]
    return b"".join(framed)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)
