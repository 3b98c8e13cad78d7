from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from pangu_settings import UserError
from tokenizer import Tokenizer

# Every character that means something to SentencePiece or to us, among ordinary ones.
DIFFICULT = st.text(
    st.one_of(
        st.sampled_from(
            "今天是个好日子，。！\n \t\r\0\u3000\u00a0▁▂▃▅⁇<＜﹤>＞/|😀𠮷\ufffd\ufeffaA1Ａ１"
        ),
        st.characters(exclude_categories=["Cs"]),
    )
)
SPELLED = st.lists(
    st.sampled_from(
        [
            "<eot>",
            "<pad>",
            "<sep>",
            "<unk>",
            "<s>",
            "<0x41>",
            "＜eot＞",
            "<ｅｏｔ>",
            "今天",
            "<",
            "\n",
            " ",
        ]
    )
).map("".join)


@given(text=DIFFICULT | SPELLED)
@example(text="")
@example(text="  \n\n 今天  下雨 \n")
@example(text="▂▃▁ <eot>")
def test_decode_gives_back_every_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=DIFFICULT | SPELLED)
def test_byte_lengths_add_up_to_the_bytes_of_a_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.byte_lengths[tokenizer.encode(text)].sum() == len(text.encode())


def test_ids_that_stand_for_no_text_have_no_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.byte_lengths[[tokenizer.separator, tokenizer.pad]].tolist() == [0, 0]


@given(text=DIFFICULT | SPELLED)
def test_text_never_encodes_to_a_named_special_piece(
    tokenizer: Tokenizer, words_tokenizer: Tokenizer, text: str
) -> None:
    for loaded in (tokenizer, words_tokenizer):
        assert not {1, 2, 5, 6, 7, 8, 9} & set(loaded.encode(text).tolist())


@given(text=st.text("今天是个好日子王老师们读书abc \n", max_size=60))
def test_words_keep_spaces_and_newlines(words_tokenizer: Tokenizer, text: str) -> None:
    ids = words_tokenizer.encode(text)
    assert (ids == 4).sum() == text.count(" ")
    assert (ids == 3).sum() == text.count("\n")
    assert words_tokenizer.decode(ids).count("\n") == text.count("\n")


def test_special_pieces_have_the_released_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.pieces(range(10)) == [
        "<unk>",
        "<s>",
        "</s>",
        "▃",
        "▂",
        "<sep>",
        "<pad>",
        "<mask>",
        "<eod>",
        "<eot>",
    ]
    assert (tokenizer.separator, tokenizer.pad) == (9, 6)


def test_a_newline_and_a_space_cost_one_id_each(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("\n \n").tolist() == [3, 4, 3]


def test_a_newline_costs_two_ids_among_words(words_tokenizer: Tokenizer) -> None:
    word_start = words_tokenizer.encode("\n").tolist()[0]
    assert words_tokenizer.pieces([word_start]) == ["▁"]
    assert words_tokenizer.encode("\n ").tolist() == [word_start, 3, word_start, 4]


def test_words_begin_with_a_word_start(words_tokenizer: Tokenizer) -> None:
    pieces = words_tokenizer.pieces(words_tokenizer.encode("王老师读完了一本书"))
    assert pieces[0].startswith("▁")
    assert "".join(pieces).split("▁")[1:] == ["王老师", "读完", "了", "一", "本书"]


def test_nfkc_folds_width_and_identity_does_not(
    tokenizer: Tokenizer, words_tokenizer: Tokenizer
) -> None:
    assert words_tokenizer.decode(words_tokenizer.encode("公园，")) == "公园,"
    assert tokenizer.decode(tokenizer.encode("公园，")) == "公园，"


def test_a_character_without_a_piece_is_bytes_or_unknown(
    tokenizer: Tokenizer, words_tokenizer: Tokenizer
) -> None:
    assert tokenizer.pieces(tokenizer.encode("😀")) == ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    assert 0 in words_tokenizer.encode("😀")
    assert words_tokenizer.decode(words_tokenizer.encode("😀")) == "⁇"


@given(texts=st.lists(st.text("今天是个好日子 \n<▂", max_size=20), max_size=5))
def test_a_batch_is_its_texts_in_one_row(tokenizer: Tokenizer, texts: list[str]) -> None:
    batch = tokenizer.encode_batch(texts)
    assert (batch.ids.dtype, batch.ends.dtype) == (np.int32, np.int64)
    rows = np.split(batch.ids, batch.ends[:-1]) if texts else []
    assert [row.tolist() for row in rows] == [tokenizer.encode(text).tolist() for text in texts]


def test_decode_names_an_id_outside_the_vocabulary(tokenizer: Tokenizer) -> None:
    for ids in ([500], [-1, 3]):
        with pytest.raises(ValueError, match=f"the id {ids[0]} lies outside 0 to 499"):
            tokenizer.decode(ids)


def test_a_model_loads_by_folder_by_file_and_from_any_filesystem(vocabulary: Path) -> None:
    import fsspec

    content = (vocabulary / "tokenizer.model").read_bytes()
    fsspec.filesystem("memory").pipe_file("/models/tokenizer.model", content)
    loaded = [
        Tokenizer(vocabulary),
        Tokenizer(vocabulary / "tokenizer.model"),
        Tokenizer("memory://models/tokenizer.model"),
    ]
    assert len({model.sha256 for model in loaded}) == 1


def test_files_that_are_no_vocabulary_are_named(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"absent\.model: no such file"):
        Tokenizer(tmp_path / "absent.model")
    damaged = tmp_path / "damaged.model"
    damaged.write_bytes(Path(tokenizer.path).read_bytes()[:3000])
    with pytest.raises(UserError, match=r"damaged\.model: is not a SentencePiece model"):
        Tokenizer(damaged)
    empty = tmp_path / "empty.model"
    empty.write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.model: is not a SentencePiece model"):
        Tokenizer(empty)
    foreign = tmp_path / "foreign.model"
    with foreign.open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=iter(["今天下雨", "明天晴"]),
            model_writer=file,
            vocab_size=10,
            minloglevel=3,
        )
    with pytest.raises(UserError, match=r"its first pieces are <unk> <s> </s> .*, not PanGu-α's"):
        Tokenizer(foreign)


@pytest.mark.skipif(
    "PANGU_RELEASED_VOCABULARY" not in os.environ,
    reason="PANGU_RELEASED_VOCABULARY does not name the released vocab.model (docs/tokenizer.md)",
)
def test_the_released_vocabulary_encodes_as_released() -> None:
    released = Tokenizer(os.environ["PANGU_RELEASED_VOCABULARY"])
    assert (released.vocabulary_size, released.segmenter) == (40_000, "jieba")
    assert released.encode("今天是一个好天气").tolist() == [465, 16, 46, 70, 2786]
    assert released.encode("\n ").tolist() == [13, 3, 13, 4]
    assert released.pieces(released.encode("<eod>")) == ["▁", "<", "▁e", "od", "▁>"]
    assert released.decode(released.encode("①好，Ａ…")) == "1好,A..."
