"""Stage *tokenizer*: a vocabulary trained on a sample of the corpus (PanGu-α §5.1).

The sample is the documents with the smallest ids, up to a byte budget that the sources share by
their mixture weights. Ids are digests, so the choice is even and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pangu_settings import UserError
from pipeline import storage
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, table_path
from tokenizer.vocabulary import train_vocabulary

NAME = "tokenizer"
FOLDER = "tokenizer"
HISTOGRAMS = "histograms"
SAMPLE = pa.schema([pa.field("text", pa.string(), nullable=False)])

# The budget is met to within one bucket of ids: a four-thousandth of a source.
BUCKET_DIGITS = 3
BUCKETS = 16**BUCKET_DIGITS


@dataclass(eq=False)
class BytesByBucket(beam.PTransform):
    """Parts -> for each source, a file with the bytes of text in each bucket of ids."""

    mix_folder: str
    folder: str

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "Spread parts over workers" >> beam.Reshuffle()
            | "Count bytes" >> beam.ParDo(_CountBytes(self.mix_folder))
            | "Sum by source" >> beam.CombinePerKey(_sum_histograms)
            | "Write histogram" >> beam.ParDo(_WriteHistogram(self.folder))
        )


class _CountBytes(beam.DoFn):
    def __init__(self, mix_folder: str) -> None:
        self._mix_folder = mix_folder

    def process(self, part: Part) -> Iterator[tuple[str, bytes]]:
        histogram = np.zeros(BUCKETS, np.int64)
        path = table_path(self._mix_folder, "corpus", part.name)
        for batch in read_batches(path, ["id", "text_bytes"], rows=65_536):
            np.add.at(histogram, _buckets(batch.column("id")), np.asarray(batch.column(1)))
        yield part.source, histogram.astype("<i8").tobytes()


class _WriteHistogram(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, summed: tuple[str, bytes]) -> Iterator[str]:
        source, packed = summed
        with storage.write_atomically(storage.join(self._folder, HISTOGRAMS, source)) as file:
            file.write(packed)
        yield source


def _sum_histograms(packed: Sequence[bytes]) -> bytes:
    total = np.zeros(BUCKETS, "<i8")
    for histogram in packed:
        total += np.frombuffer(histogram, "<i8")
    return total.tobytes()


def _buckets(ids: pa.Array) -> np.ndarray:
    digits = pc.utf8_slice_codeunits(ids, 0, BUCKET_DIGITS).to_pylist()
    return np.fromiter((int(text, 16) for text in digits), np.int64, len(digits))


def share_budget(
    budget: int, available: Mapping[str, int], weights: Mapping[str, float]
) -> dict[str, int]:
    """Divides a byte budget among sources by weight; what one cannot fill goes to the others.

    Args:
      budget: bytes in all.
      available: bytes that each source holds.
      weights: of each source.

    Returns:
      Bytes to take from each source, at most what it holds.
    """
    taken = dict.fromkeys(available, 0)
    open_sources = {name for name in available if weights.get(name, 0) > 0 and available[name] > 0}
    left = budget
    while open_sources and left > 0:
        total = sum(weights[name] for name in open_sources)
        offers = {name: left * weights[name] / total for name in open_sources}
        full = {name for name in open_sources if taken[name] + offers[name] >= available[name]}
        if not full:
            for name in open_sources:
                taken[name] += int(offers[name])
            break
        for name in full:
            left -= available[name] - taken[name]
            taken[name] = available[name]
        open_sources -= full
    return taken


@dataclass(frozen=True)
class SamplePart:
    """Copies the text of a part's documents whose ids fall below their source's cut."""

    mix_folder: str
    cuts: Mapping[str, int]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("sample", SAMPLE)
        cut = self.cuts.get(part.source, 0)
        if cut == 0:
            return
        path = table_path(self.mix_folder, "corpus", part.name)
        for batch in read_batches(path, ["id", "text"]):
            chosen = pa.array(_buckets(batch.column("id")) < cut)
            texts = batch.column("text").filter(chosen)
            output.write("sample", pa.RecordBatch.from_arrays([texts], schema=SAMPLE), SAMPLE)


def _cuts(run: StageRun) -> dict[str, int]:
    folder = storage.join(run.folder, HISTOGRAMS)
    storage.delete(folder)
    run.execution.run(
        lambda root: (
            root
            | "Parts" >> beam.Create(list(run.parts))
            | "Bytes by bucket" >> BytesByBucket(run.inputs["mix"], run.folder)
        )
    )
    histograms = {}
    for source in storage.list_files(folder):
        with storage.open_read(storage.join(folder, source)) as file:
            histograms[source] = np.frombuffer(file.read(), "<i8")
    storage.delete(folder)
    if not any(histogram.any() for histogram in histograms.values()):
        raise UserError(
            f"no document was kept, so there is nothing to train a vocabulary on; "
            f"{run.run_folder}/ledger.json counts the reasons, {run.run_folder}/dropped shows them"
        )
    available = {source: int(histogram.sum()) for source, histogram in histograms.items()}
    budgets = share_budget(run.recipe.tokenizer.sample_bytes, available, run.recipe.weights)
    return {
        source: int(np.searchsorted(np.cumsum(histogram), budgets[source], side="right"))
        if budgets[source] < available[source]
        else BUCKETS
        for source, histogram in histograms.items()
    }


def _run(run: StageRun) -> Outcome:
    run.execution.map_parts(SamplePart(run.inputs["mix"], _cuts(run)), run.parts, run.folder)
    _, files, _ = outcome_of_parts(NAME, run.folder, run.parts)

    def sample() -> Iterator[str]:
        for part in run.parts:
            for batch in read_batches(table_path(run.folder, "sample", part.name)):
                yield from batch.column("text").to_pylist()

    trained = train_vocabulary(sample(), run.recipe.tokenizer, storage.join(run.folder, FOLDER))
    for name, facts in trained.files.items():
        files.append(storage.ListedFile(f"{FOLDER}/{name}", facts.bytes, facts.sha256))
    return Outcome({}, files)


def _settings(recipe: Recipe) -> Any:
    return {
        "vocabulary": recipe.tokenizer.model_dump(),
        "weights": recipe.weights,
    }


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("mix",),
    settings=_settings,
    run=_run,
    libraries=("sentencepiece", "jieba"),
    publishes={"tokenizer": FOLDER},
)
