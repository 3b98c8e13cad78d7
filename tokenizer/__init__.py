"""From text to token ids to pretraining shards, and back.

This room trains a SentencePiece vocabulary with the special pieces of the released PanGu-α
vocabulary, encodes and decodes with it, and writes and reads the shards that a model is trained
on (Megatron's `.bin`/`.idx` pairs and one `index.json`). It knows neither Beam nor torch: the
pipeline writes through it and the training half reads through it.
"""

from tokenizer.shard_set import Shard, ShardError, ShardSet
from tokenizer.shards import (
    ShardFacts,
    ShardIndex,
    ShardWriter,
    TokenizerFacts,
    token_dtype,
    write_index,
    write_shards,
)
from tokenizer.tokenizer import Encoded, Tokenizer
from tokenizer.vocabulary import (
    TrainedVocabulary,
    VocabularyFacts,
    VocabularySettings,
    train_vocabulary,
)

__all__ = [
    "Encoded",
    "Shard",
    "ShardError",
    "ShardFacts",
    "ShardIndex",
    "ShardSet",
    "ShardWriter",
    "Tokenizer",
    "TokenizerFacts",
    "TrainedVocabulary",
    "VocabularyFacts",
    "VocabularySettings",
    "token_dtype",
    "train_vocabulary",
    "write_index",
    "write_shards",
]
