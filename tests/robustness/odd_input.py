"""Pages and texts that no author meant: as HTTP bodies, in WARC files, in JSONL."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

STORY = (
    "渡口的老船工每天清晨都要把缆绳检查一遍。他说水涨的时候船最容易走，绳子要系得比平时短。"
    "今年的雨水来得晚，麦子比往年矮了一截，村里人商量着修那条旧水渠。"
)
PAGE = "<html><head><title>渡口</title></head><body>{}</body></html>"
NESTING = 60_000
MARKUP = [
    *(
        b"<",
        b">",
        b"</",
        b"/>",
        b"&",
        b";",
        b'"',
        b"'",
        b"=",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
    ),
    *(b"<script>", b"</script>", b"<style>", b"<table>", b"<td>", b"<svg>", b"<plaintext>", b"<a "),
    *(b"&#x110000;", b"&#0;", b"&lt", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"\xe4", b"\x81\x30\x81\x30", b"\r", b"\n", b"\x0b", "。".encode(), "\u2028".encode()),
]


def odd_pages(size: int) -> dict[str, bytes]:
    """Odd pages by name; those that are long have about `size` bytes."""
    repeated = {
        name: (unit * (size // len(unit) + 1))[:size]
        for name, unit in {
            "one letter": b"a",
            "one hanzi": "的".encode(),
            "one space": b" ",
            "one line feed": b"\n",
            "one angle": b"<",
            "one closing angle": b">",
            "one quote": b'<a href="',
            "one ampersand": b"&",
            "one at sign": b"a@",
            "one digit": b"7",
            "one colon": b":",
            "one full stop": "。".encode(),
            "NUL": b"\x00",
            "byte FF": b"\xff",
            "surrogate": b"\xed\xa0\x80",
            "half a character": b"\xe4",
            "GB18030 lead bytes": b"\x81",
            "comments": b"<!---",
            "half a tag": b"<div ",
            "end tags": b"</div>",
            "attributes": b"a=b ",
            "entities": b"&#99999999999999999999;",
            "entity without end": b"&ampampamp",
            "short lines": b"<br>\n" + "短".encode(),
            "anchors": "<a href=x>首页</a>".encode(),
            "cells": "<tr><td>甲<td>乙".encode(),
            "links in text": "<p>渡口<a>的</a>船。".encode(),
        }.items()
    }
    prefixes = {
        "tag with many attributes": b"<html><body><div " + repeated["attributes"],
        "unclosed comment": b"<html><!-- " + (STORY * 200).encode(),
        "unclosed script": b"<html><script>" + (STORY * 200).encode(),
        "unclosed title": b"<html><title>" + (STORY * 200).encode(),
        "unclosed attribute": b'<html><p class="' + (STORY * 200).encode(),
        "one long line": PAGE.format("<p>" + "船" * (size // 3)).encode(),
        "one long sentence": PAGE.format("<p>" + STORY * (size // 240)).encode(),
        "one long number": PAGE.format("<p>船。" + "13800138000 " * (size // 12)).encode(),
        "one word in a million lines": PAGE.format("<p>船，水。</p>\n" * (size // 20)).encode(),
    }
    nested = {
        f"nested {tag}": PAGE.format(
            f"<{tag}>" * NESTING + f"<p>{STORY * 3}</p>" + f"</{tag}>" * NESTING
        ).encode()
        for tag in ("div", "table", "b", "a", "ul", "font", "blockquote")
    }
    small = {
        "nothing": b"",
        "mark of UTF-8": b"\xef\xbb\xbf",
        "mark of UTF-16": b"\xff\xfe",
        "UTF-16": PAGE.format(f"<p>{STORY * 4}").encode("utf-16"),
        "UTF-32": PAGE.format(f"<p>{STORY * 4}").encode("utf-32"),
        "surrogates in text": PAGE.format("<p>{}")
        .encode()
        .replace(b"{}", (STORY * 2).encode() + b"\xed\xa0\x80\xed\xb0\x80" + STORY.encode()),
        "absurd entities": PAGE.format(
            f"<p>{STORY * 4}&#xD800;&#0;&#1114112;&#-1;&#x;&;&#99999999999;&nosuch;&#12290"
        ).encode(),
        "tail cut in a character": PAGE.format(f"<p>{STORY * 4}").encode()[:-20] + b"\xe6\xb0",
    }
    return {**repeated, **prefixes, **nested, **small}


def mutations(pages: list[bytes], count: int, seed: int) -> list[bytes]:
    """Pages with some of their bytes changed, cut out, repeated or replaced by markup."""
    chance = random.Random(seed)
    return [_mutated(chance.choice(pages), chance) for _ in range(count)]


def _mutated(page: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 12)):
        start = chance.randint(0, len(page))
        end = min(len(page), start + int(chance.paretovariate(0.6)))
        way = chance.randrange(6)
        if way == 0:
            page = page[:start] + bytes([chance.randrange(256)]) + page[start + 1 :]
        elif way == 1:
            page = page[:start] + page[end:]
        elif way == 2:
            page = page[:start] + page[start:end] * chance.randint(2, 5) + page[end:]
        elif way == 3:
            page = page[:start] + chance.choice(MARKUP) * chance.randint(1, 40) + page[start:]
        elif way == 4:
            page = page[:start] + page[start:end][::-1] + page[end:]
        else:
            other = chance.randint(0, len(page))
            page = page[:start] + page[other : other + end - start] + page[end:]
        page = page[:400_000]
    return page


def write_warc(path: Path, bodies: Iterable[bytes]) -> int:
    """Writes each body as a response record; returns how many."""
    count = 0
    with path.open("wb") as file:
        for body in bodies:
            block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
            head = (
                "WARC/1.1\r\nWARC-Type: response\r\nWARC-Date: 2024-05-18T01:58:10Z\r\n"
                f"WARC-Target-URI: https://example.cn/{count}\r\n"
                "Content-Type: application/http; msgtype=response\r\n"
                f"Content-Length: {len(block)}\r\n\r\n"
            )
            file.write(head.encode() + block + b"\r\n\r\n")
            count += 1
    return count
