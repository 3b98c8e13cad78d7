from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import training.checkpoint
import training.tensor_files
from pangu_settings import UserError
from training import TrainingSettings
from training.checkpoint import Checkpoints, Manifest, find_checkpoint, read_manifest
from training.tensor_files import load_tensors, save_tensors, stored_shapes


def manifest(settings: TrainingSettings, step: int) -> Manifest:
    return Manifest(
        step=step,
        samples=4 * step,
        settings=settings,
        shards_sha256="0" * 64,
        tokenizer_sha256="1" * 64,
    )


def value_of_latest(directory: Path) -> float:
    tensors = {"model.a": torch.zeros(3)}
    load_tensors(tensors, find_checkpoint(directory))
    return float(tensors["model.a"][0])


class Killed(BaseException):
    """Stands for kill -9: nothing in the code may catch it or clean up after it."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (training.checkpoint, "save_tensors"),
        (training.tensor_files, "write_file"),
        (training.checkpoint, "write_file"),
        (Path, "rename"),
        (Path, "replace"),
    ],
)
def test_a_save_that_is_cut_off_leaves_the_checkpoint_before_it(
    tiny_settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
) -> None:
    store = Checkpoints(tmp_path / "store", keep=1)
    store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        # torch.distributed.checkpoint puts whatever happens inside it into its own exception.
        with pytest.raises((Killed, UserError)):
            store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 2}, b"vocabulary")
    assert read_manifest(find_checkpoint(tmp_path / "store")).step == 1
    assert value_of_latest(tmp_path / "store") == 1.0
    store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 3}, b"vocabulary")
    assert value_of_latest(tmp_path / "store") == 3.0
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"latest", "step-00000002"}


def test_a_step_folder_is_a_checkpoint_by_itself(
    tiny_settings: TrainingSettings, tmp_path: Path
) -> None:
    folder = Checkpoints(tmp_path / "store", keep=1).save(
        manifest(tiny_settings, 7), {"model.a": torch.ones(3)}, b"vocabulary"
    )
    moved = folder.rename(tmp_path / "elsewhere")
    assert find_checkpoint(moved) == moved
    assert read_manifest(moved) == manifest(tiny_settings, 7)
    assert (moved / "tokenizer.model").read_bytes() == b"vocabulary"


def test_a_place_without_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint here"):
        find_checkpoint(tmp_path)
    (tmp_path / "latest").write_text("step-00000003\n")
    with pytest.raises(UserError, match="names 'step-00000003', which is not there"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (2, 3, 4)])
def test_tensors_come_back_bit_for_bit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.uint8):
        tensor = (torch.randn(shape) * 100).to(dtype)
        folder = tmp_path / str(dtype)
        save_tensors({"a.b": tensor}, folder)
        back = torch.zeros_like(tensor)
        load_tensors({"a.b": back}, folder)
        assert torch.equal(back, tensor)
        assert stored_shapes(folder) == {"a.b": tensor.shape}


def test_nothing_on_disk_is_an_index_in_pickle(tmp_path: Path) -> None:
    save_tensors({"a": torch.ones(2)}, tmp_path / "folder")
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names == {"tensors.json", "__0_0.distcp"}
    json.loads((tmp_path / "folder" / "tensors.json").read_text())


class Trap:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_tensor_file_from_a_stranger_runs_no_code(tmp_path: Path) -> None:
    folder, sprung = tmp_path / "folder", tmp_path / "sprung"
    save_tensors({"a": torch.ones(2)}, folder)
    torch.save(Trap(sprung), folder / "__0_0.distcp")
    index = json.loads((folder / "tensors.json").read_text())
    index["a"]["parts"][0] |= {"offset": 0, "bytes": (folder / "__0_0.distcp").stat().st_size}
    (folder / "tensors.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="damaged"):
        load_tensors({"a": torch.zeros(2)}, folder)
    assert not sprung.exists()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.tensor_files, "write_file", fill)
    with pytest.raises(UserError, match=r"cannot be written: .*No space left on device"):
        save_tensors({"a": torch.ones(2)}, tmp_path / "folder")


def test_damage_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    values = torch.randn(1000)
    save_tensors({"a": values}, folder)
    file = folder / "__0_0.distcp"
    content = file.read_bytes()
    place = content.index(values.numpy().tobytes()) + 100
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(UserError, match="missing or damaged"):
        load_tensors({"a": torch.zeros(1000)}, folder)
    file.write_bytes(content[:1000])
    with pytest.raises(UserError, match="missing or damaged"):
        load_tensors({"a": torch.zeros(1000)}, folder)
    file.unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        load_tensors({"a": torch.zeros(1000)}, folder)


def test_tensors_of_another_model_are_refused(tmp_path: Path) -> None:
    save_tensors({"a": torch.ones(2)}, tmp_path / "folder")
    with pytest.raises(UserError, match="holds no tensor 'b'"):
        load_tensors({"b": torch.zeros(2)}, tmp_path / "folder")
    with pytest.raises(UserError, match=r"'a' is stored as \[2\], expected \[3\]"):
        load_tensors({"a": torch.zeros(3)}, tmp_path / "folder")
