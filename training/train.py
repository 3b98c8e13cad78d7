"""Training: read top to bottom, this is all that happens between two lines of the log.

Every rank runs the same loop and comes to the same decisions, because it decides by numbers that
are equal on all ranks; rank 0 alone speaks and writes the log.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pangu_settings import UserError
from tokenizer import Tokenizer
from training.checkpoint import (
    Checkpoints,
    Manifest,
    random_state,
    read_manifest,
    read_tokenizer,
)
from training.config import TrainingSettings
from training.data import Corpus, Samples, ValidationSamples
from training.engine import Engine
from training.locations import Location
from training.log import LOG, StepRecord, read_log
from training.loss_curve import draw_svg
from training.optimizer import learning_rate
from training.outputs import Outputs
from training.prefetch import BatchReader
from training.processes import (
    all_or_none,
    joined_processes,
    largest_of_ranks,
    sum_over_ranks,
    this_rank,
)
from training.step_guard import StepGuard
from training.stop_request import StopRequest
from training.throughput import FORMULA, operations_per_token, peak_memory, peak_of
from training.validation import bits_per_byte, count_labels, validate


@dataclass(frozen=True)
class TrainingResult:
    """How a call of `train` ended."""

    step: int
    """Last step that was made; it is saved."""
    records: list[StepRecord]
    """On rank 0 the log: every step since the beginning of the run."""
    log: Path
    curve: Path
    stopped_by: signal.Signals | None
    """The signal, to any rank, that ended training before its last step."""
    rank: int
    """Number of this process."""


def train(settings: TrainingSettings) -> TrainingResult:
    """Trains a model to its last step, going on from the latest checkpoint where there is one.

    With several processes (torchrun), each calls this, and they train together. On one kind of
    machine, a run that was interrupted and resumed in its layout makes the same updates, bit for
    bit, as one that was not.

    Args:
      settings: the run, with absolute paths.

    Raises:
      UserError: the shards, the vocabulary or the checkpoint do not fit the settings, there are
        not as many processes as the layout has ranks, or training diverged.
    """
    with joined_processes(settings.layout) as device:
        return train_on(settings, device)


def train_on(settings: TrainingSettings, device: torch.device) -> TrainingResult:
    """Does the work of `train` in a process that has joined the others."""
    optimisation, is_first = settings.optimisation, this_rank() == 0
    corpus, vocabulary = all_or_none(lambda: open_data(settings))
    byte_lengths = lengths_of(settings)
    held_out = ValidationSamples(corpus, settings.sequence_length, settings.data.held_out)
    samples = Samples(corpus, settings.sequence_length, settings.data.seed, held_out.held_out)
    engine = Engine(settings, device)
    guard = StepGuard(optimisation.spike)

    kept = settings.checkpoint
    checkpoints = Checkpoints(kept.directory, kept.keep, kept.asynchronous)
    step = consumed = 0
    latest = checkpoints.latest()
    if latest is not None:
        manifest = all_or_none(lambda: read_manifest(latest))
        check_same_run(manifest, settings, corpus.index_sha256, latest)
        checkpoints.restore(engine, latest, guard.state())
        step, consumed = manifest.step, manifest.samples
    peak = peak_of(settings, device)
    if is_first:
        describe(settings, corpus, held_out, device, peak, latest)

    def save() -> None:
        manifest = Manifest(
            step=step,
            samples=consumed,
            settings=settings,
            shards_sha256=corpus.index_sha256,
            tokenizer_sha256=corpus.shards.tokenizer_sha256,
        )
        tensors = engine.state() | random_state(device) | guard.state()
        checkpoints.save(manifest, tensors, vocabulary)

    tokens_per_step = optimisation.batch * settings.sequence_length
    copies = settings.layout.ranks // settings.layout.data_parallel
    with (
        checkpoints,
        all_or_none(lambda: Outputs(settings, step)) as outputs,
        StopRequest() as stop,
        BatchReader(
            samples,
            optimisation.batch,
            engine.data_rank,
            engine.data_ranks,
            pin_memory=device.type == "cuda",
        ) as reader,
    ):
        stopped_by = 0.0
        while step < optimisation.steps and not stopped_by:
            started = time.perf_counter()
            step += 1
            rate = learning_rate(step, optimisation)
            batch = reader.get(consumed)
            with outputs.profiled(step):
                loss, norm = engine.gradients(batch)
                is_skipped = not guard.accepts(loss, norm)
                if is_skipped:
                    engine.discard()
                else:
                    engine.update(rate)
            consumed += optimisation.batch
            labels, text_bytes = sum_over_ranks(count_labels(batch, byte_lengths), device)
            stopped_by, waited, memory = largest_of_ranks(
                (stop.number, reader.waited, peak_memory(device)), device
            )
            seconds = time.perf_counter() - started

            is_last = step == optimisation.steps
            is_measured = is_last or step % settings.logging.validate_every == 0
            per_device = tokens_per_step / seconds / settings.layout.ranks
            record = StepRecord(
                step=step,
                loss=loss,
                learning_rate=rate,
                gradient_norm=norm,
                tokens=consumed * settings.sequence_length,
                tokens_per_second=tokens_per_step / seconds,
                seconds=seconds,
                bits_per_byte=bits_per_byte(loss, labels / copies, text_bytes / copies),
                is_skipped=is_skipped,
                skipped=guard.skipped,
                tokens_per_second_per_device=per_device,
                mfu=per_device * operations_per_token(settings) / peak if peak else None,
                data_wait_seconds=waited,
                peak_memory_bytes=int(memory),
                validation=validate(engine, held_out, byte_lengths)
                if is_measured and not stopped_by
                else {},
            )
            outputs.add(record)
            if guard.skipped_in_a_row > optimisation.most_skipped:
                raise UserError(divergence(record, guard, checkpoints.latest()))
            if is_last or stopped_by or step % kept.every == 0:
                save()

    folder = settings.log_directory
    path, curve = folder / LOG, folder / "loss.svg"
    records = read_log(path) if is_first else []
    made = [record for record in records if not record.is_skipped]
    if made:
        steps, losses = zip(*((record.step, record.loss) for record in made), strict=True)
        curve.write_text(draw_svg(steps, losses, "Training loss"), encoding="utf-8")
    signalled = signal.Signals(int(stopped_by)) if stopped_by else None
    return TrainingResult(step, records, path, curve, signalled, this_rank())


def open_data(settings: TrainingSettings) -> tuple[Corpus, bytes]:
    """Returns the shards, this rank's share of them verified, and the vocabulary's file.

    Raises:
      UserError: they do not fit the settings or each other, or are damaged.
    """
    corpus = Corpus(settings.data.shards, settings.model.vocabulary)
    if settings.data.verify:
        corpus.verify(this_rank(), settings.layout.ranks)
    return corpus, read_tokenizer(settings.data.tokenizer, corpus.shards.tokenizer_sha256)


def lengths_of(settings: TrainingSettings) -> np.ndarray:
    """Returns the bytes of text behind each id of the model's vocabulary, int64."""
    known = Tokenizer(settings.data.tokenizer).byte_lengths
    return np.pad(known, (0, settings.model.vocabulary - len(known)))


