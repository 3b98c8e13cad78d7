"""A finished model as a folder that any program reads: no optimizer, no training state.

    config.json                     shape of the model, in the words of Hugging Face transformers
    model.safetensors               weights; above 5 GB model-00001-of-00003.safetensors … and
    model.safetensors.index.json    which file holds which tensor
    modeling_pangu.py               the model for transformers (see training/exchange/huggingface)
    tokenizer.model                 the vocabulary, where there is one

The folder is written under another name and renamed when all of it has been read back and
compared, so a folder that is there is complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pangu_settings import UserError
from tokenizer import Tokenizer
from training.config import ModelSettings
from training.model import PanGu

CONFIG = "config.json"
TOKENIZER = "tokenizer.model"
MODELING = Path(__file__).parent / "huggingface" / "modeling_pangu.py"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MAX_FILE_BYTES = 5_000_000_000

# transformers' word for each of ours.
CONFIG_KEYS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "sequence_length": "max_position_embeddings",
    "vocabulary": "vocab_size",
    "layer_norm": "layer_norm",
}


def parameter_shapes(settings: ModelSettings) -> dict[str, torch.Size]:
    """Returns name and shape of every parameter, in the order of the model, without its memory."""
    with torch.device("meta"):
        model = PanGu(settings)
    return {name: parameter.shape for name, parameter in model.named_parameters()}


def write_model(
    folder: Path,
    settings: ModelSettings,
    tensors: Mapping[str, Tensor],
    tokenizer: bytes | None,
    dtype: str | None = None,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> Path:
    """Writes a model and reads it back; at most one file's tensors are in memory at a time.

    Args:
      folder: does not exist yet.
      settings: shape of the model.
      tensors: every parameter by its name here.
      tokenizer: content of the vocabulary file.
      dtype: one of DTYPES; as the tensors are where not given.
      max_file_bytes: a file of weights holds at most so much, or a single tensor.

    Returns:
      The folder.

    Raises:
      UserError: the folder exists, cannot be written, or does not read back as it was written;
        or a tensor has not the shape that the settings ask for.
    """
    if folder.exists():
        raise UserError(f"{folder}: is there already; name a new folder, or remove it first")
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        stored = _write_weights(partial, settings, tensors, dtype, max_file_bytes)
        if tokenizer is not None:
            (partial / TOKENIZER).write_bytes(tokenizer)
        config = _config(settings, stored, partial / TOKENIZER if tokenizer is not None else None)
        _write_json(partial / CONFIG, config)
        shutil.copyfile(MODELING, partial / MODELING.name)
        for file in partial.glob("*.safetensors"):
            # safetensors writes files that nobody else may read.
            shutil.copymode(partial / CONFIG, file)
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error}") from error
    return folder


def is_model_folder(path: Path) -> bool:
    """Returns whether a folder holds a finished model (and not a training run's checkpoints)."""
    return (path / CONFIG).is_file()


def read_settings(folder: Path) -> ModelSettings:
    """Returns the shape of the model in a folder.

    Raises:
      UserError: its `config.json` is damaged or of another model.
    """
    path = folder / CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return ModelSettings(**{ours: config[theirs] for ours, theirs in CONFIG_KEYS.items()})
    except KeyError as missing:
        raise UserError(
            f"{path}: has no {missing}; it is of another model, or of another program's PanGu-α: "
            "turn that into one of ours with `pangu import`"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _write_weights(
    folder: Path,
    settings: ModelSettings,
    tensors: Mapping[str, Tensor],
    dtype: str | None,
    max_file_bytes: int,
) -> str:
    """Writes and compares the files of weights; returns the name of the type they are stored in."""
    shapes = parameter_shapes(settings)
    stored = tensors[next(iter(shapes))].dtype if dtype is None else DTYPES[dtype]
    files: list[list[str]] = [[]]
    size = total = 0
    for name, shape in shapes.items():
        more = shape.numel() * stored.itemsize
        if files[-1] and size + more > max_file_bytes:
            files.append([])
            size = 0
        files[-1].append(name)
        size += more
        total += more
    places: dict[str, str] = {}
    for number, names in enumerate(files, start=1):
        file = "model" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}"
        part = {
            name: checked(tensors, name, shapes[name], folder).to(stored).contiguous()
            for name in names
        }
        path = folder / f"{file}.safetensors"
        save_file(part, path, metadata={"format": "pt"})
        _compare(path, part)
        places |= dict.fromkeys(names, path.name)
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        _write_json(folder / "model.safetensors.index.json", index)
    return str(stored).removeprefix("torch.")


def _compare(path: Path, written: Mapping[str, Tensor]) -> None:
    with safe_open(path, framework="pt") as file:
        same = set(file.keys()) == set(written) and all(
            # As bytes: a weight that is not a number must come back too.
            torch.equal(file.get_tensor(name).view(torch.uint8), tensor.view(torch.uint8))
            for name, tensor in written.items()
        )
    if not same:
        raise UserError(f"{path}: does not read back as it was written; is the disk damaged?")


def checked(tensors: Mapping[str, Tensor], name: str, shape: torch.Size, origin: object) -> Tensor:
    """Returns a tensor of this name and shape.

    Raises:
      UserError: there is none.
    """
    if name not in tensors:
        raise UserError(f"{origin}: the tensor '{name}' is missing")
    tensor = tensors[name]
    if tensor.shape != shape:
        raise UserError(
            f"{origin}: '{name}' is {list(tensor.shape)}, the model asks for {list(shape)}"
        )
    return tensor


def _config(settings: ModelSettings, dtype: str, tokenizer: Path | None) -> dict[str, Any]:
    pieces = Tokenizer(tokenizer) if tokenizer is not None else None
    return {
        "architectures": ["PanGuForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_pangu.PanGuConfig",
            "AutoModelForCausalLM": "modeling_pangu.PanGuForCausalLM",
        },
        "model_type": "pangu_alpha",
        "dtype": dtype,
        **{theirs: getattr(settings, ours) for ours, theirs in CONFIG_KEYS.items()},
        # Ids of the released vocabulary where there is no other.
        "eos_token_id": pieces.separator if pieces else 9,
        "pad_token_id": pieces.pad if pieces else 6,
        "bos_token_id": None,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
