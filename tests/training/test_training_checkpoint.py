from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import fsspec
import pytest
import torch

import training.checkpoint
import training.tensor_files
from pangu_settings import UserError
from training import TrainingSettings
from training.checkpoint import Checkpoints, Manifest, find_checkpoint, read_manifest
from training.locations import RemotePath
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


def outcome_of_child(act: Callable[[], None]) -> tuple[int, str]:
    """How a forked process ends that does this: its wait status, and what error it had."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            act()
        except UserError as error:
            os.write(writes, str(error).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as messages:
        message = messages.read().decode()
    return os.waitpid(child, 0)[1], message


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        # In the order in which a save comes by.
        (training.tensor_files._Writer, "prepare_global_plan", 1),
        (training.tensor_files._Writer, "write_data", 1),
        (training.tensor_files, "write_file", 1),
        (training.checkpoint, "write_file", 1),
        (training.checkpoint, "write_file", 2),
        (Path, "rename", 1),
        (training.checkpoint, "write_file", 3),
    ],
)
def test_a_process_that_is_killed_while_saving_leaves_the_checkpoint_before(
    tiny_settings: TrainingSettings,
    tmp_path: Path,
    owner: Any,
    name: str,
    call: int,
    asynchronous: bool,
) -> None:
    store = Checkpoints(tmp_path / "store", keep=1, asynchronous=asynchronous)
    store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")
    store.wait()
    calls = itertools.count(1)
    original = getattr(owner, name)

    def die(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    def save_and_die() -> None:
        with mock.patch.object(owner, name, die):
            store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 2}, b"vocabulary")
            store.wait()

    status, _ = outcome_of_child(save_and_die)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert read_manifest(find_checkpoint(tmp_path / "store")).step == 1
    assert value_of_latest(tmp_path / "store") == 1.0
    store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 3}, b"vocabulary")
    store.wait()
    assert value_of_latest(tmp_path / "store") == 3.0
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"latest", "step-00000002"}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_where_the_system_refuses_more_bytes_the_checkpoint_before_stays(
    tiny_settings: TrainingSettings, tmp_path: Path, asynchronous: bool
) -> None:
    store = Checkpoints(tmp_path / "store", keep=1, asynchronous=asynchronous)
    store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")
    store.wait()

    def save_with_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(100_000)}, b"vocabulary")
        store.wait()

    status, message = outcome_of_child(save_with_limit)
    assert status == 0
    assert "step-00000002.partial: cannot be written: [Errno 27] File too large" in message
    assert "still the latest" in message
    assert value_of_latest(tmp_path / "store") == 1.0


def test_one_save_at_a_time(tiny_settings: TrainingSettings, tmp_path: Path) -> None:
    store = Checkpoints(tmp_path / "store", keep=2, asynchronous=True)
    weight = torch.zeros(3)
    for step in range(1, 6):
        # The tensor is changed at once after each save, which must have a copy of it.
        weight += 1
        store.save(manifest(tiny_settings, step), {"model.a": weight}, b"vocabulary")
    weight += 1
    assert store.latest() == tmp_path / "store" / "step-00000005"
    assert value_of_latest(tmp_path / "store") == 5.0
    names = {path.name for path in (tmp_path / "store").iterdir()}
    assert names == {"latest", "step-00000004", "step-00000005"}


def test_a_save_that_failed_in_a_thread_is_told_by_the_next(
    tiny_settings: TrainingSettings, tmp_path: Path
) -> None:
    store = Checkpoints(tmp_path / "file" / "store", keep=1, asynchronous=True)
    (tmp_path / "file").write_text("not a folder")
    store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")
    with pytest.raises(UserError, match="cannot be written"):
        store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3)}, b"vocabulary")
    store.wait()


def test_the_last_save_is_waited_for_also_where_an_error_ends_training(
    tiny_settings: TrainingSettings, tmp_path: Path
) -> None:
    write = training.tensor_files._Writer.write_data

    def write_slowly(*arguments: Any) -> Any:
        time.sleep(0.5)
        return write(*arguments)

    def end_with_an_error() -> None:
        with Checkpoints(tmp_path, keep=1, asynchronous=True) as store:
            store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")
            raise UserError("of another kind")

    with (
        mock.patch.object(training.tensor_files._Writer, "write_data", write_slowly),
        pytest.raises(UserError, match="of another kind"),
    ):
        end_with_an_error()
    assert find_checkpoint(tmp_path).name == "step-00000001"


def test_going_back_by_hand_removes_nothing_that_came_later(
    tiny_settings: TrainingSettings, tmp_path: Path
) -> None:
    store = Checkpoints(tmp_path, keep=3)
    for step in (100, 200, 300):
        store.save(manifest(tiny_settings, step), {"model.a": torch.ones(3)}, b"vocabulary")
    (tmp_path / "latest").write_text("step-00000100\n")
    store = Checkpoints(tmp_path, keep=1)
    store.save(manifest(tiny_settings, 150), {"model.a": torch.ones(3)}, b"vocabulary")
    assert find_checkpoint(tmp_path).name == "step-00000150"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"latest", "step-00000150", "step-00000200", "step-00000300"}


@pytest.fixture
def url() -> Iterator[str]:
    """Of an empty folder on a filesystem that is not local."""
    yield "memory://bucket/run/checkpoints"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_object_store_has_checkpoints_too(
    tiny_settings: TrainingSettings, url: str, asynchronous: bool
) -> None:
    directory = RemotePath(url)
    store = Checkpoints(directory, keep=2, asynchronous=asynchronous)
    assert store.latest() is None
    with pytest.raises(UserError, match=r"memory://bucket/run/checkpoints: no checkpoint here"):
        find_checkpoint(directory)
    for step in range(1, 4):
        store.save(manifest(tiny_settings, step), {"model.a": torch.ones(3) * step}, b"vocabulary")
    assert store.latest() == directory / "step-00000003"
    assert read_manifest(directory / "step-00000003") == manifest(tiny_settings, 3)
    assert (directory / "step-00000003" / "tokenizer.model").read_bytes() == b"vocabulary"
    names = {child.name for child in directory.children()}
    assert names == {"latest", "step-00000002", "step-00000003"}
    for step in (2, 3):
        tensor = torch.zeros(3)
        load_tensors({"model.a": tensor}, directory / f"step-0000000{step}")
        assert torch.equal(tensor, torch.ones(3) * step)


@pytest.mark.parametrize(
    ("owner", "call"),
    [(training.tensor_files, 1), *((training.checkpoint, call) for call in (1, 2, 3))],
)
def test_on_an_object_store_what_was_cut_off_is_no_checkpoint(
    tiny_settings: TrainingSettings, url: str, owner: Any, call: int
) -> None:
    directory = RemotePath(url)
    store = Checkpoints(directory, keep=1)
    store.save(manifest(tiny_settings, 1), {"model.a": torch.ones(3)}, b"vocabulary")
    calls = itertools.count(1)
    original = owner.write_file

    def cut_off(*arguments: Any) -> None:
        if next(calls) >= call:
            raise OSError("connection lost")
        original(*arguments)

    with (
        mock.patch.object(owner, "write_file", cut_off),
        pytest.raises(UserError, match="cannot be written: connection lost"),
    ):
        store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 2}, b"vocabulary")
    assert find_checkpoint(directory) == directory / "step-00000001"
    # What is left of the second is not in the way of another try.
    store.save(manifest(tiny_settings, 2), {"model.a": torch.ones(3) * 3}, b"vocabulary")
    tensor = torch.zeros(3)
    load_tensors({"model.a": tensor}, find_checkpoint(directory))
    assert torch.equal(tensor, torch.ones(3) * 3)
    assert {child.name for child in directory.children()} == {"latest", "step-00000002"}


def test_a_url_that_nothing_here_can_open_is_named() -> None:
    with pytest.raises(UserError, match=r"nowhere://bucket/latest: cannot be opened: .*nowhere"):
        Checkpoints(RemotePath("nowhere://bucket"), keep=1).latest()


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


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        '{"a": {}}',
        '{"a": {"dtype": "load", "shape": [2], "parts": []}}',
        '{"a": {"dtype": "float32", "shape": [2], "parts": [{"start": [0]}]}}',
        '{"a": {"dtype": "float32", "shape": [-2], "parts": []}}',
        '{"a": {"dtype": "float32", "shape": [2], "parts": []}}',
    ],
)
def test_a_damaged_index_is_noticed(tmp_path: Path, index: str) -> None:
    save_tensors({"a": torch.ones(2)}, tmp_path / "folder")
    (tmp_path / "folder" / "tensors.json").write_text(index)
    with pytest.raises(UserError, match=r"cannot be read|damaged"):
        load_tensors({"a": torch.zeros(2)}, tmp_path / "folder")


def test_tensors_of_another_model_are_refused(tmp_path: Path) -> None:
    save_tensors({"a": torch.ones(2)}, tmp_path / "folder")
    with pytest.raises(UserError, match="holds no tensor 'b'"):
        load_tensors({"b": torch.zeros(2)}, tmp_path / "folder")
    with pytest.raises(UserError, match=r"'a' is stored as \[2\], expected \[3\]"):
        load_tensors({"a": torch.zeros(3)}, tmp_path / "folder")
