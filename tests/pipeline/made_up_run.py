"""A run directory made up for tests of the report: no stage ran, but its books close."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.documents import CORPUS, DEAD_LETTERS, DROPPED
from pipeline.ledger import Books
from pipeline.recipe import Recipe

SOURCES = {"crawl": 600, "encyclopedia": 90, "books": 12}
HOSTILE_TITLE = "<script>alert('title')</script>$x$"
RULES = {
    "title_only": {"signal": "beyond_title_characters", "min": 20},
    "too_little_chinese": {"signal": "chinese_share", "min": 0.6},
    "too_short": {"signal": "characters", "min": 150},
    "advertisement": {"signal": "advertisement_words", "max": 2},
    "sensitive": {"signal": "sensitive_words", "max": 3},
}
TITLES = (
    "老桥修缮后重新开放",
    "潮汐为什么推迟五十分钟",
    "清晨的菜市场",
    "一把土里的世界",
    "守灯塔的人",
)
TEXT = "站在海边的人很容易发现，海水每天涨落两次，而且每天的时间都比前一天晚大约五十分钟。"
MENUS = (9_000, 27_000)
ENCODINGS = {
    "crawl": {"utf-8": {"pages": 402, "repaired": 3}, "gb18030": {"pages": 71, "repaired": 11}}
}
# Of a classifier that the run trained.
CLASSIFIER_FACTS: dict[str, Any] = {
    "features": "characters",
    "label": "__label__positive",
    "sha256": "7c" * 32,
    "library": "fasttext-community 0.11.9",
    "words": 3_807,
    "positives": ["encyclopedia"],
    "negatives": ["crawl"],
    "documents": {
        "trained": {"positive": 625, "negative": 613},
        "held_out": {"positive": 72, "negative": 65},
    },
    "held_out": {
        "best_threshold": 0.4,
        "thresholds": [
            {
                "threshold": threshold,
                "precision": 0.9 + threshold / 20,
                "recall": 1 - threshold / 10,
                "f1": f1,
                "false_positives": 4,
                "false_negatives": 2,
            }
            for threshold, f1 in ((0.1, 0.9412), (0.4, 0.973), (0.9, 0.955))
        ],
    },
}


@dataclass(frozen=True)
class MadeUpDocument:
    """One input record and how it ended: `kept`, or stage, outcome and reason."""

    source: str
    number: int
    fate: tuple[str, str, str]
    characters: int
    survivor: int | None = None

    @property
    def id(self) -> str:
        return identity(self.source, self.number)

    @property
    def quality(self) -> float:
        return round((self.number * 37 % 100) / 100 * (1 if self.fate[0] == "kept" else 0.6), 2)

    @property
    def row(self) -> dict[str, Any]:
        """The columns that corpus and dropped share."""
        title = HOSTILE_TITLE if self.number % 19 == 2 else TITLES[self.number % len(TITLES)]
        return {
            "id": self.id,
            "url": f"https://www.example.cn/{self.source}/{self.number}.html?a=1&b=<2>",
            "title": f"{title} {self.number}",
            "source": self.source,
            "characters": self.characters,
            "quality": self.quality,
        }


def identity(source: str, number: int) -> str:
    """The id of a made-up document."""
    return hashlib.blake2b(f"{source} {number}".encode(), digest_size=16).hexdigest()


def documents() -> list[MadeUpDocument]:
    """All records, among them every kind of outcome."""
    made = []
    for source, count in SOURCES.items():
        for number in range(count):
            long = 60 + (number * 7919 % 1000) ** 2 // 150
            fate, characters, survivor = ("kept", "", ""), max(150, long), None
            if source == "crawl":
                if number % 40 == 7:
                    fate, characters = ("extract", "dead", "damaged_record"), 0
                elif number % 9 == 4:
                    fate, characters = ("extract", "dropped", "http_status"), 0
                elif long < 150:
                    fate, characters = ("decide", "dropped", "too_short"), long
                elif number % 19 == 2:
                    fate = ("decide", "dropped", "advertisement")
                elif number % 6 == 5:
                    kind, survivor = ("exact", 3) if number % 5 else ("near", 9)
                    fate = ("deduplicate", "merged", kind)
            made.append(MadeUpDocument(source, number, fate, characters, survivor))
    return made


def recipe(**changes: Any) -> Recipe:
    """The recipe of the made-up run."""
    sources = [
        {"name": name, "paths": [f"{name}/*.warc.gz"], "weight": weight}
        for name, weight in zip(SOURCES, (10, 23, 18), strict=True)
    ]
    content = {
        "name": "made-up",
        "filters": None,
        "sources": sources,
        "words": {"advertisement": "builtin", "sensitive": "builtin"},
        "rules": RULES,
        **changes,
    }
    return Recipe.model_validate(content)


def write_run(directory: Path, made: Sequence[MadeUpDocument] | None = None) -> Path:
    """Writes every file that the report reads."""
    made = documents() if made is None else made
    _write_table(directory / "corpus", CORPUS, _corpus_rows(made))
    _write_table(directory / "dropped", DROPPED, _dropped_rows(made))
    _write_table(directory / "dead_letters", DEAD_LETTERS, _dead_rows(made))
    _write_json(directory / "ledger.json", ledger(made))
    _write_json(directory / "shards" / "index.json", shards(made))
    facts = {
        "vocabulary_size": 8_000,
        "characters_per_token": 1.6183,
        "unknown_share": 0.0002,
        "settings": {"algorithm": "bpe", "segmenter": "none"},
    }
    _write_json(directory / "tokenizer" / "facts.json", facts)
    (directory / "tokenizer" / "tokenizer.model").write_bytes(b"model")
    (directory / "recipe.yaml").write_text("name: made-up\n", encoding="utf-8")
    return directory


def ledger(made: Sequence[MadeUpDocument]) -> dict[str, Any]:
    """The books of the made-up run, in the order of the stages."""
    stages = []
    for stage in ("extract", "clean", "decide", "deduplicate", "mix"):
        books = {source: Books() for source in SOURCES}
        for document in made:
            size = (1, document.characters, 3 * document.characters + (stage == "extract"))
            books[document.source].came_in.add(*size)
            ends_here = document.fate[0] == stage
            place = books[document.source].count(*document.fate[1:]) if ends_here else None
            (place or books[document.source].kept).add(*size)
        if stage in ("extract", "clean"):
            # Menus that extract took for text and clean removes; other sources have none.
            books["books"].count("removed", "navigation")
            books["crawl"].came_in.add(0, *MENUS)
            ends = books["crawl"].count("removed", "navigation") if stage == "clean" else None
            (ends or books["crawl"].kept).add(0, *MENUS)
        made = [document for document in made if document.fate[0] != stage]
        entries = {source: entry.to_json() for source, entry in books.items()}
        stages.append({"stage": stage, "sources": entries})
    return {"stages": stages}


def shards(made: Sequence[MadeUpDocument]) -> dict[str, Any]:
    """The content of shards/index.json."""
    sources = {}
    for name, weight in zip(SOURCES, (10.0, 23.0, 18.0), strict=True):
        kept = [d for d in made if d.source == name and d.fate[0] == "kept"]
        tokens = sum(document.characters * 10 // 16 + 1 for document in kept)
        sources[name] = {"weight": weight, "documents": len(kept), "tokens": tokens}
    totals = {key: sum(s[key] for s in sources.values()) for key in ("documents", "tokens")}
    return {"format": "pangu-shards", "version": 1, "sources": sources, "shards": [], **totals}


def _corpus_rows(made: Sequence[MadeUpDocument]) -> list[dict[str, Any]]:
    sizes: dict[str, int] = {}
    for document in made:
        if document.survivor is not None:
            survivor = identity(document.source, document.survivor)
            sizes[survivor] = sizes.get(survivor, 1) + 1
    return [
        {
            **document.row,
            "captured_at": datetime(2024, 5, 1, tzinfo=UTC) + timedelta(hours=document.number),
            "text": TEXT,
            "text_bytes": 3 * document.characters,
            "cluster_id": document.id,
            "cluster_size": sizes.get(document.id, 1),
        }
        for document in made
        if document.fate[0] == "kept"
    ]


def _dropped_rows(made: Sequence[MadeUpDocument]) -> list[dict[str, Any]]:
    findings = {
        "http_status": ("404", "200"),
        "too_short": ("characters 82", "characters 150"),
        "advertisement": ("advertisement_words 4", "advertisement_words 2"),
    }
    rows = []
    for document in made:
        stage, outcome, rule = document.fate
        if outcome not in ("dropped", "merged"):
            continue
        value, limit = findings.get(rule, ("", ""))
        survivor = "" if document.survivor is None else identity("crawl", document.survivor)
        rows.append(
            {
                **document.row,
                "file": "crawl/0.warc.gz",
                "offset": 1000 * document.number,
                "stage": stage,
                "verdict": outcome,
                "rule": rule,
                "value": value,
                "limit": limit,
                "merged_into": survivor,
                "quality": None if stage == "extract" else document.quality,
                "excerpt": "" if stage == "extract" else TEXT,
            }
        )
    return rows


def _dead_rows(made: Sequence[MadeUpDocument]) -> list[dict[str, Any]]:
    return [
        {
            "source": document.source,
            "file": "crawl/0.warc.gz",
            "offset": 1000 * document.number,
            "stage": "extract",
            "error": document.fate[2],
            "detail": "gzip member ends in noise <b>",
        }
        for document in made
        if document.fate[1] == "dead"
    ]


def _write_table(folder: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    """Writes rows as two files, so that readers must go through more than one."""
    folder.mkdir(parents=True)
    half = len(rows) // 2
    for name, part in (("a", rows[:half]), ("b", rows[half:])):
        pq.write_table(pa.Table.from_pylist(part, schema), folder / f"{name}.parquet")


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
