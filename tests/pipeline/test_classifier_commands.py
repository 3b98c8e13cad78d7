"""`pangu classifier`: from files to a model that a recipe can name."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pangu import program
from pangu_settings import UserError

GOOD = [f"研究表明第{index}种方法能够提高模型的质量。历史学家同意。" for index in range(60)]
BAD = [f"加微信领取第{index}张优惠券，点击下载观看，免费送手机！" for index in range(60)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    with gzip.open(tmp_path / "bad.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in [*BAD, "半个\ud83d"])
    (tmp_path / "good-1.txt").write_text("\n\n".join(GOOD[:30]), encoding="utf-8")
    (tmp_path / "good-2.txt").write_text("\n\n".join(GOOD[30:]), encoding="utf-8")
    return tmp_path


def pangu(*arguments: object) -> Result:
    return CliRunner().invoke(program, ["classifier", *map(str, arguments)], catch_exceptions=False)


def train(files: Path, out: str, *options: str) -> Result:
    return pangu(
        *("train", "--positives", files / "bad.jsonl.gz", "--negatives", files / "good-*.txt"),
        *("-o", files / out, "--buckets", 4096, "--minimum-count", 1, *options),
    )


@pytest.mark.parametrize("features", ["characters", "words"])
def test_train_then_test(files: Path, features: str) -> None:
    result = train(files, "spam.bin", "--features", features, "--held-out", "0.3")
    assert result.exit_code == 0
    assert "best F1" in result.output
    assert f"classifiers: {{NAME: {{model: {files / 'spam.bin'}}}}}" in result.output
    facts = json.loads((files / "spam.bin.json").read_text(encoding="utf-8"))
    model = (files / "spam.bin").read_bytes()
    assert facts["sha256"] == hashlib.sha256(model).hexdigest()
    assert facts["features"] == features
    assert [Path(entry["path"]).name for entry in facts["sources"]["negatives"]] == [
        "good-1.txt",
        "good-2.txt",
    ]
    (files / "more.txt").write_text("\n\n".join(BAD[:10]), encoding="utf-8")
    tested = pangu(
        *("test", files / "spam.bin", "--examples", 2),
        *("--positives", files / "more.txt", "--negatives", files / "good-1.txt"),
    )
    assert tested.exit_code == 0
    table = [line.split() for line in tested.output.splitlines()]
    assert ["0.5", "1.0000", "1.0000", "1.0000"] in [row[:4] for row in table]
    assert ["positive", "10", "0"] in table
    assert ["negative", "0", "30"] in table
    assert tested.output.count("研究表明") == 2


def test_training_again_gives_the_same_files(files: Path) -> None:
    train(files, "one.bin")
    train(files, "two.bin")
    for suffix in ("bin", "bin.json"):
        assert (files / f"one.{suffix}").read_bytes() == (files / f"two.{suffix}").read_bytes()


def test_nothing_held_out_is_said(files: Path) -> None:
    assert "nothing was measured" in train(files, "spam.bin", "--held-out", "0").output


def test_mistakes_are_named(files: Path) -> None:
    with pytest.raises(UserError, match=r"nothing-\*\.txt: names no file"):
        pangu(
            *("train", "--positives", files / "nothing-*.txt"),
            *("--negatives", files / "good-1.txt", "-o", files / "spam.bin"),
        )
    with pytest.raises(UserError, match=r"good-1\.txt: does not begin as a fastText model does"):
        pangu(
            *("test", files / "good-1.txt", "--positives", files / "good-1.txt"),
            *("--negatives", files / "good-2.txt"),
        )
    with pytest.raises(UserError, match="dimension"):
        train(files, "spam.bin", "--dimension", "1")
    assert not (files / "spam.bin").exists()
