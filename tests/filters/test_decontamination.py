"""Which documents hold text of an evaluation set, and what would be cut."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import opencc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decontamination import MOST_TEXTS, Decontaminator, Leak, comparable, find_leak
from filters.decontamination_settings import Decontaminate
from filters.kernels.text_batch import TextBatch

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", ""))

PASSAGE = (
    "站在海边的人很容易发现，海水每天涨落两次，而且每天的时间都比前一天晚大约五十分钟。"
    "这是因为月亮绕着地球走，地球转完一圈以后，还要再转一会儿才追得上它。"
)
QUESTION = "为什么海水每天涨落的时间都比前一天晚大约五十分钟？"
BEFORE = "昨天我们去了海边。孩子们在沙滩上捡贝壳，风很大。"
AFTER = "回家的路上大家都睡着了，只有司机还在听收音机。"


def leaks(
    documents: list[str], known: list[str], settings: Decontaminate | None = None
) -> list[Leak]:
    found = Decontaminator(comparable(known), settings or Decontaminate())
    return found.find_batch(TextBatch.from_strings(documents))


def cut_text(document: str, known: list[str]) -> str:
    (leak,) = leaks([document], known)
    for start, end in reversed(leak.spans):
        document = document[:start] + document[end:]
    return document


def test_the_sentences_of_a_passage_are_found() -> None:
    assert cut_text(BEFORE + PASSAGE + AFTER, [PASSAGE]) == BEFORE + AFTER


def test_a_document_without_the_passage_is_clean() -> None:
    assert leaks([BEFORE + AFTER, "", "海水"], [PASSAGE]) == []


def test_the_leak_says_what_was_found() -> None:
    other = "一篇与此无关的文章，讲的是怎样在阳台上种西红柿，怎样浇水，怎样搭架子。"
    (leak,) = leaks(["", BEFORE + PASSAGE], [other, PASSAGE])
    (shared,) = leak.shared
    assert (leak.document, shared.known, shared.share) == (1, 1, 1.0)
    assert shared.found == shared.of == len(comparable([PASSAGE])[0]) - 12
    assert shared.start == len(BEFORE)


@pytest.mark.parametrize("variant", ["s2t", "s2tw", "s2hk"])
def test_traditional_writing_hides_nothing(variant: str) -> None:
    traditional = opencc.OpenCC(variant).convert(PASSAGE)
    assert traditional != PASSAGE
    for document, known in ((traditional, PASSAGE), (PASSAGE, traditional)):
        (leak,) = leaks([BEFORE + document], [known])
        # 著 for 着 is the one character whose two ways of writing are not the same to us.
        assert leak.shared[0].share == 1.0 or "著" in traditional
    assert cut_text(BEFORE + traditional + AFTER, [PASSAGE]) == BEFORE + AFTER


def test_width_case_spaces_and_punctuation_hide_nothing() -> None:
    known = "Windows 98 于 1998 年 6 月 25 日发布，是为普通用户设计的 Windows。"
    document = "ＷＩＮＤＯＷＳ９８于１９９８年６月２５日发布；是\n为普通用户设计的ｗｉｎｄｏｗｓ"
    (leak,) = leaks([document], [known])
    assert leak.shared[0].share == 1.0
    assert leak.spans == ((0, len(document)),)


def test_half_of_a_passage_is_enough() -> None:
    assert leaks([PASSAGE[:55]], [PASSAGE])
    assert leaks([PASSAGE[:40]], [PASSAGE]) == []
    assert leaks([PASSAGE[:55]], [PASSAGE], Decontaminate(min_share=0.9)) == []


def test_a_changed_character_here_and_there_does_not_hide_a_passage() -> None:
    changed = PASSAGE.replace("五十", "四十").replace("月亮", "月球")
    assert cut_text(BEFORE + changed + AFTER, [PASSAGE]) == BEFORE + AFTER


def test_a_name_that_both_mention_is_no_leak() -> None:
    name = "中华人民共和国国务院新闻办公室"
    known = f"{name}昨天发布了白皮书，介绍了三十年来在这个领域取得的进展和今后的打算。"
    assert leaks([f"记者从{name}了解到，今年的展览将在秋天开幕，欢迎大家来看。"], [known]) == []


def test_texts_that_are_too_short_are_not_looked_for() -> None:
    found = Decontaminator(comparable(["海水涨落", QUESTION, "哈" * 50, ""]), Decontaminate())
    # One n-gram, repeated, is no evidence either.
    assert found.is_looked_for.tolist() == [False, True, False, False]
    assert found.find_batch(TextBatch.from_strings(["海水涨落", "哈" * 80])) == []


def test_nothing_to_look_for() -> None:
    assert leaks([PASSAGE], []) == []
    assert leaks([PASSAGE], ["", "短"]) == []
    assert leaks([], [PASSAGE]) == []


INSTRUCTION = (
    "下面是一道单项选择题，请认真阅读题目，从四个选项中选出最合适的一个，并只回答它的字母。"
)


def prompts(count: int) -> list[str]:
    """Different questions after one instruction that is longer than each of them."""
    return [
        f"{INSTRUCTION}{chr(0x4E00 + n * 7)}村的{chr(0x5E00 + n * 11)}家有{n}口人，"
        f"他们一共种了多少棵{chr(0x6E00 + n * 13)}树？"
        for n in range(count)
    ]


def test_an_instruction_of_many_questions_is_no_leak() -> None:
    known = prompts(MOST_TEXTS + 1)
    document = BEFORE + INSTRUCTION + AFTER
    assert leaks([document], known) == []
    # Of a few texts it may be all there is to find.
    (leak,) = leaks([document], known[:2])
    assert [shared.known for shared in leak.shared] == [0, 1]


def test_of_many_questions_with_one_instruction_the_one_is_found() -> None:
    known = prompts(MOST_TEXTS + 1)
    document = BEFORE + known[30] + AFTER
    (leak,) = leaks([document], known, Decontaminate(min_share=0.8))
    assert [(shared.known, shared.share) for shared in leak.shared] == [(30, 1.0)]
    forms = comparable(known)
    (same,) = leaks([document], known)
    assert find_leak(document, forms, Decontaminate()) == same


def law_and_item() -> tuple[str, str]:
    law = "国家尊重和保障人权。任何公民享有宪法和法律规定的权利。"
    return law, f"{law}老师请大家说说，这两句话写在哪一部法律里，又是哪一年写进去的？" + QUESTION


def test_a_law_that_an_item_quotes_may_be_quoted_by_others() -> None:
    law, item = law_and_item()
    documents = [f"{BEFORE}{law}{AFTER}{n}" for n in range(50)]
    assert leaks(documents, [item]) == []
    assert leaks([BEFORE + item], [item])


def test_a_part_of_a_long_text_can_leak() -> None:
    story = "".join(
        f"第{n}天，他走了{n * 7}里路，在{chr(0x4E00 + n * 31)}村住下。" for n in range(99)
    )
    part = story[600:1000]
    (leak,) = leaks([BEFORE + part + AFTER], [story])
    assert leak.shared[0].share > 0.5
    assert leaks([BEFORE + story[600:660] + AFTER], [story]) == []


def test_a_phrase_far_from_the_passage_is_not_cut() -> None:
    phrase = "海水每天涨落两次而且每天的时间"
    far = f"有人说，{phrase}，谁也说不清。" + BEFORE * 20
    assert cut_text(far + PASSAGE + AFTER, [PASSAGE]) == far + AFTER


def test_a_cut_grows_to_the_sentence_but_not_without_end() -> None:
    assert cut_text("题目\n他说，" + PASSAGE + "\n" + AFTER, [PASSAGE]) == "题目\n\n" + AFTER
    endless = "字" * 500
    assert cut_text(endless + PASSAGE + AFTER, [PASSAGE]) == endless + AFTER


_SENTENCES = st.sampled_from(
    [*PASSAGE.split("，"), QUESTION, BEFORE, AFTER, "海", "\n", "。", "ＡＢＣ", "㎡", "\x00", "𠀀"]
)
_DOCUMENT = st.lists(_SENTENCES, max_size=8).map("".join)


@given(
    st.lists(_DOCUMENT, max_size=4),
    st.lists(_DOCUMENT, max_size=4),
    st.sampled_from([(4, 4, 0.5), (13, 20, 0.5), (13, 13, 0.3), (5, 9, 1.0)]),
)
def test_batches_equal_the_reference(
    documents: list[str], known: list[str], drawn: tuple[int, int, float]
) -> None:
    ngram, least, share = drawn
    settings = Decontaminate(ngram=ngram, min_characters=least, min_share=share)
    forms = list(dict.fromkeys(comparable(known)))
    found = Decontaminator(forms, settings).find_batch(TextBatch.from_strings(documents))
    expected = [
        Leak(number, leak.shared, leak.spans)
        for number, leak in enumerate(find_leak(text, forms, settings) for text in documents)
        if leak is not None
    ]
    assert found == expected


@given(st.lists(_DOCUMENT, min_size=1, max_size=4))
def test_a_document_does_not_depend_on_its_batch(documents: list[str]) -> None:
    found = Decontaminator(comparable([PASSAGE, QUESTION]), Decontaminate())
    together = found.find_batch(TextBatch.from_strings(documents))
    alone = [
        Leak(number, leak.shared, leak.spans)
        for number, text in enumerate(documents)
        for leak in found.find_batch(TextBatch.from_strings([text]))
    ]
    assert together == alone


@given(_DOCUMENT)
def test_spans_are_within_the_document_and_in_order(document: str) -> None:
    for leak in leaks([document], [PASSAGE, QUESTION]):
        place = 0
        for start, end in leak.spans:
            assert place <= start < end <= len(document)
            place = end + 1


def test_a_long_document_that_leaks_everywhere_is_bounded() -> None:
    (leak,) = leaks([PASSAGE * 20_000], [PASSAGE, QUESTION])
    assert leak.spans == ((0, len(PASSAGE) * 20_000),)


def texts_of(name: str) -> list[str]:
    with gzip.open(FOLDER / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


@pytest.mark.shared_data
@pytest.mark.skipif(not (FOLDER / "eval").is_dir(), reason="PANGU_SHARED_DATA is not set")
def test_real_batches_equal_the_reference() -> None:
    with gzip.open(FOLDER / "eval/cmrc2018/cmrc2018_trial.json.gz", "rt", encoding="utf-8") as file:
        contexts = [entry["context_text"] for entry in json.load(file)]
    forms = list(dict.fromkeys(comparable(contexts)))
    documents = texts_of("encyclopedia")[-120:] + texts_of("news")[:40]
    found = Decontaminator(forms, Decontaminate()).find_batch(TextBatch.from_strings(documents))
    assert len(found) >= 100
    by_document = {leak.document: leak for leak in found}
    for number in range(0, len(documents), 13):
        expected = find_leak(documents[number], forms, Decontaminate())
        leak = by_document.get(number)
        assert (leak is None) == (expected is None)
        if leak and expected:
            assert (leak.shared, leak.spans) == (expected.shared, expected.spans)
