"""Settings of a training run: what the keys of `pretrain.yaml` mean and which values are allowed.

Relative paths, in the file and in overrides, are relative to the folder of the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

import pangu_settings
from pangu_settings import Settings
from training.layout import Layout
from training.locations import Location, location

# PanGu-α Table 1, and the 350M model of §3.1.3. `layers` counts the query layer. The released
# 2.6B and 13B normalise before the query layer; the pipelined code of the 200B after it.
PRESETS: dict[str, dict[str, Any]] = {
    "350M": {"layers": 24, "hidden": 1024, "heads": 16, "layer_norm": "before_query"},
    "2.6B": {"layers": 32, "hidden": 2560, "heads": 32, "layer_norm": "before_query"},
    "13B": {"layers": 40, "hidden": 5120, "heads": 40, "layer_norm": "before_query"},
    "200B": {"layers": 64, "hidden": 16384, "heads": 128, "layer_norm": "after_query"},
}

# PanGu-α Table 5, and for the final learning rates the released code, which for the 200B model
# ends at a tenth of its rate. Table 5 is silent on 350M and on other shapes.
PRESET_OPTIMISATION: dict[str, dict[str, Any]] = {
    "2.6B": {"beta2": 0.999, "learning_rate": 1e-4, "weight_decay": 0.01},
    "13B": {"beta2": 0.98, "learning_rate": 5e-5, "weight_decay": 0.01},
    "200B": {
        "beta2": 0.95,
        "learning_rate": 2e-5,
        "final_learning_rate": 2e-6,
        "weight_decay": 0.1,
    },
}


class ModelSettings(Settings):
    """Shape of a PanGu-α model (PanGu-α §2.2). A preset fills in what is not written."""

    preset: str | None = None
    layers: int = Field(ge=2)
    """Transformer layers, the query layer (the last one) included."""
    hidden: PositiveInt
    heads: PositiveInt
    sequence_length: PositiveInt = 1024
    """Positions the model knows: rows of the position table and of the query table."""
    vocabulary: PositiveInt = 40_000
    layer_norm: Literal["before_query", "after_query"] = "before_query"
    """Where the final LayerNorm stands; released code has both, and they are different models."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    seed: NonNegativeInt = 0
    """Seed of the initial weights and of dropout."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("preset") is None:
            return content
        name = str(content["preset"])
        if name not in PRESETS:
            near = difflib.get_close_matches(name.upper(), PRESETS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"valid: {', '.join(PRESETS)}"
            raise ValueError(f"unknown preset '{name}'; {hint}")
        return PRESETS[name] | content

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> ModelSettings:
        if self.hidden % self.heads:
            raise ValueError(
                f"hidden ({self.hidden}) must be a multiple of heads ({self.heads}), "
                "because every head gets an equal share of it"
            )
        return self

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters; the head is the word embedding and counts once."""
        d = self.hidden
        per_layer = 12 * d * d + 13 * d
        tables = self.vocabulary * d + 2 * self.sequence_length * d
        return self.layers * per_layer + tables + 2 * d


class DataSettings(Settings):
    """Which shards are read, and in which order."""

    shards: Path
    """Directory with `index.json`."""
    tokenizer: Path
    """Vocabulary (`tokenizer.model`) that made the shards; it is copied into each checkpoint."""
    sequence_length: PositiveInt | None = None
    """Input ids of one sample; the model's own sequence length where not given."""
    seed: NonNegativeInt = 0
    """Seed of the order of samples."""
    held_out: NonNegativeInt = 64
    """Most samples at the end of each source that are kept for validation; never more than a
    tenth of the source."""
    verify: bool = True
    """Whether all shards are read and compared with their digests before training."""


class OptimisationSettings(Settings):
    """AdamW with warm-up and cosine decay.

    Of a preset, defaults are those of PanGu-α Table 5; where it is silent, and for other shapes,
    those of the released code (2.6B).
    """

    steps: PositiveInt
    """Updates of the weights in all, those before a resume included."""
    batch: PositiveInt = 8
    """Samples per update."""
    learning_rate: PositiveFloat = 1e-4
    """Highest learning rate, reached after the warm-up."""
    final_learning_rate: NonNegativeFloat = 1e-6
    warmup_steps: NonNegativeInt = 2000
    decay_steps: PositiveInt | None = None
    """Step at which the cosine ends; `steps` where not given."""
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.95, ge=0.0, lt=1.0)
    epsilon: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.1
    """Decoupled decay of matrices and tables; LayerNorms and biases have none."""
    clip: PositiveFloat = 1.0
    """Largest global gradient norm; larger gradients are scaled down to it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products; weights, moments, LayerNorm, softmax and loss stay float32."""
    spike: PositiveFloat | None = 6.0
    """Steps whose loss or gradient norm is that many standard deviations above the mean of the
    last 128 are skipped (the rule and its numbers: SkipStepOptimizer of OLMo-core); null skips
    only those that are not finite."""
    most_skipped: NonNegativeInt = 10
    """Steps in a row that may be skipped; one more ends training."""


