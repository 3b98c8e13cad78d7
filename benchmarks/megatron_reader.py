"""Shows that Megatron's own reader sees in a folder of shards what ours sees.

    python benchmarks/megatron_reader.py runs/demo/shards

Installs megatron-core from the package index into a throw-away folder (its reader needs nothing
else but torch and numpy, which are taken from this environment), opens every shard with both
readers and compares the ids of every document, all lengths and all boundaries.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pangu_settings import UserError
from tokenizer import Shard, ShardSet

# `packaging` is imported by megatron-core and not always there.
PACKAGES = ("megatron-core=={version}", "packaging")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shards", type=Path, help="folder with an index.json")
    parser.add_argument("--megatron", default="0.16.1", help="release of megatron-core")
    arguments = parser.parse_args()
    try:
        ours = ShardSet.open(arguments.shards, verify=True)
    except UserError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as folder:
        indexed_dataset = install_megatron(Path(folder), arguments.megatron)
        differences = [
            difference for shard in ours.shards for difference in compare(shard, indexed_dataset)
        ]
    if differences:
        sys.exit("DIFFERENT: " + "; ".join(differences))
    print(f"equal: {ours.documents:,} documents, {ours.tokens:,} tokens")


def install_megatron(folder: Path, version: str) -> Any:
    """Installs one release into folder and returns its class IndexedDataset."""
    packages = [package.format(version=version) for package in PACKAGES]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *packages], check=True)
    sys.path.append(str(folder))
    with warnings.catch_warnings():
        # It names the optional GPU kernels that it does without; reading files needs none.
        warnings.simplefilter("ignore")
        from megatron.core.datasets.indexed_dataset import IndexedDataset
    return IndexedDataset


def compare(shard: Shard, indexed_dataset: Any) -> list[str]:
    """What differs between the two readings of one shard; nothing if they are equal."""
    theirs = indexed_dataset(str(shard.bin_path.with_suffix("")))
    starts = np.concatenate([[0], shard.document_ends])
    if len(theirs) != shard.facts.documents:
        return [f"{shard.name}: {len(theirs)} documents, not {shard.facts.documents}"]
    differences = []
    if not np.array_equal(theirs.sequence_lengths, np.diff(starts)):
        differences.append(f"{shard.name}: other lengths")
    if not np.array_equal(theirs.document_indices, np.arange(shard.facts.documents + 1)):
        differences.append(f"{shard.name}: other document boundaries")
    for number in range(shard.facts.documents):
        document = theirs[number]
        expected = shard.tokens[starts[number] : starts[number + 1]]
        if document.dtype != expected.dtype or not np.array_equal(document, expected):
            differences.append(f"{shard.name}: other ids in document {number}")
            break
    return differences


if __name__ == "__main__":
    main()
