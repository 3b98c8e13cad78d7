"""What a recipe says about evaluation sets: which ones, and when a document leaks one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pangu_settings import Settings

SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class EvaluationSet(Settings):
    """The files of one evaluation set."""

    paths: list[str] = Field(
        min_length=1,
        description="files or patterns (*, **), local or with a protocol such as s3://; gzip too",
    )
    format: Literal["auto", "json", "jsonl", "parquet", "text"] = Field(
        "auto", description="auto goes by the name; other names are text"
    )
    fields: Literal["all"] | list[str] = Field(
        "all", description="JSON, JSONL, Parquet: keys whose texts are looked for, at any depth"
    )


class Decontaminate(Settings):
    """Which evaluation sets the corpus must not hold, and what happens to what it holds of them."""

    sets: dict[SetName, EvaluationSet] = Field(
        default_factory=dict, description="name of a set -> its files; none: nothing is looked for"
    )
    ngram: int = Field(
        13, ge=4, le=64, description="letters and digits in a row that count as shared"
    )
    min_share: float = Field(
        0.5, gt=0, le=1, description="least share of a passage's n-grams that a document must hold"
    )
    min_characters: int = Field(
        20, ge=4, description="least letters and digits of a passage that a document must hold"
    )
    action: Literal["cut", "drop"] = Field(
        "cut", description="take the sentences out, or the whole document"
    )
    min_remaining_characters: int = Field(
        100, ge=0, description="a document of which less remains after cutting is dropped"
    )

    @model_validator(mode="after")
    def _holds_an_ngram(self) -> Decontaminate:
        if self.min_characters < self.ngram:
            raise ValueError(
                f"min_characters: {self.min_characters} is less than ngram ({self.ngram}); "
                "a shorter text holds no n-gram that could be found"
            )
        return self


def explain(settings: Decontaminate) -> Iterator[str]:
    """Yields lines that say what is looked for, for `pangu plan`."""
    if not settings.sets:
        return
    what = {"cut": "cut the sentences of", "drop": "drop documents with"}[settings.action]
    yield (
        f"{what} {', '.join(settings.sets)}: {settings.min_share:.0%} of a passage's "
        f"{settings.ngram}-grams"
    )
