"""Words by jieba's dictionary, without its hidden Markov model, for classifiers.

The words are those of jieba 0.42.1 with HMM=False, found some forty times faster.
"""

from __future__ import annotations

import importlib.resources
from functools import cache

from filters.kernels.segmentation import Dictionary, Segmenter
from filters.kernels.text_batch import TextBatch


def segment_words(text: str) -> list[str]:
    """The words of one text; joined they are the text."""
    return segmenter().words(TextBatch.from_strings([text]))[0].to_strings()


@cache
def segmenter() -> Segmenter:
    """The segmenter of jieba's dictionary, made once in a process: half a second."""
    return Segmenter(jieba_dictionary())


@cache
def jieba_dictionary() -> Dictionary:
    """The dictionary that jieba comes with."""
    lines = importlib.resources.files("jieba").joinpath("dict.txt").read_text(encoding="utf-8")
    entries = (line.split(" ") for line in lines.splitlines() if line)
    return Dictionary({word: int(frequency) for word, frequency, *_ in entries})