def check_same_run(
    manifest: Manifest, settings: TrainingSettings, shards_sha256: str, checkpoint: Location
) -> None:
    """Refuses to resume a checkpoint under settings that would silently make it another run.

    Raises:
      UserError: names each difference and the ways out.
    """
    then, now = manifest.settings, settings
    shape = ("layers", "hidden", "heads", "sequence_length", "vocabulary", "layer_norm")
    facts = {f"model.{key}": (getattr(then.model, key), getattr(now.model, key)) for key in shape}
    facts["data.sequence_length"] = (then.sequence_length, now.sequence_length)
    for key in ("seed", "held_out"):
        facts[f"data.{key}"] = (getattr(then.data, key), getattr(now.data, key))
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
    settings: TrainingSettings,
    corpus: Corpus,
    held_out: ValidationSamples,
    device: torch.device,
    peak: float | None,
    latest: Location | None,
) -> None:
    """Prints what is about to be trained, on what, and from where."""
    model, optimisation, layout = settings.model, settings.optimisation, settings.layout
    tokens = optimisation.steps * optimisation.batch * settings.sequence_length
    threads = f" (threads: {torch.get_num_threads()})" if device.type == "cpu" else ""
    print(
        f"model: {model.parameter_count:,} parameters, {model.layers} layers, hidden "
        f"{model.hidden}, {model.heads} heads; {optimisation.precision} on {device.type}{threads}"
    )
    if layout.ranks > 1:
        print(
            f"layout: {layout.ranks} processes: pp {layout.pp}, dp_replicate "
            f"{layout.dp_replicate}, dp_shard {layout.dp_shard}, tp {layout.tp}"
        )
    for name, text in corpus.texts.items():
        kept = held_out.counts.get(name, 0)
        print(f"source {name}: {len(text):,} tokens, {kept:,} samples of them held out")
    print(
        f"to read: {optimisation.steps:,} steps of {optimisation.batch} samples of "
        f"{settings.sequence_length} tokens, {tokens:,} in all"
    )
    if peak is not None:
        print(f"{FORMULA}; peak {peak:.3g}")
    if latest is not None:
        print(f"going on from {latest}")


def divergence(record: StepRecord, guard: StepGuard, latest: Location | None) -> str:
    """Returns what to tell when too many steps in a row were not worth making."""
    saved = f"the latest checkpoint is {latest}" if latest else "there is no checkpoint yet"
    return (
        f"step {record.step}: loss {record.loss}, gradient norm {record.gradient_norm}: training "
        f"diverged; {guard.skipped_in_a_row} steps in a row were skipped (more than "
        f"optimisation.most_skipped) and did not change the weights; {saved}. A lower "
        "optimisation.learning_rate, a longer warm-up or --set optimisation.precision=float32 "
        "can help"
    )
