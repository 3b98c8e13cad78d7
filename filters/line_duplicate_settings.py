"""What a recipe says about lines that many documents share: which ones go, and what is left."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from filters.kernels.paragraph_hashes import LEAST_CHARACTERS
from pangu_settings import Settings

Keep = Literal["one", "none"]
_KEEP = "one: the document that repeats others least keeps the line; none: nobody does"


class PerHost(Settings):
    """Boilerplate: lines that stand on many pages of one site."""

    enabled: bool = False
    min_documents: int = Field(20, ge=2, description="documents of the host with the line")
    min_share: float = Field(0.1, ge=0, le=1, description="the same, of all documents of the host")
    min_characters: int = Field(
        LEAST_CHARACTERS, ge=LEAST_CHARACTERS, description="letters and digits of the line"
    )
    keep: Keep = Field("none", description=_KEEP)


class CorpusWide(Settings):
    """Paragraphs that stand in several documents, whatever their hosts."""

    enabled: bool = False
    min_documents: int = Field(3, ge=2, description="documents with the line")
    min_characters: int = Field(
        80, ge=LEAST_CHARACTERS, description="letters and digits of the line"
    )
    keep: Keep = Field("one", description=_KEEP)


class DeduplicateLines(Settings):
    """Which lines that documents share are taken out of the corpus. Lines are compared folded."""

    per_host: PerHost = PerHost()
    corpus_wide: CorpusWide = CorpusWide()
    # Not above the shortest paragraph that goes, so that a document that keeps one is kept itself.
    min_remaining_characters: int = Field(
        80, ge=1, description="a document of which less remains is dropped"
    )

    @property
    def enabled(self) -> bool:
        """Whether any line may go."""
        return self.per_host.enabled or self.corpus_wide.enabled

    @property
    def min_characters(self) -> int:
        """Letters and digits of the shortest line that may go."""
        rules = (self.per_host, self.corpus_wide)
        return min((rule.min_characters for rule in rules if rule.enabled), default=0)
