"""The recipe's `extract` block: what one page may cost, and how its text is found."""

from __future__ import annotations

from pydantic import Field

from filters.main_text import MainTextSettings
from pipeline.reading.record import ReadLimits


class ExtractSettings(ReadLimits):
    """How pages are read and turned into text."""

    max_record_seconds: float = Field(
        60.0,
        gt=0,
        description="most seconds that a library may work on one page; see docs/reading.md",
    )
    chinese_prefilter: int = Field(
        10,
        ge=0,
        description="pages whose bytes show fewer Chinese characters are dropped before they are "
        "decoded; 0 looks at every page",
    )
    main_text: MainTextSettings = MainTextSettings()
