"""The class of every character, and how many of each class a text has.

Each character is in one class. Shares of a text are sums of classes over the visible characters;
the classes are as fine as some signal needs them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache

import numpy as np

# White space, then what words are made of and symbols, then punctuation, last the marks that matter
# at the end of a line: kernels compare with these borders.
(
    SPACE,
    LINE_BREAK,
    HANZI,
    MANDARIN,  # hanzi that are function words of Mandarin
    CANTONESE,  # hanzi that only Cantonese uses as function words
    LATIN,
    KANA,
    HANGUL,
    LETTER,  # letters, marks and numbers of all other scripts
    DIGIT,
    SYMBOL,  # neither letter, digit nor punctuation; unassigned characters
    PUNCTUATION,  # but for the marks below
    HASH,
    OPENING_BRACKET,  # 【
    STOP,  # ends a sentence
    FULL_STOP,  # ends one too, but also stands in numbers and addresses
    ELLIPSIS,
    CLOSING,  # may stand between the end of a sentence and the end of its line
    CLOSING_BRACKET,  # 】, which may as well
) = range(19)
CLASSES = 19

_MARKS = {
    STOP: "。！？；!?",
    FULL_STOP: ".",
    ELLIPSIS: "…",
    CLOSING: "”’」』》）〕)]\"'",
    CLOSING_BRACKET: "】",
    OPENING_BRACKET: "【",
    HASH: "#＃",
    # 们, 她 and the like are as good as absent from written Cantonese, 嘅, 咗 and the like from
    # Mandarin. Traditional and simplified forms, since texts come before and after conversion.
    MANDARIN: "的是了不在这這那他她它们們没沒吗嗎说說",
    CANTONESE: "嘅咗唔喺哋冇佢嗰咁啲嚟嘢乜噉啱瞓攞嘥咪喎㗎冧諗谂",
}
# First and last code point.
_HANZI_RANGES = (
    (0x3005, 0x3007),  # 々〆〇
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323FF),
)
# How the Unicode names of a script's letters begin.
_SCRIPTS = {
    LATIN: ("LATIN ", "FULLWIDTH LATIN "),
    KANA: ("HIRAGANA ", "KATAKANA ", "HALFWIDTH KATAKANA ", "KATAKANA-HIRAGANA "),
    HANGUL: ("HANGUL ", "HALFWIDTH HANGUL "),
}
# Beyond are hanzi, and no other letters, digits or marks of punctuation.
_LAST_ALPHABET = 0x1FFFF


@cache
def class_table() -> np.ndarray:
    """uint8 (0x110000,): the class of every code point."""
    table = np.full(0x110000, SYMBOL, np.uint8)
    by_category = {"L": LETTER, "M": LETTER, "N": LETTER, "P": PUNCTUATION}
    for first, last in _HANZI_RANGES:
        table[first : last + 1] = HANZI
    for code in np.flatnonzero(table[: _LAST_ALPHABET + 1] != HANZI).tolist():
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace():
            table[code] = SPACE
        elif category == "Nd":
            table[code] = DIGIT
        else:
            table[code] = by_category.get(category[0], SYMBOL)
        if category[0] == "L":
            name = unicodedata.name(character, "")
            for script, beginnings in _SCRIPTS.items():
                if name.startswith(beginnings):
                    table[code] = script
    table[0xE0100:0xE01F0] = LETTER  # variation selectors, which are marks
    for number, characters in _MARKS.items():
        table[[ord(character) for character in characters]] = number
    table[ord("\n")] = LINE_BREAK
    table.flags.writeable = False
    return table


def count_classes(text: str) -> list[int]:
    """How many characters of each class a text has: CLASSES numbers.

    The reference; `line_statistics_of` counts them on its way.
    """
    counts = Counter(int(class_table()[ord(character)]) for character in text)
    return [counts[number] for number in range(CLASSES)]
