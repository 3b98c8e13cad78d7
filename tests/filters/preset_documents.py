"""Documents for the presets' golden counts: honest ones, and one for each rule of each preset.

What a rule is about is made on purpose and the rest of a document is filler: sentences of common
hanzi in an order that repeats no run of them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from filters.common_characters import SIMPLIFIED

TEXTS = Path(__file__).parent.parent / "crawl" / "texts"


def filler(characters: int, name: str, line: int = 40, alphabet: str = SIMPLIFIED[:600]) -> str:
    """Sentences of hanzi chosen by a hash of the name, in lines of so many characters.

    Args:
      characters: visible ones, marks included.
      name: another name, another text.
      line: characters of a line; each ends with a full stop.
      alphabet: what is chosen from.
    """
    numbers = hashlib.shake_128(name.encode()).digest(2 * characters)
    hanzi = [
        alphabet[int.from_bytes(numbers[at : at + 2]) % len(alphabet)]
        for at in range(0, 2 * characters, 2)
    ]
    for end in range(line - 1, characters, line):
        hanzi[end] = "。"
    hanzi[-1] = "。"
    text = "".join(hanzi)
    return "\n".join(text[start : start + line] for start in range(0, characters, line))


def with_runs(run: str, times: int, characters: int, name: str) -> str:
    """Filler in which a run of characters stands so often, a line between each and the next."""
    rest = filler(characters - times * len(run), name, line=6).split("\n")
    step = max(1, len(rest) // times)
    for number in range(times):
        rest[number * step] = run + rest[number * step]
    return "\n".join(rest)


def documents() -> dict[str, tuple[str, str]]:
    """What a document is made to show -> (title, text)."""
    prose = filler(600, "prose")
    found = {
        "title alone": ("第二十三届江岸长跑赛报名须知", "江岸长跑赛报名须知\n2019年9月"),
        "English": ("The old bridge", "The old bridge opened again yesterday morning. " * 9),
        "Japanese": (
            "新茶",
            "今年も新茶の季節がやってきました。お茶の葉を摘むのは朝がいちばんです。" * 8,
        ),
        "Cantonese": (
            "倾偈",
            "佢哋嗰日喺度倾偈，唔知点解咁开心。我哋都觉得好好笑，咁就一齐行咗返去。" * 6,
        ),
        "notice": ("停水通知", "因管道检修，周日上午八点至十点停水，请提前储水。"),
        "fifty characters": ("短", "停水了，请提前储水。"),
        "a hundred and twenty": ("停水", filler(120, "hundred")),
        "a hundred and ninety": ("停水", filler(190, "ninety")),
        "advertisement": ("票据", prose + "\n代开发票，欢迎来电。"),
        "spam": ("看片", prose + "\n最新网址与备用网址，请收藏。"),
        "sensitive": ("娱乐", prose + "\n百家乐、赌球、老虎机、六合彩。"),
        "many sensitive": ("娱乐", prose + "\n百家乐、赌球、老虎机、六合彩、时时彩、假币。"),
        "one sensitive word often": ("赌", prose + "\n赌球，还是赌球，又是赌球，总是赌球。"),
        "sentence again and again": ("看", filler(300, "again") + "\n" + "今天天气真好呀。" * 40),
        "few lines": ("短", filler(160, "few")),
        "lines again": ("歌", "\n".join(filler(300, "song", line=15).split("\n")[:10] * 2)),
        "a long line again": (
            "歌",
            "\n".join([filler(600, "verse", line=30), *([filler(60, "chorus", line=60)] * 4)]),
        ),
        "a long line once again": (
            "歌",
            "\n".join([filler(500, "verse", line=50), *([filler(90, "chorus", line=90)] * 2)]),
        ),
        "4 characters often": ("看", with_runs("长江大桥", 8, 120, "bridge")),
        "4 characters often, longer": ("看", with_runs("长江大桥", 8, 150, "bridge")),
        "9 characters again": ("看", with_runs("南京长江大桥通车了", 2, 44, "nine")),
        "10 characters again": ("看", with_runs("南京长江大桥今天通车", 2, 54, "ten")),
        "10 characters again, longer": ("看", with_runs("南京长江大桥今天通车", 2, 70, "ten")),
        "13 characters again": ("看", with_runs("南京长江大桥今天上午通车了", 2, 77, "thirteen")),
        "13 characters again, longer": (
            "看",
            with_runs("南京长江大桥今天上午通车了", 2, 98, "thirteen"),
        ),
        "no sentence ends": ("单", filler(600, "list").replace("。", "，")),
        "list": ("单", filler(400, "menu", line=8)),
        "short lines": ("单", filler(400, "short", line=9)),
        "hashes": ("话题", filler(300, "topic", line=20).replace("\n", "\n##") + "#" * 20),
        "many hashes": ("话题", filler(300, "topic", line=20).replace("。", "。####")),
        "ellipses": ("话", filler(300, "dots", line=20).replace("。", "……")),
        "many ellipses": ("话", filler(300, "dots", line=20).replace("。", "…………")),
        "brackets": ("公告", filler(300, "frame", line=20).replace("。", "【】。")),
        "digits": ("号码", filler(300, "numbers", line=10).replace("。", "：135790。")),
        "offers of more": ("列表", filler(300, "more", line=30).replace("。", "。展开")),
        "no marks": ("诗", filler(300, "poem").replace("。", "")),
        "few different characters": ("歌", filler(2000, "song", alphabet=SIMPLIFIED[:120])),
        "very few different characters": ("歌", filler(150, "song", alphabet=SIMPLIFIED[:18])),
        "2 characters often": ("看", with_runs("大桥", 16, 140, "two")),
        "3 characters often": ("看", with_runs("过大桥", 9, 120, "three")),
        "half of it twice": ("看", "\n".join([filler(300, "half"), filler(300, "half", line=50)])),
        "four times": ("看", "\n".join([filler(300, "half", line=30)] * 4)),
        "too long": ("书", filler(10_400, "book")),
        "much too long": ("书", filler(201_000, "shelf", alphabet=SIMPLIFIED)),
        "no stop words": ("码", filler(600, "code", alphabet=_without(STOP_WORDS))),
        "traditional": ("夜鷺", _traditional()),
        "a third Chinese": ("课", filler(90, "third") + "\n" + "lorem ipsum dolor sit amet. " * 9),
    }
    return {**found, **_honest()}


STOP_WORDS = "的年在月是和日了于·为有被人中他与后也而由"


def _without(unwanted: str) -> str:
    return "".join(character for character in SIMPLIFIED[:700] if character not in unwanted)


def _traditional() -> str:
    return (
        "護城河邊的夜鷺每天傍晚飛來，牠們站在淺水裡，動也不動，等著魚兒游過。\n"
        "老人說，這種鳥很有耐心，捕魚時能站上一個鐘頭，連影子都不晃一下。\n"
        "孩子們學著牠們的樣子單腳站立，沒過多久就東倒西歪，笑成一團。\n"
        "後來河水變清了，來的鳥也多了起來，岸邊豎起了一塊牌子，寫著請勿驚擾。\n"
        "攝影的人天不亮就來佔位置，鏡頭對準橋墩，等第一縷陽光照到水面上。\n"
        "管理處的員工每週清點一次數目，記在一本厚厚的簿子裡，已經記了十二年。\n"
    )


def _honest() -> dict[str, tuple[str, str]]:
    """The encyclopedia and the stories of the small crawl."""
    rows: dict[str, tuple[str, str]] = {}
    for line in (TEXTS / "encyclopedia.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[f"encyclopedia: {row['title']}"] = (row["title"], row["text"])
    stories = (TEXTS / "stories.txt").read_text(encoding="utf-8").split("\n\n")
    return rows | {f"story {number}": ("", text) for number, text in enumerate(stories)}
