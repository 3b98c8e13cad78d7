"""Compiles every kernel, once for each machine: `python -m filters.compile_kernels`.

Commands that read text call this before they start, so that a first run says what it is waiting
for, and workers find compiled code instead of compiling the same kernels beside each other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from filters.chinese_prefilter import chinese_in_bytes
from filters.clean import Cleaner, CleanSettings
from filters.decontamination import Decontaminator, comparable
from filters.decontamination_settings import Decontaminate
from filters.encoding import decode_page
from filters.folding import fold_texts
from filters.kernels.band_buckets import candidates_of
from filters.kernels.compiling import all_compiled, note_all_compiled
from filters.kernels.components import Forest
from filters.kernels.fasttext_characters import CharacterTable
from filters.kernels.fasttext_prediction import FoldedModel, fold_rows
from filters.kernels.fasttext_words import WordTable
from filters.kernels.html_blocks import nesting
from filters.kernels.line_hashes import line_hashes
from filters.kernels.repeated_hashes import may_be_repeated
from filters.kernels.segmentation import Dictionary, Segmenter
from filters.kernels.shingle_sets import agreement_of, distinct, jaccard_of
from filters.kernels.text_batch import TextBatch
from filters.main_text import extract_main_text
from filters.minhash import MinHash
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.signals import Measurer

_TEXT = (
    "漢字和简体字写在同一段里，數字１２３与ＡＢＣ变成半角。电话13800138000，邮箱 a@example.cn。\n"
    "上一篇：春天来了\n春天来了，花开了。春天来了，花开了。\n"
) * 2
_PAGE = (
    "<html><head><title>春天_网</title></head><body><div class=nav><a href=/>首页</a></div>"
    "<h1>春天</h1><p>春天来了，花开了，我们去看看。&amp;&#20013;</p><table><tr><td>一<td>二</table>"
    "<pre>行\n行</pre></body></html>"
)


def _read_bytes() -> None:
    for encoding in ("utf-8", "gb18030", "big5hkscs", "cp932"):
        body = _PAGE.replace("们", "").replace("开", "").encode(encoding, "ignore")
        decode_page(body, None)
        decode_page(body.replace(b"<p>", b"<p>\xff"), None)
        chinese_in_bytes(body, 100)


def _extract() -> None:
    for page in (_PAGE, "<h1>春天</h1>"):
        extract_main_text(page.encode(), "http://example.cn/")
    nesting(_PAGE.encode())


def _clean() -> None:
    texts = TextBatch.from_strings([_TEXT])
    for settings in (CleanSettings(), CleanSettings(repeated_short_lines=2)):
        cleaned = Cleaner(settings).clean_batch(texts)
        cleaned.texts.to_arrow()
        line_hashes(cleaned.lines, np.arange(len(cleaned.lines)))
    PersonalDataMasker(PersonalDataSettings()).mask_batch(texts)


def _measure() -> None:
    texts = TextBatch.from_strings([_TEXT])
    Measurer({"words": ["春天", "花"]}).measure_batch(TextBatch.from_strings(["春天"]), texts)
    comparable = fold_texts(texts).comparable
    minhash = MinHash(shingle=5, bands=16, rows=8, seed=1)
    minhash.band_keys_of(comparable)
    minhash.signatures_of(comparable)


def _classify() -> None:
    texts = TextBatch.from_strings(["春天"])
    weights = fold_rows(np.ones((11, 2), np.float32), np.ones(2, np.float32))
    model = FoldedModel(("</s>", "春", "天"), weights[:3], weights[3:], 2)
    CharacterTable(model).score(texts, 10)
    WordTable(model).score(*Segmenter(Dictionary({"春天": 2})).words(texts))


def _find_duplicates() -> None:
    keys = np.array([7, 7, 9], np.uint64)
    Forest(3).connect(candidates_of(keys, keys, keys + keys, 8, True).pairs % np.uint64(3))
    Forest(3).labels()
    may_be_repeated(keys)
    sets = distinct(np.array([2, 1, 1], np.uint32), np.array([0, 1, 3]))
    jaccard_of(sets, np.array([[0, 1]]), 0.8)
    agreement_of(np.ones((2, 4), np.uint32), np.array([[0, 1]]))


def _decontaminate() -> None:
    known = comparable([_TEXT])
    Decontaminator(known, Decontaminate()).find_batch(TextBatch.from_strings([_TEXT]))


# What is compiled, in the words of the progress line.
_STEPS: dict[str, Callable[[], None]] = {
    "reading bytes": _read_bytes,
    "main text": _extract,
    "cleaning": _clean,
    "signals": _measure,
    "classifiers": _classify,
    "duplicates": _find_duplicates,
    "evaluation sets": _decontaminate,
}


def compile_kernels(say: Callable[[str], None]) -> None:
    """Compiles what is not compiled yet; does nothing, and says nothing, where all is.

    Args:
      say: prints a line.
    """
    if all_compiled():
        return
    say("Compiling the text kernels for this machine; this is done once and takes a minute.")
    for name, step in _STEPS.items():
        started = time.monotonic()
        step()
        say(f"  {name:<15} {time.monotonic() - started:.1f} s")
    note_all_compiled()


if __name__ == "__main__":
    compile_kernels(lambda line: print(line, file=sys.stderr))
