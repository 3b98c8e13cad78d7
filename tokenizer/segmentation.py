"""Words by jieba, as the released PanGu-α code feeds them to SentencePiece."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pangu_settings import UserError
from tokenizer.special_pieces import NEWLINE_SYMBOL, SPACE_SYMBOL

Segmenter = Literal["none", "jieba"]


def mark_spaces(text: str) -> str:
    """Replaces spaces and newlines by the symbols that stand for them."""
    return text.replace(" ", SPACE_SYMBOL).replace("\n", NEWLINE_SYMBOL)


def segment(text: str) -> list[str]:
    """The words of text (jieba's default mode, HMM on), spaces and newlines marked.

    Source: `tokenization_jieba.py` of the released code.

    Raises:
      UserError: jieba is not installed.
    """
    return [mark_spaces(word) for word in _jieba().cut(text, cut_all=False)]


@cache
def _jieba() -> Any:
    """A jieba tokenizer of our own: nobody else's user words, no file shared through /tmp."""
    try:
        import jieba
    except ModuleNotFoundError:
        raise UserError(
            "this vocabulary was trained on jieba words, and jieba is not installed; "
            "install it with: pip install jieba==0.42.1"
        ) from None
    tokenizer = jieba.Tokenizer()
    # What `initialize` does, without its cache: that is a marshal file under a fixed name in the
    # machine's temporary folder, which any user could have put there.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
