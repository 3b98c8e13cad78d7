"""A page is read into the blocks and boxes that a browser would show."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from html_soup import SOUP, mutated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.encoding import decode_page
from filters.kernels.html_blocks import Page, nesting, read_page, read_page_reference
from filters.kernels.html_density import main_blocks, main_blocks_reference
from filters.kernels.html_elements import IN_BESIDE, IN_HEADING, MAX_DEPTH
from filters.kernels.html_reading import text_of_blocks

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "web"


def assert_same(source: str) -> Page:
    """Asserts that kernels and references agree on a page, and returns it."""
    body = source.encode()
    wanted, arrays = read_page_reference(source), read_page(body)
    found = arrays.to_page()
    assert found.blocks == wanted.blocks
    assert found.boxes == wanted.boxes
    for name in ("title", "shared_title", "refresh"):
        start, end = getattr(found, name)
        span = len(body[:start].decode()), len(body[:end].decode())
        assert span == getattr(wanted, name)
    chosen = main_blocks(arrays)
    assert chosen.tolist() == main_blocks_reference(wanted)
    text = "\n".join(wanted.blocks[index].text for index in chosen)
    assert text_of_blocks(arrays, chosen) == text
    return wanted


@given(SOUP)
@settings(max_examples=400)
def test_kernel_reads_what_the_reference_reads(source: str) -> None:
    assert_same(source)


@given(st.text(max_size=200))
def test_kernel_reads_any_text_as_the_reference(source: str) -> None:
    assert_same(source)


@given(SOUP)
def test_boxes_hold_runs_of_blocks_inside_their_parents(source: str) -> None:
    page = read_page(source.encode()).to_page()
    assert (page.boxes[0].start, page.boxes[0].end) == (0, len(page.blocks))
    assert page.boxes[0].next == len(page.boxes)
    for index, box in enumerate(page.boxes):
        assert index < box.next <= len(page.boxes)
        assert 0 <= box.start <= box.end <= len(page.blocks)
        ends = [box.start]
        inner = index + 1
        while inner < box.next:
            ends += [page.boxes[inner].start, page.boxes[inner].end]
            assert page.boxes[inner].next <= box.next
            inner = page.boxes[inner].next
        assert [*ends, box.end] == sorted([*ends, box.end])


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("一<br>二<p>三<p>四", ["一", "二", "三", "四"]),
        ("<ul><li>一<li>二<ul><li>三</ul>四</ul>", ["一", "二", "三", "四"]),
        ("中\n  文 <b>字</b>\n<b>A</b>", ["中文 字 A"]),
        ("中\n 文<i>\n</i>字", ["中文字"]),
        ("&nbsp;&lt;中&#25991;&amp;amp;&", ["<中文&amp;&"]),
        ("一<!-- <p>二 -->三<!-->四<!--五", ["一三四"]),
        ("一<script>'<p>'</b></script>二<style>p{}</style >三", ["一二三"]),
        ("一 < 二 <3 四 </ 五>六", ["一 < 二 <3 四 六"]),
        ('<a href="x>y">一</a><a href=\'>\'>二</a><b title=a"b>三</b>', ["一二三"]),
        ("<P CLASS=x>一</P><DIV>二</dIv>", ["一", "二"]),
        ("一<nav>二</nav>三<button>四</button>五", ["一", "三五"]),
        ("一<span hidden>二<span>三</span>四</span>五", ["一五"]),
        ("<p style='color:red; DISPLAY : none'>一<p>二", ["二"]),
        ("<ruby>汉<rt>hàn<rt>x</ruby>字", ["汉字"]),
        ("<pre>\n\n  a\n\n   b  \nc</pre>d", ["  a\n   b\nc", "d"]),
        ("<table><tr><td>一<td>二<tr><td>三<td></table>", ["一 二", "三"]),
        ("<table><tr><td>" + "长" * 41 + "<td>二</table>", ["长" * 41, "二"]),
        ("<td>一</td><tr>二", ["一", "二"]),
        ("一<p>二<textarea>三<p>四</textarea>五", ["一", "二五"]),
        ("一<script>二", ["一"]),
        ("一<a title='二", ["一"]),
        ("\x00一\x00", ["一"]),
    ],
)
def test_blocks_are_the_paragraphs_that_a_browser_shows(source: str, texts: list[str]) -> None:
    assert [block.text for block in assert_same(source).blocks] == texts


def test_links_marks_and_hanzi_are_counted() -> None:
    (block,) = assert_same("<p>看，<a href=x>这 里</a>!好。a,b, c").blocks
    assert (block.characters, block.link_characters, block.marks, block.hanzi) == (14, 2, 3, 4)


def test_link_ends_with_the_box_in_which_it_began() -> None:
    blocks = assert_same("<div><a name=top>一</div><div>二</div><a>三<div>四</a>五</div>").blocks
    assert [block.link_characters for block in blocks] == [1, 0, 1, 1]


def test_headings_and_boxes_beside_are_marked() -> None:
    page = assert_same('<h2>一</h2><div class="b-comment"><p>二</div><div class=unavailable>三')
    flags = [block.flags & (IN_HEADING | IN_BESIDE) for block in page.blocks]
    assert flags == [IN_HEADING, IN_BESIDE, 0]


def test_boxes_of_one_kind_have_one_shape() -> None:
    page = assert_same(
        '<div class="post a">一</div><div class=" post b">二</div><p class=post>三<div>'
    )
    first, second, third, plain = [box.shape for box in page.boxes[1:]]
    assert first == second != third
    assert plain == 0


def test_elements_nested_deeper_than_browsers_allow_follow_each_other() -> None:
    page = assert_same("<div>" * (MAX_DEPTH + 50) + "一" + "</div>" * 20 + "二")
    assert [block.text for block in page.blocks] == ["一", "二"]
    assert len(page.boxes) == MAX_DEPTH + 51


def test_nesting_is_never_less_than_that_of_the_elements() -> None:
    assert nesting(b"<div>" * 7 + b"</div>" * 3 + b"<b>" * 2) == 7
    assert nesting(b"<b>" * 5 + b"<br><img>" * 9) == 5
    assert nesting(b"") == 0


def pages(most_bytes: int) -> list[str]:
    """Some pages of every source of the collection, decoded."""
    taken: dict[str, int] = {}
    with gzip.open(FOLDER / "smoke.index.jsonl.gz", "rt", encoding="utf-8") as lines:
        kinds = {entry["offset"]: entry["source"].split(":")[0] for entry in map(json.loads, lines)}
    found = []
    with (FOLDER / "smoke.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            source = kinds.get(record.stream_pos, "")
            body = record.reader.read()
            if len(body) <= most_bytes and taken.get(source, 0) < 4:
                taken[source] = taken.get(source, 0) + 1
                found.append(decode_page(body, record.http_charset).text)
    return found


needs_pages = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name the collection"
)


@pytest.mark.shared_data
@needs_pages
def test_real_pages() -> None:
    for source in pages(most_bytes=200_000):
        assert_same(source)


@pytest.mark.shared_data
@pytest.mark.slow
@needs_pages
@given(st.data())
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
def test_mutated_real_pages(data: st.DataObject) -> None:
    if not _SHORT:
        _SHORT.extend(pages(most_bytes=30_000))
    assert_same(data.draw(mutated(data.draw(st.sampled_from(_SHORT)))))


_SHORT: list[str] = []
