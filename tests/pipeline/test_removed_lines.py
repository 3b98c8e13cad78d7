"""A sample of removed lines depends on the documents, not on how they were divided."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from filters.clean import REMOVAL_REASONS, Cleaner, CleanSettings
from filters.kernels.text_batch import TextBatch
from pipeline.inspection.removed_lines import MOST_CHARACTERS, SAMPLED_LINES, RemovedLines

CLEANER = Cleaner(CleanSettings())


def removed_from(texts: list[str]) -> RemovedLines:
    removed = RemovedLines()
    removed.add(CLEANER.clean_batch(TextBatch.from_strings(texts)))
    return removed


def test_counts_and_lines_by_reason() -> None:
    removed = removed_from(["上一篇：老桥\n★★★\n桥。", "……\n上一篇：老桥\n下一篇：新桥"])
    assert {reason: count for reason, count in removed.counts.items() if count} == {
        "symbols": 2,
        "navigation_pager": 3,
    }
    assert set(removed.samples["navigation_pager"].values()) == {"上一篇：老桥", "下一篇：新桥"}
    assert tuple(removed.samples) == REMOVAL_REASONS


def test_samples_are_bounded() -> None:
    paragraph = "桥" * 10_000
    removed = removed_from([f"{paragraph}\n{paragraph}", *(f"上一篇：老桥{n}" for n in range(99))])
    assert removed.counts["navigation_pager"] == 99
    assert len(removed.samples["navigation_pager"]) == SAMPLED_LINES
    assert list(removed.samples["duplicate_paragraph"].values()) == [paragraph[:MOST_CHARACTERS]]


TEXTS = st.lists(
    st.sampled_from([*(f"上一篇：老桥{n}\n★" for n in range(50)), "首页 > 新闻", "桥。", "", "……"])
)


@given(TEXTS, st.integers(0, 20))
def test_parts_add_up_to_the_whole(texts: list[str], cut: int) -> None:
    first, second = removed_from(texts[:cut]), removed_from(texts[cut:])
    first.merge(RemovedLines.from_json(json.loads(json.dumps(second.to_json()))))
    assert first == removed_from(texts) == removed_from(texts[::-1])
