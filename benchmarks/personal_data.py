"""How much personal data is found in honest text, in made-up text, and how fast.

    python benchmarks/personal_data.py TEXTS.jsonl.gz... [--show 3] [--seed 1]

Files have one JSON object a line with `text`. Prints, for each file, what was masked, with --show
some of it in its surroundings for a person to judge; then how many of 1,000 made-up numbers of each
kind are found, and how many of 1,000 random look-alikes are taken for one; then the speed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.main_text import read_json_lines
from filters.clean import Cleaner, CleanSettings
from filters.kernels.personal_data import candidate_lines
from filters.kernels.text_batch import TextBatch
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.personal_data_kinds import PERSONAL_DATA, identity_check_digit, luhn_check_digit

MADE_UP = 1000
ROUNDS = 5
SURROUNDINGS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--show", type=int, default=0, help="hits of each kind and file to print")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    masker = PersonalDataMasker(PersonalDataSettings())
    batches = {path.name.partition(".")[0]: read_texts(path) for path in arguments.texts}
    print_found(masker, batches, arguments.show)
    print_made_up(masker, random.Random(arguments.seed))
    print_speed(masker, batches)


def read_texts(path: Path) -> TextBatch:
    """The texts of a file, cleaned as a run cleans them."""
    texts = [row["text"] for row in read_json_lines(path)]
    return Cleaner(CleanSettings()).clean_batch(TextBatch.from_strings(texts)).texts


def print_found(masker: PersonalDataMasker, batches: dict[str, TextBatch], show: int) -> None:
    """A row for each file: how much there is of each kind."""
    print(f"| text | MB | {' | '.join(PERSONAL_DATA)} |\n|---|{'---:|' * (1 + len(PERSONAL_DATA))}")
    shown: list[str] = []
    for name, batch in batches.items():
        result = masker.mask_batch(batch)
        counts = [str(result.counts[kind].sum()) for kind in PERSONAL_DATA]
        print(f"| {name} | {megabytes(batch):.1f} | {' | '.join(counts)} |")
        for kind, datum in PERSONAL_DATA.items():
            hits = [
                (kind, match)
                for text, start, end in candidate_lines(batch).tolist()
                if result.counts[kind][text]
                for match in datum.pattern.finditer(batch_line(batch, start, end))
                if datum.accepts(match)
            ]
            shown += [f"{name}: {kind}: {surroundings(match)}" for kind, match in hits[:show]]
    print("\n".join(["", *shown, ""]))


def batch_line(batch: TextBatch, start: int, end: int) -> str:
    return batch.characters[start:end].astype("<u4").tobytes().decode("utf-32-le")


def surroundings(match: object) -> str:
    """What was found, with some characters on either side."""
    start, end = match.span()  # type: ignore[attr-defined]
    line = match.string  # type: ignore[attr-defined]
    before, after = line[max(0, start - SURROUNDINGS) : start], line[end : end + SURROUNDINGS]
    return f"{before}⟦{line[start:end]}⟧{after}"


def megabytes(batch: TextBatch) -> float:
    return batch.to_arrow().get_total_buffer_size() / 1e6


def print_made_up(masker: PersonalDataMasker, chance: random.Random) -> None:
    """A row for each kind: share of made-up numbers found, and of look-alikes taken for one."""
    print(
        "| kind | made up | found | look-alikes | taken for it or another kind |\n"
        "|---|---|---:|---|---:|"
    )
    for kind, (make, alike, looks) in makers(chance).items():
        found = sum(masker.mask(make()).counts[kind] for _ in range(MADE_UP))
        wrong = sum(any(masker.mask(alike()).counts.values()) for _ in range(MADE_UP))
        example = make()
        print(f"| {kind} | {example} | {found / MADE_UP:.1%} | {looks} | {wrong / MADE_UP:.1%} |")


def makers(
    chance: random.Random,
) -> dict[str, tuple[Callable[[], str], Callable[[], str], str]]:
    """For each kind: makes a sentence with one, makes a sentence with a look-alike, its name."""

    def digits(count: int) -> str:
        return "".join(chance.choice("0123456789") for _ in range(count))

    def pick(*choices: str) -> str:
        return chance.choice(choices)

    def word() -> str:
        return "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(6))

    def number(count: int) -> str:
        return chance.choice("123456789") + digits(count - 1)

    def identity() -> str:
        region = pick("11", "32", "44", "51", "65") + digits(4)
        born = f"{chance.randint(1940, 2010)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
        start = region + born + digits(3)
        return pick("身份证号", "身份证号码：", "证件 ", "，") + start + identity_check_digit(start)

    def card() -> str:
        start = pick("62", "4", "51", "55")
        length = chance.choice((16, 19)) if start == "62" else 16
        start += digits(length - 1 - len(start))
        whole = start + luhn_check_digit(start)
        groups = " ".join(whole[place : place + 4] for place in range(0, length, 4))
        return pick("卡号", "账号：", "汇款至 ") + pick(whole, groups)

    def phone() -> str:
        first, second, third = pick("13", "15", "18", "19") + digits(1), digits(4), digits(4)
        gap = pick("", "", " ", "-")
        return pick("电话", "手机：", "联系 ", "+86 ", "tel:") + first + gap + second + gap + third

    def address() -> str:
        parts = [str(chance.randint(20, 223)), *(str(chance.randint(0, 255)) for _ in range(3))]
        return pick("IP：", "来自 ", "服务器", "主机 ") + ".".join(parts)

    def version() -> str:
        parts = ".".join(str(chance.randint(0, 40)) for _ in range(4))
        return pick("版本 ", "第", "Ver ", "v", "Chrome ", "升级到") + parts

    def email() -> str:
        local = pick(word(), f"{word()}.{word()}", f"{word()}{digits(4)}", number(9))
        return (
            pick("邮箱：", "请发到", "E-mail: ") + local + "@" + pick("qq.com", "163.com", "a.cn")
        )

    return {
        "email": (email, lambda: f"{word()}@{digits(1)}x.png，@{word()}", "file names, mentions"),
        "ip_address": (address, version, "versions"),
        "identity": (identity, lambda: f"订单号{number(18)}", "numbers of 18 digits"),
        "bank_card": (card, lambda: f"流水号{number(chance.randint(13, 19))}", "13 to 19 digits"),
        "phone": (phone, lambda: f"编号{number(11)}", "numbers of 11 digits"),
        "qq": (
            lambda: pick("QQ：", "QQ", "加QQ ", "Q群 QQ群号：", "扣扣") + number(9),
            lambda: pick("QQ", "QQ ") + str(chance.randint(1999, 2024)) + "版",
            "releases",
        ),
        "wechat": (
            lambda: pick("微信：", "加微信", "微信号 ", "vx ", "薇信:") + word() + digits(3),
            lambda: pick("微信", "微信 ", "微信的") + pick("Android", "iPhone", "Windows", "Linux"),
            "products",
        ),
    }


def print_speed(masker: PersonalDataMasker, batches: dict[str, TextBatch]) -> None:
    """CPU time of finding candidates, of masking, and of the patterns alone in every line."""
    print("\n| text | candidates, MB/s | masking, MB/s | without the kernel, MB/s |")
    print("|---|---:|---:|---:|")
    for name, batch in batches.items():
        size = megabytes(batch)
        texts = batch.to_strings()
        candidates = fastest(lambda batch=batch: candidate_lines(batch))
        masking = fastest(lambda batch=batch: masker.mask_batch(batch))
        reference = fastest(lambda texts=texts: [masker.mask(text) for text in texts], 1)
        print(
            f"| {name} | {size / candidates:.0f} | {size / masking:.0f} | {size / reference:.1f} |"
        )


def fastest(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the best of several runs."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
