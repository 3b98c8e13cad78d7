from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from worlds import Worlds

from pangu_settings import UserError
from tokenizer import Tokenizer
from training import ModelSettings, load_settings
from training.commands.generate import generate
from training.commands.train import train as train_command
from training.data import Samples
from training.exchange.export import export_checkpoint
from training.generate import Sampling, continue_ids, continue_text, continue_texts
from training.layout import Layout
from training.model import PanGu, build_model
from training.train import train
from training.trained_model import load_model, open_model

CPU = torch.device("cpu")
SEPARATOR = 9
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def checkpoints(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of a tiny model that knows its poems by heart."""
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("trained") / "checkpoints"
    overrides = [
        f"checkpoint.directory={directory}",
        "optimisation.steps=150",
        "optimisation.decay_steps=150",
        "optimisation.weight_decay=0",
        "model.hidden=32",
        "data.held_out=0",
    ]
    result = train(load_settings(run_folder / "pretrain.yaml", overrides))
    assert result.records[-1].loss < 1.5
    return directory


def alone(model: PanGu, prompt: list[int], *options: Any, **more: Any) -> list[int]:
    """The ids after one prompt."""
    steps = list(continue_ids(model, [prompt], *options, **more))
    return [chosen for [chosen] in steps if chosen is not None]


def text_after(path: Path, prompt: str, limit: int, sampling: Sampling, seed: int) -> str:
    trained = open_model(path, CPU)
    return "".join(continue_text(trained.model, trained.tokenizer, prompt, limit, sampling, seed))


@pytest.fixture
def untrained() -> PanGu:
    settings = ModelSettings(layers=3, hidden=16, heads=2, sequence_length=12, vocabulary=40)
    return build_model(settings, CPU).eval()


def test_greedy_ids_are_the_likeliest_of_the_whole_sequence(untrained: PanGu) -> None:
    prompt = [20, 30, 25]
    found = alone(untrained, prompt, 6, SEPARATOR, GREEDY, seed=0)
    ids = list(prompt)
    for each in found:
        row = torch.tensor([ids])
        with torch.no_grad():
            logits = untrained(row, torch.arange(len(ids)).unsqueeze(0), torch.zeros_like(row))
        assert each == int(logits[0, -1].argmax())
        ids.append(each)
    assert len(found) == 6


def test_it_ends_with_the_limit_the_document_or_the_positions(untrained: PanGu) -> None:
    def continued(limit: int, stop: int, length: int = 3) -> list[int]:
        return alone(untrained, [20] * length, limit, stop, Sampling(), seed=1)

    free = continued(5, stop=-1)
    assert len(free) == 5
    assert continued(5, stop=free[2]) == free[: free.index(free[2])]
    assert len(continued(100, stop=-1)) == 10  # 12 positions: the tenth new id is not read
    assert len(continued(100, stop=-1, length=12)) == 1
    assert continued(0, stop=-1) == []


def test_prompts_that_cannot_be_read_are_refused(untrained: PanGu) -> None:
    with pytest.raises(UserError, match="the prompt is empty"):
        alone(untrained, [], 5, SEPARATOR, GREEDY, seed=0)
    with pytest.raises(UserError, match="13 tokens, the model has 12 positions"):
        alone(untrained, [20] * 13, 5, SEPARATOR, GREEDY, seed=0)


def test_the_seed_decides_what_is_drawn(untrained: PanGu) -> None:
    def drawn(seed: int) -> list[int]:
        return alone(untrained, [20], 8, -1, Sampling(), seed)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_prompts_read_together_go_on_as_each_would_alone(untrained: PanGu) -> None:
    prompts = [[20], [30, 31, 32, 33, 34], [25, 26, 27], [21] * 12]
    for sampling in (GREEDY, Sampling(top_k=5, repetition_penalty=1.3)):
        rows: list[list[int]] = [[] for _ in prompts]
        for drawn in continue_ids(untrained, prompts, 9, SEPARATOR, sampling, seed=4):
            for row, chosen in zip(rows, drawn, strict=True):
                row += [] if chosen is None else [chosen]
        assert rows == [
            alone(untrained, prompt, 9, SEPARATOR, sampling, seed=4 + number)
            for number, prompt in enumerate(prompts)
        ]
        assert [len(row) for row in rows][-1] <= 1  # all 12 positions are taken


def test_a_penalty_lowers_what_was_seen_whatever_its_sign() -> None:
    logits = torch.tensor([2.0, 1.0, -1.0, 0.5])
    sampling = Sampling(repetition_penalty=2.0)
    expected = torch.tensor([1.0, 1.0, -2.0, 0.5]).softmax(0)
    found = sampling.probabilities(logits, seen=[0, 2, 0])
    torch.testing.assert_close(found, expected)
    greedy = Sampling(temperature=0, repetition_penalty=4.0)
    assert greedy.probabilities(logits, seen=[0]).tolist() == [0, 1, 0, 0]
    assert logits.tolist() == [2.0, 1.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("sampling", "probabilities"),
    [
        (Sampling(), [0.1, 0.4, 0.3, 0.2]),
        (Sampling(temperature=0), [0, 1, 0, 0]),
        (Sampling(temperature=0.5), [1 / 30, 16 / 30, 9 / 30, 4 / 30]),
        (Sampling(top_k=2), [0, 4 / 7, 3 / 7, 0]),
        (Sampling(top_k=9), [0.1, 0.4, 0.3, 0.2]),
        (Sampling(top_p=0.6), [0, 4 / 7, 3 / 7, 0]),
        (Sampling(top_p=0.01), [0, 1, 0, 0]),
        (Sampling(top_k=3, top_p=0.7), [0, 4 / 7, 3 / 7, 0]),
    ],
)
def test_sampling_keeps_what_it_should(sampling: Sampling, probabilities: list[float]) -> None:
    logits = torch.tensor([0.1, 0.4, 0.3, 0.2]).log() + 3.0
    assert sampling.probabilities(logits).tolist() == pytest.approx(probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"top_k": 0}, "top-k is 0"),
        ({"top_p": 0.0}, "top-p is 0.0"),
        ({"top_p": 1.1}, "top-p is 1.1"),
        ({"repetition_penalty": 0.0}, "repetition-penalty is 0.0"),
    ],
)
def test_impossible_sampling_is_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_a_model_that_learned_a_poem_recites_it(checkpoints: Path) -> None:
    text = text_after(checkpoints, "床前明月光", 40, GREEDY, seed=0)
    assert text.startswith(",疑是地上霜") or text.startswith("，疑是地上霜")
    assert "<eot>" not in text


def test_a_checkpoint_generates_without_the_run_that_made_it(
    checkpoints: Path, tmp_path: Path
) -> None:
    [step] = checkpoints.glob("step-*")
    copy = shutil.copytree(step, tmp_path / "model")
    expected = text_after(checkpoints, "白日", 10, Sampling(), seed=3)
    assert text_after(copy, "白日", 10, Sampling(), seed=3) == expected
    assert Tokenizer(copy / "tokenizer.model").separator == SEPARATOR


def test_generate_prints_prompt_and_continuation(checkpoints: Path) -> None:
    command = [str(checkpoints), "--prompt", "春眠", "--temperature", "0", "--tokens", "3"]
    result = CliRunner().invoke(generate, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.startswith("春眠不觉晓")


def test_text_comes_piece_by_piece(checkpoints: Path) -> None:
    trained = open_model(checkpoints, CPU)
    pieces = list(continue_text(trained.model, trained.tokenizer, "床前明", 12, GREEDY, seed=0))
    assert len(pieces) > 3
    assert "".join(pieces) == text_after(checkpoints, "床前明", 12, GREEDY, seed=0)


def test_a_character_is_shown_when_all_its_bytes_are_there(
    untrained: PanGu, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bytes:
        """A vocabulary of bytes: id 10 + b stands for byte b of 山 and 水."""

        separator = SEPARATOR
        content = "山水".encode()

        def encode(self, text: str) -> np.ndarray:
            return np.array([20])

        def decode(self, ids: list[int]) -> str:
            return self.content[: len(ids)].decode(errors="replace")

    def shown(limit: int) -> list[str]:
        return list(continue_text(untrained, Bytes(), "山", limit, GREEDY, 0))  # type: ignore[arg-type]

    monkeypatch.setattr(Sampling, "probabilities", lambda *_: torch.eye(40)[20])
    assert shown(6) == ["山", "水"]
    assert shown(5) == ["山", "\ufffd"]


def test_several_prompts_are_answered_in_their_order(checkpoints: Path, tmp_path: Path) -> None:
    prompts = ["春眠", "床前明月", "白日依山尽"]
    trained = open_model(checkpoints, CPU)
    together = continue_texts(trained.model, trained.tokenizer, prompts, 6, GREEDY, seed=0)
    assert together == [text_after(checkpoints, prompt, 6, GREEDY, 0) for prompt in prompts]
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(prompts) + "\n\n", encoding="utf-8")
    command = [str(checkpoints), "--prompts", str(file), "--temperature", "0", "--tokens", "6"]
    result = CliRunner().invoke(generate, [*command, "--batch", "2"], catch_exceptions=False)
    expected = [prompt + answer for prompt, answer in zip(prompts, together, strict=True)]
    assert result.output.splitlines() == expected


def test_an_exported_model_generates_what_its_checkpoint_does(
    checkpoints: Path, tmp_path: Path
) -> None:
    export_checkpoint(checkpoints, tmp_path / "model")
    expected = text_after(checkpoints, "白日", 10, Sampling(), seed=3)
    assert text_after(tmp_path / "model", "白日", 10, Sampling(), seed=3) == expected
    (tmp_path / "model" / "tokenizer.model").unlink()
    with pytest.raises(UserError, match="the vocabulary is missing"):
        open_model(tmp_path / "model", CPU)


def generated_ids(path: str, layout: dict[str, Any]) -> list[list[int | None]]:
    """What a rank of a layout draws; every rank reads the same prompts."""
    model = load_model(Path(path), CPU, Layout(**layout))
    prompts = [[20, 21], [30, 31, 32, 33]]
    return list(continue_ids(model, prompts, 8, SEPARATOR, Sampling(top_k=20), seed=5))


@pytest.mark.parametrize(
    "layout",
    [{"tp": 2}, {"dp_shard": 2}, {"dp_replicate": 2}, {"tp": 2, "dp_shard": 2}],
    ids=str,
)
def test_ranks_draw_what_one_process_draws(
    worlds: Worlds, checkpoints: Path, layout: dict[str, Any]
) -> None:
    expected = generated_ids(str(checkpoints), {})
    world = worlds.of(Layout(**layout).ranks)
    assert world.run(generated_ids, str(checkpoints), layout) == [expected] * Layout(**layout).ranks


def test_a_pipeline_does_not_generate(checkpoints: Path) -> None:
    with pytest.raises(UserError, match=r"layout.pp is 2"):
        load_model(checkpoints, CPU, Layout(pp=2, micro_batches=2))


def test_train_prints_what_it_did_and_what_comes_next(run_folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    command = [str(run_folder / "pretrain.yaml"), "--steps", "3"]
    command += ["--set", f"checkpoint.directory={directory}"]
    result = CliRunner().invoke(train_command, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "loss" in result.output
    assert "at step 1" in result.output
    assert f"next: pangu generate {directory} --prompt" in result.output
    assert (directory / "loss.svg").exists()


def test_an_interrupted_command_fails_and_says_how_to_go_on(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Samples.batch

    def read_and_interrupt(self: Samples, first: int, count: int) -> object:
        # The samples of the first step; those of the next are read ahead.
        if first == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, first, count)

    monkeypatch.setattr(Samples, "batch", read_and_interrupt)
    config = str(run_folder / "pretrain.yaml")
    command = [config, "--set", f"checkpoint.directory={tmp_path / 'checkpoints'}"]
    result = CliRunner().invoke(train_command, command)
    assert result.exit_code == 130
    assert "stopped by SIGINT after step 1, which is saved" in result.output
    assert f"next: pangu train {config}" in result.output
