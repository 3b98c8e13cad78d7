"""How other programs call the tensors of PanGu-α, and what they are here.

Three programs have stored this model. Each names the same tensors in its own way, keeps other
things beside them, and two store some matrices the other way round:

    MindSpore     the released training code (PanGu-α 2.6B and 13B); its own matrices are
                  [inputs, outputs], where torch has [outputs, inputs]
    Megatron      the port to Megatron-LM 1.1; it pads the vocabulary
    transformers  the port to Hugging Face transformers; the query layer is its last block
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from pangu_settings import UserError, nearest
from training.config import PRESETS, ModelSettings
from training.exchange.weight_files import LazyTensors

TABLES = ("word_embedding", "position_embedding", "query_embedding")
NORMS = ("attention_norm", "feed_forward_norm")
MATRICES = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "feed_forward.expand",
    "feed_forward.contract",
)


@dataclass(frozen=True)
class Dialect:
    """One program's names."""

    program: str
    tables: Mapping[str, str]
    """Full name of each of TABLES."""
    final_norm: str
    layer: str
    """Prefix of a layer; `{}` stands for its number."""
    query_layer: str | None
    """Prefix of the query layer; None where it is the last of the layers."""
    modules: Mapping[str, str]
    """Name within a layer of each of NORMS and MATRICES."""
    norm_endings: tuple[str, str] = ("weight", "bias")
    transposed: frozenset[str] = field(default_factory=frozenset)
    """MATRICES that are stored as [inputs, outputs]."""

    def layers(self, names: Mapping[str, Tensor]) -> int:
        """Returns the number of layers that these names speak of, the query layer included."""
        pattern = re.compile(re.escape(self.layer).replace(r"\{\}", r"(\d+)") + r"\.")
        numbers = {int(found[1]) for name in names if (found := pattern.match(name))}
        return len(numbers) + (self.query_layer is not None)

    def names(self, layers: int) -> Iterator[tuple[str, str, bool]]:
        """Yields our name, theirs, and whether theirs is transposed, for every tensor."""
        for table in TABLES:
            yield f"{table}.weight", self.tables[table], False
        for ours, theirs in zip(("weight", "bias"), self.norm_endings, strict=True):
            yield f"final_norm.{ours}", f"{self.final_norm}.{theirs}", False
        for number in range(layers):
            is_query_layer = number == layers - 1 and self.query_layer is not None
            prefix = self.query_layer if is_query_layer else self.layer.format(number)
            for norm in NORMS:
                place = f"{prefix}.{self.modules[norm]}"
                for ours, theirs in zip(("weight", "bias"), self.norm_endings, strict=True):
                    yield f"layers.{number}.{norm}.{ours}", f"{place}.{theirs}", False
            for matrix in MATRICES:
                place = f"{prefix}.{self.modules[matrix]}"
                is_transposed = matrix in self.transposed
                yield f"layers.{number}.{matrix}.weight", f"{place}.weight", is_transposed
                yield f"layers.{number}.{matrix}.bias", f"{place}.bias", False


# Attention of MindSpore's `dense1`, `dense2`, `dense3` is a standard layer with torch's order of
# dimensions; its other matrices are the authors' own `Mapping`, which multiplies from the right.
MINDSPORE = Dialect(
    program="MindSpore",
    tables={
        "word_embedding": "backbone.word_embedding.embedding_table",
        "position_embedding": "backbone.position_embedding.embedding_table",
        "query_embedding": "backbone.top_query_embedding.embedding_table",
    },
    final_norm="backbone.layernorm",
    layer="backbone.blocks.{}",
    query_layer="backbone.top_query_layer",
    modules={
        "attention_norm": "layernorm1",
        "feed_forward_norm": "layernorm2",
        "attention.query": "attention.dense1",
        "attention.key": "attention.dense2",
        "attention.value": "attention.dense3",
        "attention.output": "attention.projection",
        "feed_forward.expand": "output.mapping",
        "feed_forward.contract": "output.projection",
    },
    norm_endings=("gamma", "beta"),
    transposed=frozenset({"attention.output", "feed_forward.expand", "feed_forward.contract"}),
)

MEGATRON = Dialect(
    program="Megatron",
    tables={
        "word_embedding": "model.language_model.embedding.word_embeddings.weight",
        "position_embedding": "model.language_model.embedding.position_embeddings.weight",
        "query_embedding": "model.language_model.topQueryEmbedding.top_query_embeddings.weight",
    },
    final_norm="model.language_model.transformer.final_layernorm",
    layer="model.language_model.transformer.layers.{}",
    query_layer="model.language_model.transformer.topQueryLayer",
    modules={
        "attention_norm": "input_layernorm",
        "feed_forward_norm": "post_attention_layernorm",
        "attention.query": "attention.query",
        "attention.key": "attention.key",
        "attention.value": "attention.value",
        "attention.output": "attention.dense",
        "feed_forward.expand": "mlp.dense_h_to_4h",
        "feed_forward.contract": "mlp.dense_4h_to_h",
    },
)

