"""Released weights → a model folder of ours."""

from __future__ import annotations

from pathlib import Path

from pangu_settings import UserError
from training.config import ModelSettings
from training.exchange.model_folder import write_model
from training.exchange.released_names import infer_settings, recognise, translate
from training.exchange.weight_files import open_weights


def import_weights(
    weights: Path,
    folder: Path,
    tokenizer: Path | None = None,
    heads: int | None = None,
    vocabulary: int | None = None,
    dtype: str | None = None,
) -> tuple[str, ModelSettings]:
    """Writes a model folder from weights that another program stored.

    Args:
      weights: a file or folder in one of the forms of `training.exchange.weight_files`.
      folder: the new model folder.
      tokenizer: the vocabulary (`tokenizer.model`) that the model was trained with.
      heads: attention heads, where the model is none of the released sizes.
      vocabulary: rows of the word embedding that are pieces; see `infer_settings`.
      dtype: float32, bfloat16 or float16; as stored where not given.

    Returns:
      The program whose names the weights have, and the shape of the model.

    Raises:
      UserError: the weights are damaged, incomplete, or not of this model; or the folder exists.
    """
    vocabulary_file: bytes | None = None
    if tokenizer is not None:
        try:
            vocabulary_file = tokenizer.read_bytes()
        except OSError as error:
            raise UserError(f"{tokenizer}: cannot be read: {error.strerror}") from None
    stored = open_weights(weights)
    dialect = recognise(stored, str(weights))
    settings = infer_settings(stored, dialect, str(weights), heads, vocabulary)
    tensors = translate(stored, dialect, settings, str(weights))
    write_model(folder, settings, tensors, vocabulary_file, dtype)
    return dialect.program, settings
