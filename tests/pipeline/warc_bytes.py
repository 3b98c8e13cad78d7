"""Bytes of WARC files for tests of reading: pages of our own, whole and broken."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable

import zstandard

from pipeline.reading.input_files import Damage, ReadLimits, Record, read_records

STORIES = (
    "渡口的老船工每天清晨都要把缆绳检查一遍。他说水涨的时候船最容易走，绳子要系得比平时短。",
    "山脚下新开了一家书店，店主把窗边的位子留给写作业的孩子。到了傍晚，灯一直亮到街上。",
    "今年的雨水来得晚，麦子比往年矮了一截。村里人商量着修那条旧水渠，石匠估了三天的工。",
    "博物馆把那只青铜壶搬到了二楼。讲解员解释壶底的铭文，游客围成一圈，谁也没有说话。",
    "夜班司机在终点站等到了最后一位乘客。车厢里只有广播的声音，窗外是刚刚熄灯的工厂。",
)


def page(number: int) -> bytes:
    """A small HTML page; every number gives another one."""
    story = STORIES[number % len(STORIES)]
    body = "".join(f"<p>第{number}号，第{line}段。{story}</p>\n" for line in range(number % 4 + 2))
    return f"<!DOCTYPE html>\n<html><head><title>{number}</title></head>{body}</html>\n".encode()


def http(
    body: bytes,
    headers: Iterable[str] = ("Content-Type: text/html; charset=UTF-8",),
    status: str = "HTTP/1.1 200 OK",
    line_break: str = "\r\n",
) -> bytes:
    """A stored HTTP response."""
    return line_break.join([status, *headers, "", ""]).encode() + body


def record(
    block: bytes,
    url: str = "https://example.cn/",
    kind: str = "response",
    headers: Iterable[str] = ("Content-Type: application/http; msgtype=response",),
    declared: int | str | None = None,
    line_break: str = "\r\n",
) -> bytes:
    """A WARC record with a block; `declared` is what Content-Length says instead of the truth."""
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2024-05-18T01:58:10Z",
        *headers,
        f"Content-Length: {len(block) if declared is None else declared}",
        "",
        "",
    ]
    return line_break.join(lines).encode() + block + 2 * line_break.encode()


def response(number: int, declared: int | str | None = None) -> bytes:
    """The record of page(number), at https://example.cn/<number>."""
    return record(http(page(number)), f"https://example.cn/{number}", declared=declared)


def plain(records: Iterable[bytes]) -> bytes:
    return b"".join(records)


def gzip_members(records: Iterable[bytes]) -> bytes:
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def gzip_whole(records: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join(records), mtime=0)


def gzip_blocks(records: Iterable[bytes]) -> bytes:
    """Members of 900 bytes each, wherever that cuts records."""
    content = b"".join(records)
    blocks = (content[start : start + 900] for start in range(0, len(content), 900))
    return b"".join(gzip.compress(block, mtime=0) for block in blocks)


def zstd_frames(records: Iterable[bytes]) -> bytes:
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    return b"".join(compressor.compress(one) for one in records)


def zstd_whole(records: Iterable[bytes]) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(b"".join(records))


FORMS: dict[str, Callable[[Iterable[bytes]], bytes]] = {
    "plain": plain,
    "gzip_members": gzip_members,
    "gzip_whole": gzip_whole,
    "gzip_blocks": gzip_blocks,
    "zstd_frames": zstd_frames,
    "zstd_whole": zstd_whole,
}


def read(content: bytes, limit: int = 1 << 20) -> list[Record | Damage]:
    """Everything that reading a WARC yields."""
    limits = ReadLimits(max_record_bytes=limit)
    return list(read_records(io.BytesIO(content), "test.warc", "warc", limits))


def pages_of(items: Iterable[Record | Damage]) -> list[bytes]:
    return [item.body for item in items if isinstance(item, Record)]


def errors_of(items: Iterable[Record | Damage]) -> list[str]:
    return [item.error for item in items if isinstance(item, Damage)]
