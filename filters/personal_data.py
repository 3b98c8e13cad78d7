"""Personal data in a text: identity numbers, telephones, mail, network and bank numbers, accounts.

What the kinds are and how they are recognised is in `filters.personal_data_kinds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from filters.kernels.personal_data import candidate_lines
from filters.kernels.text_batch import TextBatch
from filters.personal_data_kinds import PERSONAL_DATA, PersonalDatum
from filters.rules import Rule
from pangu_settings import Settings

Action = Literal["mask", "drop", "off"]


class PersonalDataSettings(Settings):
    """What becomes of each kind: masked, a reason to drop the document, or not looked for."""

    email: Action = "mask"
    ip_address: Action = "mask"
    identity: Action = "mask"
    bank_card: Action = "mask"
    phone: Action = "mask"
    qq: Action = "mask"
    wechat: Action = "mask"

    def rules(self) -> dict[str, Rule]:
        """The rules that drop documents with a kind set to `drop`, by reason."""
        dropped = [kind for kind in PERSONAL_DATA if getattr(self, kind) == "drop"]
        return {f"personal_{kind}": Rule(signal=f"personal_{kind}", max=0) for kind in dropped}


@dataclass(frozen=True)
class MaskedText:
    """A text without personal data, and how many of each of PERSONAL_DATA it had."""

    text: str
    counts: dict[str, int]


@dataclass(frozen=True)
class MaskedBatch:
    """Texts without personal data; `counts` has int32 (texts,) for each of PERSONAL_DATA."""

    texts: TextBatch
    counts: dict[str, np.ndarray]


class PersonalDataMasker:
    """Masks texts; a result depends on its text and the settings only."""

    def __init__(self, settings: PersonalDataSettings) -> None:
        self.settings = settings
        self._kinds = {
            kind: datum for kind, datum in PERSONAL_DATA.items() if getattr(settings, kind) != "off"
        }

    def mask(self, text: str) -> MaskedText:
        """The reference: one text, kind after kind in every line."""
        counts = dict.fromkeys(PERSONAL_DATA, 0)
        lines = [self._mask_line(line, counts) for line in text.split("\n")]
        return MaskedText("\n".join(lines), counts)

    def mask_batch(self, texts: TextBatch) -> MaskedBatch:
        """The same for a batch: only lines that the kernel calls candidates are looked at."""
        counts = {kind: np.zeros(len(texts), np.int32) for kind in PERSONAL_DATA}
        changes: list[tuple[int, int, int, str]] = []
        if self._kinds:
            for text, start, end in candidate_lines(texts).tolist():
                found = dict.fromkeys(PERSONAL_DATA, 0)
                line = _string(texts.characters[start:end])
                masked = self._mask_line(line, found)
                if masked != line:
                    changes.append((text, start, end, masked))
                    for kind, count in found.items():
                        counts[kind][text] += count
        return MaskedBatch(_with_lines(texts, changes), counts)

    def leave_batch(self, texts: TextBatch) -> MaskedBatch:
        """The texts of a batch as they are, in which nothing was looked for."""
        nothing = np.zeros(len(texts), np.int32)
        return MaskedBatch(texts, dict.fromkeys(PERSONAL_DATA, nothing))

    def _mask_line(self, line: str, counts: dict[str, int]) -> str:
        for kind, datum in self._kinds.items():
            line = _mask(line, kind, datum, counts)
        return line


def _mask(line: str, kind: str, datum: PersonalDatum, counts: dict[str, int]) -> str:
    group = "it" if "it" in datum.pattern.groupindex else 0
    pieces: list[str] = []
    copied = 0
    for match in datum.pattern.finditer(line):
        if datum.accepts(match):
            pieces += [line[copied : match.start(group)], datum.placeholder]
            copied = match.end(group)
            counts[kind] += 1
    return "".join([*pieces, line[copied:]])


def _string(characters: np.ndarray) -> str:
    return characters.astype("<u4").tobytes().decode("utf-32-le")


def _with_lines(texts: TextBatch, changes: Sequence[tuple[int, int, int, str]]) -> TextBatch:
    """The batch with other text at (text, start, end), which come in order."""
    if not changes:
        return texts
    pieces: list[np.ndarray] = []
    growth = np.zeros(len(texts) + 1, np.int64)
    copied = 0
    for text, start, end, line in changes:
        points = np.frombuffer(line.encode("utf-32-le"), "<u4").astype(np.uint32)
        pieces += [texts.characters[copied:start], points]
        growth[text + 1] += len(points) - (end - start)
        copied = end
    pieces.append(texts.characters[copied:])
    return TextBatch(np.concatenate(pieces), texts.starts + np.cumsum(growth))
