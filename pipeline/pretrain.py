"""The hand-off to training: `RUN/pretrain.yaml`, which `pangu train` takes as it is."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline import storage
from pipeline.recipe import Recipe
from pipeline.run_directory import RunDirectory

PRETRAIN = "pretrain.yaml"
HEADER = """\
# Written by `pangu run` from the `pretrain` part of its recipe; written again by the next run.
# Start training with: pangu train {path}
# Any value can be replaced for one training: pangu train {path} --set optimisation.steps=500
"""


def write_pretrain_settings(recipe: Recipe, run: RunDirectory) -> str:
    """Writes the training configuration that fits the run's shards and vocabulary.

    Paths are relative to the run directory, so that it can be moved. The vocabulary size is that
    of the shards, whatever the recipe asked for.

    Returns:
      The path of the file.
    """
    index = storage.read_json(run.join("shards", "index.json"))
    given = recipe.pretrain.model_dump()
    settings: dict[str, Any] = {
        "model": {**given["model"], "vocabulary": index["tokenizer"]["vocabulary_size"]},
        "data": {
            "shards": "shards",
            "tokenizer": "tokenizer/tokenizer.model",
            **given["data"],
        },
        "optimisation": given["optimisation"],
        "layout": given["layout"],
        "checkpoint": {"directory": "checkpoints", **given["checkpoint"]},
        "logging": given["logging"],
    }
    path = run.join(PRETRAIN)
    text = HEADER.format(path=path) + yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
    storage.write_text(path, text)
    return path
