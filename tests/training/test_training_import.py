"""Weights as three other programs store them, made up here tensor by tensor, and read back."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from pangu_settings import UserError
from training import ModelSettings
from training.commands.import_weights import import_
from training.exchange.import_weights import import_weights
from training.exchange.mindspore_file import MindSporeFile
from training.model import PanGu, build_model
from training.trained_model import load_model

CPU = torch.device("cpu")
SHAPE = ModelSettings(layers=3, hidden=8, heads=2, sequence_length=6, vocabulary=20)


def a_model() -> PanGu:
    model = build_model(SHAPE, CPU)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def released(model: PanGu) -> dict[str, Tensor]:
    """What the released training code stores: names and orders of dimensions, written out."""
    mine = dict(model.named_parameters())
    theirs = {
        "backbone.word_embedding.embedding_table": mine["word_embedding.weight"],
        "backbone.position_embedding.embedding_table": mine["position_embedding.weight"],
        "backbone.top_query_embedding.embedding_table": mine["query_embedding.weight"],
        "backbone.layernorm.gamma": mine["final_norm.weight"],
        "backbone.layernorm.beta": mine["final_norm.bias"],
    }
    places = {"0": "blocks.0", "1": "blocks.1", "2": "top_query_layer"}
    for number, place in places.items():
        layer = f"layers.{number}"
        there = f"backbone.{place}"
        for count, norm in enumerate(("attention_norm", "feed_forward_norm"), start=1):
            theirs[f"{there}.layernorm{count}.gamma"] = mine[f"{layer}.{norm}.weight"]
            theirs[f"{there}.layernorm{count}.beta"] = mine[f"{layer}.{norm}.bias"]
        for count, name in enumerate(("query", "key", "value"), start=1):
            for kind in ("weight", "bias"):
                theirs[f"{there}.attention.dense{count}.{kind}"] = mine[
                    f"{layer}.attention.{name}.{kind}"
                ]
        for name, ours in {
            "attention.projection": "attention.output",
            "output.mapping": "feed_forward.expand",
            "output.projection": "feed_forward.contract",
        }.items():
            theirs[f"{there}.{name}.weight"] = mine[f"{layer}.{ours}.weight"].T
            theirs[f"{there}.{name}.bias"] = mine[f"{layer}.{ours}.bias"]
    return {name: tensor.detach() for name, tensor in theirs.items()}


def checkpoint_message() -> Any:
    """The class of MindSpore's message, from its published definition (checkpoint.proto)."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="checkpoint.proto", syntax="proto2")
    tensor = file.message_type.add(name="TensorProto")
    tensor.field.add(name="dims", number=1, label=field.LABEL_REPEATED, type=field.TYPE_INT64)
    tensor.field.add(
        name="tensor_type", number=2, label=field.LABEL_REQUIRED, type=field.TYPE_STRING
    )
    tensor.field.add(
        name="tensor_content", number=3, label=field.LABEL_REQUIRED, type=field.TYPE_BYTES
    )
    whole = file.message_type.add(name="Checkpoint")
    value = whole.nested_type.add(name="Value")
    value.field.add(name="tag", number=1, label=field.LABEL_REQUIRED, type=field.TYPE_STRING)
    value.field.add(
        name="tensor",
        number=2,
        label=field.LABEL_REQUIRED,
        type=field.TYPE_MESSAGE,
        type_name=".TensorProto",
    )
    whole.field.add(
        name="value",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".Checkpoint.Value",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Checkpoint"))


def write_mindspore(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """As MindSpore does: one message per tensor, a large one in parts, appended to one file."""
    checkpoint = checkpoint_message()
    path = folder / "model.ckpt"
    with path.open("wb") as file:
        for name, tensor in tensors.items():
            content = tensor.contiguous().numpy().tobytes()
            cut = len(content) // 8 * 4 if name.endswith("embedding_table") else len(content)
            for part in (content[:cut], content[cut:]):
                if part:
                    message = checkpoint()
                    value = message.value.add(tag=name)
                    value.tensor.dims.extend(tensor.shape)
                    value.tensor.tensor_type = {4: "Float32", 2: "Float16"}[tensor.itemsize]
                    value.tensor.tensor_content = part
                    file.write(message.SerializeToString())
        other = checkpoint()
        scalar = other.value.add(tag="global_step")
        scalar.tensor.dims.append(0)
        scalar.tensor.tensor_type = "Int32"
        scalar.tensor.tensor_content = np.int32(7).tobytes()
        file.write(other.SerializeToString())
    return path


def write_arrays(folder: Path, tensors: dict[str, Tensor]) -> Path:
    for name, tensor in tensors.items():
        np.save(folder / f"{name}.npy", tensor.numpy())
    return folder


def write_archive(folder: Path, tensors: dict[str, Tensor]) -> Path:
    np.savez(folder / "model.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})
    return folder / "model.npz"


MEGATRON_PLACES = {
    "blocks.0": "layers.0",
    "blocks.1": "layers.1",
    "top_query_layer": "topQueryLayer",
}
MEGATRON_MODULES = {
    "layernorm1": "input_layernorm",
    "layernorm2": "post_attention_layernorm",
    "attention.dense1": "attention.query",
    "attention.dense2": "attention.key",
    "attention.dense3": "attention.value",
    "attention.projection": "attention.dense",
    "output.mapping": "mlp.dense_h_to_4h",
    "output.projection": "mlp.dense_4h_to_h",
}
MULTIPLIED_FROM_THE_RIGHT = ("attention.projection", "output.mapping", "output.projection")


def write_megatron(folder: Path, tensors: dict[str, Tensor], ranks: int = 1) -> Path:
    """As the port to Megatron-LM 1.1 does: nested dictionaries, split over model-parallel ranks."""
    words = tensors["backbone.word_embedding.embedding_table"]
    words = torch.cat([words, torch.zeros(4, words.shape[1])])  # padded for the ranks
    transformer = {
        "final_layernorm.weight": tensors["backbone.layernorm.gamma"],
        "final_layernorm.bias": tensors["backbone.layernorm.beta"],
    }
    for place, there in MEGATRON_PLACES.items():
        for module, name in MEGATRON_MODULES.items():
            for kind, ending in (("weight", "gamma"), ("bias", "beta")):
                is_norm = module.startswith("layernorm")
                tensor = tensors[f"backbone.{place}.{module}.{ending if is_norm else kind}"]
                if module in MULTIPLIED_FROM_THE_RIGHT and kind == "weight":
                    tensor = tensor.T
                transformer[f"{there}.{name}.{kind}"] = tensor
    by_rows = ("query", "key", "value", "dense_h_to_4h")
    by_columns = ("attention.dense", "dense_4h_to_h")

    def slice_of(name: str, tensor: Tensor, rank: int) -> Tensor:
        module, kind = name.rsplit(".", 1)
        if module.endswith(by_rows):
            return tensor.chunk(ranks, 0)[rank].clone()
        if module.endswith(by_columns) and kind == "weight":
            return tensor.chunk(ranks, 1)[rank].clone()
        return tensor.clone()

    for rank in range(ranks):
        place = folder / "iter_0000500" / f"mp_rank_{rank:02d}"
        place.mkdir(parents=True)
        position = tensors["backbone.position_embedding.embedding_table"]
        query = tensors["backbone.top_query_embedding.embedding_table"]
        content = {
            "args": argparse.Namespace(num_layers=2),
            "iteration": 500,
            "model": {
                "language_model": {
                    "embedding": {
                        "word_embeddings": {"weight": words.chunk(ranks, 0)[rank].clone()},
                        "position_embeddings": {"weight": position},
                    },
                    "topQueryEmbedding": {"top_query_embeddings": {"weight": query}},
                    "transformer": {
                        name: slice_of(name, tensor, rank) for name, tensor in transformer.items()
                    },
                }
            },
        }
        torch.save(content, place / "model_optim_rng.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text("500")
    return folder


def write_megatron_split(folder: Path, tensors: dict[str, Tensor]) -> Path:
    return write_megatron(folder, tensors, ranks=2)


def transformers_port(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of the port to Hugging Face transformers, with the buffers that it also stores."""
    modules = {
        "layernorm1": "ln_1",
        "layernorm2": "ln_2",
        "attention.dense1": "attn.q_proj",
        "attention.dense2": "attn.k_proj",
        "attention.dense3": "attn.v_proj",
        "attention.projection": "attn.c_proj",
        "output.mapping": "mlp.c_fc",
        "output.projection": "mlp.c_proj",
    }
    words = tensors["backbone.word_embedding.embedding_table"]
    names = {
        "transformer.wte.weight": words,
        "transformer.wpe.weight": tensors["backbone.position_embedding.embedding_table"],
        "transformer.wqe.weight": tensors["backbone.top_query_embedding.embedding_table"],
        "transformer.ln_f.weight": tensors["backbone.layernorm.gamma"],
        "transformer.ln_f.bias": tensors["backbone.layernorm.beta"],
        "lm_head.weight": words.clone(),
        "transformer.h.0.attn.bias": torch.ones(1, 1, 6, 6, dtype=torch.uint8),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    }
    for number, place in enumerate(MEGATRON_PLACES):
        for module, name in modules.items():
            for kind, ending in (("weight", "gamma"), ("bias", "beta")):
                is_norm = module.startswith("layernorm")
                tensor = tensors[f"backbone.{place}.{module}.{ending if is_norm else kind}"]
                if module in MULTIPLIED_FROM_THE_RIGHT and kind == "weight":
                    tensor = tensor.T
                names[f"transformer.h.{number}.{name}.{kind}"] = tensor
    return {name: tensor.contiguous() for name, tensor in names.items()}


def write_transformers_bin(folder: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(transformers_port(tensors), folder / "pytorch_model.bin")
    return folder


def write_transformers_safetensors(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(transformers_port(tensors), folder / "model.safetensors")
    return folder / "model.safetensors"


Writer = Callable[[Path, dict[str, Tensor]], Path]
WRITERS: dict[Writer, str] = {
    write_mindspore: "MindSpore",
    write_arrays: "MindSpore",
    write_archive: "MindSpore",
    write_megatron: "Megatron",
    write_megatron_split: "Megatron",
    write_transformers_bin: "transformers",
    write_transformers_safetensors: "transformers",
}


@pytest.mark.parametrize("write", WRITERS, ids=lambda writer: writer.__name__)
def test_every_form_of_the_weights_gives_the_same_model(write: Writer, tmp_path: Path) -> None:
    model = a_model()
    stored = tmp_path / "stored"
    stored.mkdir()
    path = write(stored, released(model))
    program, shape = import_weights(path, tmp_path / "model", heads=2, vocabulary=20)
    assert program == WRITERS[write]
    assert shape == SHAPE
    loaded = dict(load_model(tmp_path / "model", CPU).named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(loaded[name], parameter), name


def test_half_precision_stays_half_unless_asked_otherwise(tmp_path: Path) -> None:
    halves = {name: tensor.half() for name, tensor in released(a_model()).items()}
    path = write_mindspore(tmp_path, halves)
    import_weights(path, tmp_path / "model", heads=2)
    import_weights(path, tmp_path / "wide", heads=2, dtype="float32")
    assert json.loads((tmp_path / "model/config.json").read_text())["dtype"] == "float16"
    size = (tmp_path / "model/model.safetensors").stat().st_size
    assert (tmp_path / "wide/model.safetensors").stat().st_size > 1.5 * size


def test_heads_are_known_for_released_sizes_only(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, released(a_model()))
    with pytest.raises(UserError, match=r"3 layers of width 8 are no released model.*--heads"):
        import_weights(path, tmp_path / "model")
    with pytest.raises(UserError, match="multiple of heads"):
        import_weights(path, tmp_path / "model", heads=3)
    with pytest.raises(UserError, match="21 pieces and the word embedding only 20 rows"):
        import_weights(path, tmp_path / "model", heads=2, vocabulary=21)


def test_a_missing_tensor_is_named_and_leaves_no_model(tmp_path: Path) -> None:
    tensors = released(a_model())
    del tensors["backbone.blocks.1.layernorm2.beta"]
    path = write_archive(tmp_path, tensors)
    with pytest.raises(UserError, match=r"'backbone.blocks.1.layernorm2.beta' is missing"):
        import_weights(path, tmp_path / "model", heads=2)
    assert not (tmp_path / "model").exists()


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    tensors = released(a_model())
    tensors["backbone.layernorm.beta"] = torch.zeros(9)
    path = write_archive(tmp_path, tensors)
    with pytest.raises(UserError, match=r"'final_norm.bias' is \[9\], the model asks for \[8\]"):
        import_weights(path, tmp_path / "model", heads=2)


@pytest.mark.parametrize("cut", [10, 200, -1])
def test_a_mindspore_file_that_is_cut_off_is_refused(cut: int, tmp_path: Path) -> None:
    path = write_mindspore(tmp_path, released(a_model()))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"not a complete MindSpore checkpoint|is missing|no PanGu"):
        import_weights(path, tmp_path / "model", heads=2)


def test_files_of_other_things_are_refused(tmp_path: Path) -> None:
    for name in ("model.ckpt", "model.npz", "model.pt", "model.safetensors"):
        path = tmp_path / name
        path.write_bytes("这不是权重。".encode() * 50)
        with pytest.raises(UserError, match=name):
            import_weights(path, tmp_path / "model")
        with pytest.raises(UserError, match=f"missing-{name}"):
            import_weights(tmp_path / f"missing-{name}", tmp_path / "model")
    with pytest.raises(UserError, match="no known form of weights"):
        import_weights(write_text(tmp_path / "weights.txt"), tmp_path / "model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no weights here"):
        import_weights(tmp_path / "empty", tmp_path / "model")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="no PanGu-α here"):
        import_weights(tmp_path / "other.safetensors", tmp_path / "model")


@given(content=st.binary(max_size=200), place=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_mindspore_file_or_an_error(content: bytes, place: int) -> None:
    """Damage anywhere: a file that was sound, overwritten from some byte on, or noise alone."""
    sound = sound_mindspore_file()
    place %= len(sound)
    for damaged in (content, sound[:place] + content + sound[place + len(content) :]):
        with tempfile.NamedTemporaryFile(suffix=".ckpt") as file:
            file.write(damaged)
            file.flush()
            message = ""
            try:
                tensors = list(MindSporeFile(Path(file.name)).values())
                assert all(isinstance(tensor, Tensor) for tensor in tensors)
            except UserError as error:
                message = str(error)
            assert file.name in message or not message


@cache
def sound_mindspore_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_mindspore(Path(folder), released(a_model())).read_bytes()


def write_text(path: Path) -> Path:
    path.write_text("权重")
    return path


class Intruder:
    """What a pickle can carry: an object whose reading calls a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("intruded"),)


def test_a_pickle_that_would_run_code_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"transformer.wte.weight": Intruder()}, tmp_path / "model.bin")
    with pytest.raises(UserError, match="could run code"):
        import_weights(tmp_path / "model.bin", tmp_path / "model")
    np.save(tmp_path / "backbone.word_embedding.embedding_table.npy", Intruder(), allow_pickle=True)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(UserError, match="damaged, or not an array of numbers"):
        import_weights(tmp_path, tmp_path / "model")
    assert not (tmp_path / "intruded").exists()


def test_slices_of_a_model_are_refused_with_a_way_out(tmp_path: Path) -> None:
    for rank in range(2):
        (tmp_path / f"filerted_{rank}.ckpt").write_bytes(b"")
    with pytest.raises(UserError, match="merge_sliced_parameter"):
        import_weights(tmp_path, tmp_path / "model")


def test_the_command_says_what_it_found(tmp_path: Path, run_folder: Path) -> None:
    model = a_model()
    path = write_mindspore(tmp_path, released(model))
    command = [str(path), "-o", str(tmp_path / "model"), "--heads", "2"]
    result = CliRunner().invoke(import_, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "MindSpore" in result.output
    assert "3 layers" in result.output
    again = CliRunner().invoke(import_, command)
    assert isinstance(again.exception, UserError)
    assert "is there already" in str(again.exception)
