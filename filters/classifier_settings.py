"""Settings of classifiers: a model that is given, or one that the run trains itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, model_validator

from pangu_settings import Settings, nearest

# How a document is cut into what fastText calls words; `fasttext_line` says it exactly.
Features = Literal["characters", "words", "text"]
TrainedFeatures = Literal["characters", "words"]

# The classes of every model that we train: a score is the probability of the first.
POSITIVE = "__label__positive"
NEGATIVE = "__label__negative"

SCORE_SUFFIX = "_score"


class FastTextSettings(Settings):
    """How fastText trains; the names in brackets are its own."""

    features: TrainedFeatures = Field("characters", description="what counts as a word")
    ngrams: int | None = Field(
        None, ge=1, le=8, description="longest n-gram [wordNgrams]; 3 characters or 2 words"
    )
    dimension: int = Field(16, ge=2, le=1000, description="of the embeddings [dim]")
    # A power of two makes prediction faster, and half a million floats stay in the cache.
    buckets: int = Field(2**19, ge=1, le=2**24, description="rows that n-grams share [bucket]")
    epochs: int = Field(10, ge=1, le=1000, description="[epoch]")
    learning_rate: float = Field(0.5, gt=0, le=5, description="at the start [lr]")
    minimum_count: int = Field(2, ge=1, description="rarer words get no row [minCount]")
    seed: int = Field(1, ge=0, le=2**31 - 1)

    @property
    def longest_ngram(self) -> int:
        """Words in the longest n-gram."""
        return self.ngrams or {"characters": 3, "words": 2}[self.features]


class TrainInRun(FastTextSettings):
    """A model that the run trains: clean sources against a sample of raw crawl (GPT-3, App. A)."""

    positives: list[str] = Field(min_length=1, description="names of clean sources")
    negatives: list[str] | None = Field(
        None, min_length=1, description="names of sources to tell them from; default: all others"
    )
    documents: int = Field(
        40_000, ge=2, le=1_000_000, description="most to train on, of both kinds together"
    )
    negatives_share: float = Field(0.5, gt=0, lt=1, description="of these documents")
    held_out: float = Field(0.1, gt=0, lt=1, description="share kept apart to measure on")

    def negatives_among(self, sources: Sequence[str]) -> list[str]:
        """The sources of the negative documents, given those of the recipe."""
        if self.negatives is not None:
            return self.negatives
        return [name for name in sources if name not in self.positives]

    def check_sources(self, sources: Sequence[str]) -> None:
        """Raises ValueError unless both kinds of documents come from sources of the recipe."""
        for key, names in (("positives", self.positives), ("negatives", self.negatives or [])):
            for name in names:
                if name not in sources:
                    raise ValueError(f"{key}: no source is called '{name}'{nearest(name, sources)}")
        both = sorted(set(self.positives) & set(self.negatives_among(sources)))
        if both:
            raise ValueError(f"negatives: '{both[0]}' is among the positives too")
        if not self.negatives_among(sources):
            raise ValueError("positives: every source is named, so there is nothing to tell from")


class ClassifierSettings(Settings):
    """One classifier; its score becomes the signal `<name>_score`."""

    model: str | None = Field(None, description="fastText .bin or .ftz file")
    label: str | None = Field(
        None, description=f"whose probability is the score; default: {POSITIVE}"
    )
    features: Features | None = Field(
        None, description="what the model was trained on; default: what the .json beside it says"
    )
    train: TrainInRun | None = None

    @model_validator(mode="after")
    def _is_given_or_trained(self) -> ClassifierSettings:
        if (self.model is None) == (self.train is None):
            raise ValueError("give either `model` (a file) or `train` (what to train it on)")
        if self.train is not None and (self.label or self.features):
            raise ValueError("`label` and `features` go with `model`; see `train.features`")
        return self


def score_name(classifier: str) -> str:
    """The signal, and the column of the table `scores`, that a classifier gives."""
    return classifier + SCORE_SUFFIX


def score_names(classifiers: Iterable[str]) -> list[str]:
    """The signals of classifiers, by their names in the recipe, in order."""
    return [score_name(classifier) for classifier in classifiers]
