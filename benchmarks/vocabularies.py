"""Cost and gain of each kind of vocabulary: training time and memory, compression, encoding speed.

    python benchmarks/vocabularies.py RUN/corpus/*.parquet --megabytes 20

Trains every kind on the same sample, each in a process of its own, and encodes texts that are not
in the sample. MB are millions of bytes of UTF-8; times are CPU time of all threads.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tokenizer import (
    Tokenizer,
    VocabularySettings,
    train_vocabulary,
    write_shards,
)
from tokenizer.sample import sample_texts
from tokenizer.text_files import read_texts

HELD_OUT_BYTES = 4_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help=".txt, .jsonl, .jsonl.gz, .parquet")
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocabulary-size", type=int, default=40_000)
    parser.add_argument("--algorithms", nargs="+", default=["bpe", "unigram"])
    parser.add_argument("--segmenters", nargs="+", default=["none", "jieba"])
    arguments = parser.parse_args()
    sample_bytes = int(arguments.megabytes * 1e6)
    texts = sample_texts(read_texts(arguments.files), sample_bytes + HELD_OUT_BYTES)
    sizes = np.cumsum([len(text.encode()) for text in texts])
    cut = int(np.searchsorted(sizes, sizes[-1] - HELD_OUT_BYTES))
    print(f"sample {sizes[cut] / 1e6:.1f} MB, held out {(sizes[-1] - sizes[cut]) / 1e6:.1f} MB")
    print(
        "algorithm segmenter  train CPU s  wall s  peak GB  characters/token"
        "  encode MB/s  decode MB/s  shards MB/s"
    )
    for algorithm in arguments.algorithms:
        for segmenter in arguments.segmenters:
            settings = VocabularySettings(
                vocabulary_size=arguments.vocabulary_size,
                algorithm=algorithm,
                segmenter=segmenter,
            )
            with tempfile.TemporaryDirectory() as folder:
                spawn = get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=spawn) as process:
                    trained = process.submit(train, texts[:cut], settings, folder).result()
                cpu, wall, gigabytes = trained
                density, encode, decode, shards = measure(Tokenizer(folder), texts[cut:], folder)
            print(
                f"{algorithm:9} {segmenter:9}  {cpu:11.1f}  {wall:6.1f}  {gigabytes:7.2f}"
                f"  {density:16.3f}  {encode:11.1f}  {decode:11.1f}  {shards:11.1f}",
                flush=True,
            )


def train(
    texts: list[str], settings: VocabularySettings, folder: str
) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak gigabytes of one training."""
    cpu, wall = time.process_time(), time.monotonic()
    train_vocabulary(texts, settings, folder)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.process_time() - cpu, time.monotonic() - wall, kilobytes / 1e6


def measure(
    tokenizer: Tokenizer, texts: list[str], folder: str
) -> tuple[float, float, float, float]:
    """Characters per token, and MB/s of encoding, decoding and writing encoded shards."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    tokenizer.encode("今天")  # jieba loads its dictionary on first use
    start = time.process_time()
    documents = [tokenizer.encode(text) for text in texts]
    encoded = time.process_time()
    for document in documents:
        tokenizer.decode(document)
    decoded = time.process_time()
    shards = write_shards(folder, "measured", documents, tokenizer.facts)
    written = time.process_time()
    tokens = sum(shard.tokens for shard in shards) - len(documents)
    return (
        sum(map(len, texts)) / tokens,
        megabytes / (encoded - start),
        megabytes / (decoded - encoded),
        megabytes / (written - decoded),
    )


if __name__ == "__main__":
    main()
