"""Training: read top to bottom, this is all that happens between two lines of the log."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pangu_settings import UserError
from training.checkpoint import (
    Checkpoints,
    Manifest,
    load_training,
    random_state,
    read_manifest,
    read_tokenizer,
    training_tensors,
)
from training.config import TrainingSettings
from training.data import Batch, Corpus, Samples
from training.log import Progress, StepRecord, TrainingLog, read_log
from training.loss_curve import draw_svg
from training.model import build_model
from training.optimizer import build_optimizer, learning_rate


@dataclass(frozen=True)
class TrainingResult:
    """How a call of `train` ended."""

    step: int
    """Last step that was made; it is saved."""
    records: list[StepRecord]
    """The log: every step since the beginning of the run."""
    log: Path
    curve: Path
    stopped_by: signal.Signals | None
    """The signal that ended training before its last step."""


class StopRequest:
    """Remembers SIGTERM or SIGINT, so that the step in progress can end; a second one kills."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._earlier: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._earlier[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        signal.signal(number, self._earlier[self.signal])


def train(settings: TrainingSettings) -> TrainingResult:
    """Trains a model to its last step, going on from the latest checkpoint where there is one.

    On one kind of machine, a run that was interrupted and resumed makes the same updates, bit
    for bit, as one that was not.

    Args:
      settings: the run, with absolute paths.

    Raises:
      UserError: the shards, the vocabulary or the checkpoint do not fit the settings, or the
        loss is not a finite number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    optimisation = settings.optimisation
    corpus = Corpus(settings.data.shards, settings.model.vocabulary)
    samples = Samples(corpus, settings.sequence_length, settings.data.seed)
    tokenizer = read_tokenizer(settings.data.tokenizer, corpus.shards.tokenizer_sha256)
    torch.manual_seed(settings.model.seed)
    model = build_model(settings.model, device)
    optimizer = build_optimizer(model, optimisation)

    checkpoints = Checkpoints(settings.checkpoint.directory, settings.checkpoint.keep)
    step = consumed = 0
    latest = checkpoints.latest()
    if latest is not None:
        manifest = read_manifest(latest)
        check_same_run(manifest, settings, corpus.index_sha256, latest)
        load_training(model, optimizer, device, latest)
        step, consumed = manifest.step, manifest.samples
    describe(settings, corpus, device, latest)

    tokens_per_step = optimisation.batch * settings.sequence_length
    progress = Progress(optimisation.steps, settings.logging.every)
    with (
        TrainingLog(settings.checkpoint.directory / "log.jsonl", step) as log,
        StopRequest() as stop,
    ):
        while step < optimisation.steps:
            started = time.perf_counter()
            step += 1
            rate = learning_rate(step, optimisation)
            batch = samples.batch(consumed, optimisation.batch)
            loss, norm = update(model, optimizer, batch, rate, settings, device)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                progress.end()
                raise UserError(divergence(step, loss, norm, checkpoints.latest()))
            consumed += optimisation.batch
            seconds = time.perf_counter() - started
            record = StepRecord(
                step=step,
                loss=loss,
                learning_rate=rate,
                gradient_norm=norm,
                tokens=consumed * settings.sequence_length,
                tokens_per_second=tokens_per_step / seconds,
                seconds=seconds,
            )
            log.add(record)
            progress.show(record)
            is_last = step == optimisation.steps or stop.signal is not None
            if is_last or step % settings.checkpoint.every == 0:
                manifest = Manifest(
                    step=step,
                    samples=consumed,
                    settings=settings,
                    shards_sha256=corpus.index_sha256,
                    tokenizer_sha256=corpus.shards.tokenizer_sha256,
                )
                tensors = training_tensors(model, optimizer) | random_state(device)
                checkpoints.save(manifest, tensors, tokenizer)
            if is_last:
                break
    progress.end()

    records = read_log(log.path)
    curve = settings.checkpoint.directory / "loss.svg"
    if records:
        steps, losses = zip(*((record.step, record.loss) for record in records), strict=True)
        curve.write_text(draw_svg(steps, losses, "Training loss"), encoding="utf-8")
    return TrainingResult(step, records, log.path, curve, stop.signal)


def update(
    model: nn.Module,
    optimizer: torch.optim.AdamW,
    batch: Batch,
    rate: float,
    settings: TrainingSettings,
    device: torch.device,
) -> tuple[float, float]:
    """Makes one step of the optimizer, unless loss or gradient is not finite.

    The loss is Σ weight·nll / Σ weight over the whole batch, however it is cut into
    micro-batches.

    Returns:
      Loss in nats per token, and global gradient norm before clipping.
    """
    optimisation = settings.optimisation
    samples = len(batch.ids)
    micro_batch = samples // settings.layout.micro_batches
    all_weights = max(float(batch.weights.sum()), 1.0)
    is_bfloat16 = optimisation.precision == "bfloat16"
    loss = torch.zeros((), device=device)
    for first in range(0, samples, micro_batch):
        part = batch.part(first, micro_batch, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=is_bfloat16):
            logits = model(part.ids, part.positions, part.documents)
        part_loss = weighted_nll(logits, part) / all_weights
        part_loss.backward()
        loss += part_loss.detach()
    norm = nn.utils.clip_grad_norm_(model.parameters(), optimisation.clip)
    # One transfer from the device for both; it also waits until the work is done.
    loss_value, norm_value = torch.stack((loss, norm)).tolist()
    if math.isfinite(loss_value) and math.isfinite(norm_value):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    optimizer.zero_grad()
    return loss_value, norm_value


def weighted_nll(logits: Tensor, batch: Batch) -> Tensor:
    """Returns Σ weight · (negative log-likelihood of the label), a float32 scalar.

    Args:
      logits: [samples, sequence length, vocabulary], any floating type.
      batch: labels and their weights.
    """
    nll = F.cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), reduction="none")
    return torch.dot(nll, batch.weights.flatten())


def check_same_run(
    manifest: Manifest, settings: TrainingSettings, shards_sha256: str, checkpoint: Path
) -> None:
    """Refuses to resume a checkpoint under settings that would silently make it another run.

    Raises:
      UserError: names each difference and the ways out.
    """
    then, now = manifest.settings, settings
    shape = ("layers", "hidden", "heads", "sequence_length", "vocabulary", "layer_norm")
    facts = {f"model.{key}": (getattr(then.model, key), getattr(now.model, key)) for key in shape}
    facts["data.sequence_length"] = (then.sequence_length, now.sequence_length)
    facts["data.seed"] = (then.data.seed, now.data.seed)
    differences = [f"{key} was {a} and is {b}" for key, (a, b) in facts.items() if a != b]
    if manifest.shards_sha256 != shards_sha256:
        differences.append(
            f"the shards were {manifest.shards_sha256[:12]}… and those in {now.data.shards} are "
            f"{shards_sha256[:12]}… (sha256 of index.json)"
        )
    if differences:
        raise UserError(
            f"{checkpoint}: cannot go on from here: {'; '.join(differences)}. Put that back, or "
            "start a new run with --set checkpoint.directory=NEW"
        )


def describe(
    settings: TrainingSettings, corpus: Corpus, device: torch.device, latest: Path | None
) -> None:
    """Prints what is about to be trained, on what, and from where."""
    model, optimisation = settings.model, settings.optimisation
    tokens = optimisation.steps * optimisation.batch * settings.sequence_length
    threads = f" (threads: {torch.get_num_threads()})" if device.type == "cpu" else ""
    print(
        f"model: {model.parameter_count:,} parameters, {model.layers} layers, hidden "
        f"{model.hidden}, {model.heads} heads; {optimisation.precision} on {device}{threads}"
    )
    for name, text in corpus.texts.items():
        print(f"source {name}: {len(text):,} tokens")
    print(
        f"to read: {optimisation.steps:,} steps of {optimisation.batch} samples of "
        f"{settings.sequence_length} tokens, {tokens:,} in all"
    )
    if latest is not None:
        print(f"going on from {latest}")


def divergence(step: int, loss: float, norm: float, latest: Path | None) -> str:
    """Returns what to tell when training left the finite numbers; nothing was updated."""
    saved = f"the latest checkpoint is {latest}" if latest else "there is no checkpoint yet"
    return (
        f"step {step}: loss {loss}, gradient norm {norm}: training diverged, and this step was "
        f"not made; {saved}. A lower optimisation.learning_rate, a longer warm-up or "
        "--set optimisation.precision=float32 can help"
    )