def _location(value: Any) -> Location:
    if not isinstance(value, Location | str):
        raise ValueError("must be a folder or a URL")
    return value if isinstance(value, Location) else location(value)


class CheckpointSettings(Settings):
    """Where the state of training is kept."""

    directory: Annotated[Location, PlainValidator(_location), PlainSerializer(str)] = Path(
        "checkpoints"
    )
    """A folder, or the URL of one that fsspec reaches."""
    every: PositiveInt = 1000
    """Steps between two checkpoints; the last step is always saved."""
    keep: PositiveInt = 2
    """Newest checkpoints that are kept."""
    asynchronous: bool = False
    """Whether training goes on while a checkpoint is written from a copy in host memory."""


class LoggingSettings(Settings):
    """What is measured and told; `log.jsonl` always gets every step."""

    directory: Path | None = None
    """Folder of the log; the checkpoint directory where not given."""
    every: PositiveInt = 10
    """Steps between two printed lines where the output is not a terminal."""
    validate_every: PositiveInt = 1000
    """Steps between two measurements on the samples that are held out; the last step has one."""
    tensorboard: bool = False
    """Whether the numbers also go to the folder `tensorboard` beside the log."""
    profile: tuple[PositiveInt, ...] = ()
    """Steps of which a trace is written to the folder `profile` beside the log."""
    peak_flops: PositiveFloat | None = None
    """Operations per second that a device can make at most in this precision, for the share that
    is reached; known for A100, H100 and H200 in bfloat16."""


class TrainingSettings(Settings):
    """One training run."""

    model: ModelSettings
    data: DataSettings
    optimisation: OptimisationSettings
    layout: Layout = Layout()
    checkpoint: CheckpointSettings = CheckpointSettings()
    logging: LoggingSettings = LoggingSettings()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, content: Any) -> Any:
        match content:
            case {"model": {"preset": str(name)}, "optimisation": dict(given)}:
                filled = PRESET_OPTIMISATION.get(name, {}) | given
                return {**content, "optimisation": filled}
        return content

    @model_validator(mode="after")
    def _samples_fit_the_model(self) -> TrainingSettings:
        if self.sequence_length > self.model.sequence_length:
            raise ValueError(
                f"data.sequence_length ({self.sequence_length}) is more than the "
                f"{self.model.sequence_length} positions of model.sequence_length"
            )
        return self

    @model_validator(mode="after")
    def _layout_fits(self) -> TrainingSettings:
        model = self.model
        self.layout.check(
            layers=model.layers,
            heads=model.heads,
            sequence_length=self.sequence_length,
            batch=self.optimisation.batch,
        )
        if model.dropout and self.layout.tp > 1 and not self.layout.sequence_parallel:
            raise ValueError(
                "model.dropout with layout.tp above 1 needs layout.sequence_parallel: true, "
                "because each rank would drop other values of states that must stay equal"
            )
        if model.dropout and self.layout.attention == "flex":
            raise ValueError("layout.attention: flex knows no dropout; set model.dropout to 0")
        return self

    @model_validator(mode="after")
    def _log_is_on_a_disk(self) -> TrainingSettings:
        if self.logging.directory is None and not isinstance(self.checkpoint.directory, Path):
            raise ValueError(
                f"checkpoint.directory is the URL {self.checkpoint.directory}, where a log cannot "
                "grow line by line; set logging.directory to a folder"
            )
        return self

    @property
    def sequence_length(self) -> int:
        """Input ids of one sample."""
        return self.data.sequence_length or self.model.sequence_length

    @property
    def log_directory(self) -> Path:
        """Folder of the log."""
        directory = self.logging.directory or self.checkpoint.directory
        assert isinstance(directory, Path)
        return directory


def load_settings(path: str | Path, overrides: Iterable[str] = ()) -> TrainingSettings:
    """Returns the settings in a YAML file, with absolute paths.

    Args:
      path: the file.
      overrides: `a.b=value` strings that replace values of the file.

    Raises:
      SettingsError: the file cannot be read, or a line says what is wrong with which key.
    """
    settings = pangu_settings.load(TrainingSettings, path, overrides)
    folder = Path(path).resolve().parent
    data = settings.data.model_copy(
        update={
            "shards": folder / settings.data.shards,
            "tokenizer": folder / settings.data.tokenizer,
        }
    )
    update: dict[str, Settings] = {"data": data}
    if isinstance(settings.checkpoint.directory, Path):
        absolute = {"directory": folder / settings.checkpoint.directory}
        update["checkpoint"] = settings.checkpoint.model_copy(update=absolute)
    if settings.logging.directory is not None:
        absolute = {"directory": folder / settings.logging.directory}
        update["logging"] = settings.logging.model_copy(update=absolute)
    return settings.model_copy(update=update)