TRANSFORMERS = Dialect(
    program="transformers",
    tables={
        "word_embedding": "transformer.wte.weight",
        "position_embedding": "transformer.wpe.weight",
        "query_embedding": "transformer.wqe.weight",
    },
    final_norm="transformer.ln_f",
    layer="transformer.h.{}",
    query_layer=None,
    modules={
        "attention_norm": "ln_1",
        "feed_forward_norm": "ln_2",
        "attention.query": "attn.q_proj",
        "attention.key": "attn.k_proj",
        "attention.value": "attn.v_proj",
        "attention.output": "attn.c_proj",
        "feed_forward.expand": "mlp.c_fc",
        "feed_forward.contract": "mlp.c_proj",
    },
)

DIALECTS = (MINDSPORE, MEGATRON, TRANSFORMERS)


def recognise(weights: Mapping[str, Tensor], origin: str) -> Dialect:
    """Returns the dialect whose word embedding is among these names.

    Raises:
      UserError: none is.
    """
    for dialect in DIALECTS:
        if dialect.tables["word_embedding"] in weights:
            return dialect
    expected = "; ".join(f"{d.program}: '{d.tables['word_embedding']}'" for d in DIALECTS)
    raise UserError(
        f"{origin}: no PanGu-α here: among its {len(weights)} tensors no word embedding has a "
        f"known name ({expected}); the first are {', '.join(sorted(weights)[:5])}"
    )


def infer_settings(
    weights: Mapping[str, Tensor],
    dialect: Dialect,
    origin: str,
    heads: int | None,
    vocabulary: int | None,
) -> ModelSettings:
    """Returns the shape of the model that these tensors belong to.

    All released models normalise before the query layer. The number of heads leaves no trace in
    the tensors, so it comes from the preset of that many layers and that width.

    Args:
      weights: the tensors by their foreign names.
      dialect: whose names they are.
      origin: what messages begin with.
      heads: number of attention heads, for a model that is no preset.
      vocabulary: rows of the word embedding that are pieces; the rest is padding. Where not
        given, the 40,000 of the released vocabulary for a preset, all rows for another model.

    Raises:
      UserError: tables are missing or do not fit together, or `heads` is needed.
    """
    words, positions = (_tensor(weights, dialect.tables[table], origin) for table in TABLES[:2])
    layers, hidden = dialect.layers(weights), words.shape[-1]
    fits = [p for p in PRESETS.values() if (p["layers"], p["hidden"]) == (layers, hidden)]
    if heads is None:
        if not fits:
            raise UserError(
                f"{origin}: {layers} layers of width {hidden} are no released model, so the number "
                "of attention heads must be given (--heads)"
            )
        heads = int(fits[0]["heads"])
    if vocabulary is None:
        vocabulary = min(words.shape[0], 40_000) if fits else words.shape[0]
    if vocabulary > words.shape[0]:
        raise UserError(
            f"{origin}: the vocabulary has {vocabulary:,} pieces and the word embedding only "
            f"{words.shape[0]:,} rows; that vocabulary belongs to another model"
        )
    try:
        return ModelSettings(
            layers=layers,
            hidden=hidden,
            heads=heads,
            sequence_length=positions.shape[0],
            vocabulary=vocabulary,
            layer_norm="before_query",
        )
    except ValueError as error:
        raise UserError(f"{origin}: no model has this shape: {error}") from None


def translate(
    weights: Mapping[str, Tensor], dialect: Dialect, settings: ModelSettings, origin: str
) -> Mapping[str, Tensor]:
    """Returns every parameter by our name, in torch's order of dimensions; none is read yet.

    Raises:
      UserError: when a tensor is asked for that is missing.
    """

    def reader(ours: str, theirs: str, is_transposed: bool) -> Callable[[], Tensor]:
        def read() -> Tensor:
            tensor = _tensor(weights, theirs, origin)
            if ours == "word_embedding.weight":
                tensor = tensor[: settings.vocabulary]
            return tensor.T if is_transposed else tensor

        return read

    return LazyTensors({names[0]: reader(*names) for names in dialect.names(settings.layers)})


def _tensor(weights: Mapping[str, Tensor], name: str, origin: str) -> Tensor:
    if name not in weights:
        raise UserError(f"{origin}: the tensor '{name}' is missing{nearest(name, weights)}")
    return weights[name]
