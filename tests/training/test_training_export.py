"""A trained model as a folder: complete, equal to its checkpoint, and readable by transformers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from pangu_settings import UserError
from tokenizer import Tokenizer
from training import ModelSettings, load_settings
from training.checkpoint import find_checkpoint
from training.commands.export import export
from training.exchange.export import export_checkpoint
from training.exchange.model_folder import read_settings, write_model
from training.model import PanGu, build_model
from training.tensor_files import load_tensors
from training.train import train
from training.trained_model import load_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoints(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export") / "checkpoints"
    train(load_settings(run_folder / "pretrain.yaml", [f"checkpoint.directory={directory}"]))
    return directory


def a_model(layer_norm: str = "before_query") -> PanGu:
    settings = ModelSettings.model_validate(
        {
            "layers": 3,
            "hidden": 16,
            "heads": 4,
            "sequence_length": 12,
            "vocabulary": 30,
            "layer_norm": layer_norm,
        }
    )
    model = build_model(settings, CPU).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def weights(model: PanGu) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def logits(model: PanGu, ids: torch.Tensor) -> torch.Tensor:
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    with torch.no_grad():
        return model(ids, positions, torch.zeros_like(ids))


def test_an_exported_checkpoint_is_the_same_model(checkpoints: Path, tmp_path: Path) -> None:
    command = [str(checkpoints), "-o", str(tmp_path / "model")]
    result = CliRunner().invoke(export, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "step-00000006, read back and compared" in result.output
    model = load_model(tmp_path / "model", CPU)
    trained = build_model(model.settings, CPU)
    stored = {f"model.{name}": weight for name, weight in weights(trained).items()}
    load_tensors(stored, find_checkpoint(checkpoints))
    for name, parameter in weights(model).items():
        assert torch.equal(parameter, weights(trained)[name]), name
    assert Tokenizer(tmp_path / "model" / "tokenizer.model").separator == 9
    assert len({file.stat().st_mode for file in (tmp_path / "model").iterdir()}) == 1


def test_a_model_is_cut_into_files_that_its_index_names(tmp_path: Path) -> None:
    model = a_model()
    folder = write_model(
        tmp_path / "model", model.settings, weights(model), None, max_file_bytes=8_000
    )
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    found = {name: path.name for path in files for name in load_file(path)}
    assert index["weight_map"] == found
    assert found.keys() == weights(model).keys()
    assert index["metadata"]["total_size"] == 4 * model.settings.parameter_count
    ids = torch.randint(0, 30, (1, 9))
    assert torch.equal(logits(load_model(folder, CPU), ids), logits(model, ids))


def test_narrow_weights_are_rounded_once(tmp_path: Path) -> None:
    model = a_model()
    folder = write_model(tmp_path / "model", model.settings, weights(model), None, "bfloat16")
    for name, stored in load_file(folder / "model.safetensors").items():
        assert torch.equal(stored, weights(model)[name].bfloat16()), name


def test_a_folder_that_is_there_is_left_alone(checkpoints: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="is there already"):
        export_checkpoint(checkpoints, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_a_damaged_model_folder_is_refused(tmp_path: Path) -> None:
    model = a_model()
    folder = write_model(tmp_path / "model", model.settings, weights(model), None)
    other = shutil.copytree(folder, tmp_path / "other")
    config: dict[str, Any] = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_size": 24}))
    with pytest.raises(UserError, match=r"'word_embedding.weight' is \[30, 16\]"):
        load_model(other, CPU)
    del config["hidden_size"]
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="no 'hidden_size'"):
        read_settings(other)
    weight_file = folder / "model.safetensors"
    weight_file.write_bytes(weight_file.read_bytes()[:5_000])
    with pytest.raises(UserError, match="damaged, or not safetensors"):
        load_model(folder, CPU)


# transformers needs seconds to be imported.
@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.mark.parametrize("layer_norm", ["before_query", "after_query"])
def test_transformers_computes_the_same_logits(
    layer_norm: str, tmp_path: Path, transformers: Any
) -> None:
    model = a_model(layer_norm)
    folder = write_model(tmp_path / "model", model.settings, weights(model), None)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    ids = torch.randint(0, 30, (2, 11))
    with torch.no_grad():
        theirs = loaded.eval()(ids, labels=ids)
    ours = logits(model, ids)
    torch.testing.assert_close(theirs.logits, ours, rtol=1e-4, atol=1e-4)
    loss = torch.nn.functional.cross_entropy(ours[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert float(theirs.loss) == pytest.approx(float(loss), abs=1e-4)


def test_transformers_generates_the_same_ids_with_its_cache_and_padding(
    tmp_path: Path, transformers: Any
) -> None:
    model = a_model()
    folder = write_model(tmp_path / "model", model.settings, weights(model), None)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    prompts = [[20, 21, 22, 23], [25, 26]]
    rows = torch.tensor([[20, 21, 22, 23], [6, 6, 25, 26]])
    found = loaded.generate(
        rows,
        attention_mask=torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]),
        max_new_tokens=5,
        do_sample=False,
        eos_token_id=None,
    )
    for prompt, row in zip(prompts, found, strict=True):
        ids = list(prompt)
        for _ in range(5):
            ids.append(int(logits(model, torch.tensor([ids]))[0, -1].argmax()))
        assert row[4:].tolist() == ids[len(prompt) :]


def test_the_example_of_the_page_runs(
    tmp_path: Path, transformers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = a_model()
    write_model(tmp_path / "models" / "demo", model.settings, weights(model), None)
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "model-exchange.md"
    [example] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["model"](found["ids"]).logits.shape == (1, 3, 30)
