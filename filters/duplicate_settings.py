"""What a recipe says about duplicates: which kinds are merged, how sure, and which one stays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ByteSize, Field, field_validator

from pangu_settings import Settings

KeepBy = Literal["quality", "source_priority", "length", "id"]


def _word_off(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


class NearDuplicates(Settings):
    """MinHash over character shingles, banded (PanGu-α §3.1.2 leaves the parameters open)."""

    enabled: bool = True
    similarity: float = Field(
        0.8, gt=0, le=1, description="least Jaccard similarity of two texts that are merged"
    )
    shingle: int = Field(5, ge=1, le=32, description="characters in a shingle")
    bands: int = Field(16, ge=1, le=64)
    rows: int = Field(8, ge=1, le=32, description="hash values in a band")
    seed: int = Field(1, ge=0, description="of the permutations")
    verify: Annotated[Literal["exact", "signature", "off"], BeforeValidator(_word_off)] = Field(
        "exact",
        description="how candidates are checked before they are merged: by their shingles, by "
        "their signatures, or not at all",
    )

    def key_settings(self) -> dict[str, Any]:
        """The part that decides the band keys; the rest only says what is done with them."""
        return self.model_dump(include={"enabled", "shingle", "bands", "rows", "seed"})


class Deduplicate(Settings):
    """Which duplicates are merged, and which of them stays."""

    exact: bool = Field(True, description="whether equal texts are merged")
    url: Annotated[Literal["newest", "longest", "off"], BeforeValidator(_word_off)] = Field(
        "newest", description="which of several captures of one address stays"
    )
    near: NearDuplicates = NearDuplicates()
    keep: list[KeepBy] = Field(
        default=["quality", "source_priority", "length", "id"],
        min_length=1,
        description="which document of a cluster stays: the best by the first, then by the next; "
        "sources rank as the recipe lists them; the smallest id decides in the end",
    )
    against: list[str] = Field(
        default_factory=list,
        description="directories of finished runs, in order: what their corpora hold is merged "
        "into their documents; each needs a band index",
    )
    index: bool = Field(
        False,
        description="whether the run leaves a band index of its corpus, for `against` of others",
    )
    memory: ByteSize = Field(
        default=ByteSize(2**30),
        ge=2**16,
        description="what the stage may use in each process beside Python and its libraries, such "
        "as 1GB; beyond it, it works in more passes; the result does not depend on it",
    )

    @field_validator("keep", "against")
    @classmethod
    def _each_once(cls, names: list[Any]) -> list[Any]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' is named twice")
        return names

    def result_settings(self) -> dict[str, Any]:
        """The part on which the result depends within a run: not the memory, nor other runs."""
        return self.model_dump(mode="json", exclude={"memory", "against", "index"})
