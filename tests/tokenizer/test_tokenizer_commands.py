from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pangu_settings import UserError
from tokenizer import Tokenizer
from tokenizer.commands import tokenizer as command


def run(*arguments: object, standard_input: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=standard_input)
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.fixture
def corpus(chinese_texts: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in chinese_texts))
    return path


def test_train_says_what_it_wrote_and_what_to_do_next(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "vocabulary"
    result = run("train", corpus, "-o", out, "--vocabulary-size", 500, "--algorithm", "unigram")
    assert result.exit_code == 0, result.output
    assert f"Wrote {out}/tokenizer.model: 500 pieces learned from 0.1 MB" in result.output
    assert f"Next: pangu tokenizer encode {out}" in result.output
    assert json.loads((out / "facts.json").read_text())["settings"]["algorithm"] == "unigram"
    assert Tokenizer(out).vocabulary_size == 500


def test_train_options_reach_the_vocabulary(corpus: Path, tmp_path: Path) -> None:
    options = "--segmenter jieba --normalization nmt_nfkc --no-byte-fallback --vocabulary-size 300"
    run("train", corpus, "-o", tmp_path / "words", *options.split())
    assert Tokenizer(tmp_path / "words").segmenter == "jieba"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--vocabulary-size", "5"], "vocabulary_size: input should be greater than 10"),
        (["--sample-bytes", "5"], "sample_bytes: input should be greater than"),
        ([], "too small for 40,000 pieces"),
    ],
)
def test_train_names_a_wrong_option(
    corpus: Path, tmp_path: Path, options: list[str], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        run("train", corpus, "-o", tmp_path / "out", *options)


def test_encode_and_decode_are_inverse(vocabulary: Path) -> None:
    text = "今天早上  我们\n在公园里 <eot>"
    ids = run("encode", vocabulary, text).output
    assert ids.split() == [str(number) for number in Tokenizer(vocabulary).encode(text)]
    assert run("encode", vocabulary, standard_input=text + "\n").output == ids
    assert run("decode", vocabulary, standard_input=ids).output == text + "\n"
    assert run("decode", vocabulary, *ids.split()).output == text + "\n"


def test_encode_shows_pieces(vocabulary: Path) -> None:
    output = run("encode", "--pieces", vocabulary, "今天早上\n").output
    assert output.removesuffix(" ▃\n").replace(" ", "") == "今天早上"


@pytest.mark.parametrize(
    ("arguments", "standard_input", "problem"),
    [
        (["decode", "12", "x3"], None, "'x3' is not an id"),
        (["decode", "500"], None, "the id 500 lies outside 0 to 499"),
        (["encode"], "今天".encode("gb18030"), "standard input is not UTF-8"),
    ],
)
def test_wrong_input_is_named(
    vocabulary: Path, arguments: list[str], standard_input: bytes | None, problem: str
) -> None:
    verb, *rest = arguments
    with pytest.raises(UserError, match=problem):
        run(verb, vocabulary, *rest, standard_input=standard_input)


def test_help_of_each_command_has_a_chinese_example() -> None:
    for arguments in (["--help"], ["train", "--help"], ["encode", "--help"], ["decode", "--help"]):
        output = run(*arguments).output
        assert "Example" in output
        assert any("一" <= character <= "鿿" for character in output)
