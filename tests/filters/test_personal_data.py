"""Personal data is masked, what looks like it is not, and batches give what single texts give."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.personal_data import is_candidate
from filters.kernels.text_batch import TextBatch
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.personal_data_kinds import (
    PERSONAL_DATA,
    identity_check_digit,
    luhn_check_digit,
)

MASKER = PersonalDataMasker(PersonalDataSettings())

MASKED = {
    # Kind, text, what is left of it.
    "email": [
        ("邮箱：li.lei+news@mail.example.com.cn，谢谢", "邮箱：[邮箱]，谢谢"),
        ("E-mail:-wang_2@163.com", "E-mail:-[邮箱]"),
        ("写信给zhang＠qq.com。", "写信给[邮箱]。"),
        ("13912345678@139.com", "[邮箱]"),
    ],
    "ip_address": [
        ("来自 59.66.134.12 的网友", "来自 [IP地址] 的网友"),
        ("[FROM: 202.112.58.200]", "[FROM: [IP地址]]"),
        ("DNS 设为 8.8.4.4", "DNS 设为 [IP地址]"),
        ("59.66.134.12:8080", "[IP地址]:8080"),
        ("地址 2001:da8:215:3c02::10 可达", "地址 [IP地址] 可达"),
        ("2400:3200:baba:0:0:0:0:1", "[IP地址]"),
    ],
    "identity": [
        ("身份证号11010519491231002X。", "身份证号[身份证号]。"),
        ("身份证号：110105 19491231 002x", "身份证号：[身份证号]"),
        ("旧身份证 110105491231002，", "旧身份证 [身份证号]，"),
    ],
    "bank_card": [
        ("卡号：6222021202000212341", "卡号：[银行卡号]"),
        ("卡号 6222 0212 0200 0212 341 工行", "卡号 [银行卡号] 工行"),
        ("Visa 4111-1111-1111-1111", "Visa [银行卡号]"),
    ],
    "phone": [
        ("电话13812345678", "电话[手机号]"),
        ("手机 138 1234 5678 张", "手机 [手机号] 张"),
        ("139-1234-5678", "[手机号]"),
        ("+86 138 1234 5678", "[手机号]"),
        ("86-13812345678/13912345678", "[手机号]/[手机号]"),
        ("tel:+8613812345678", "tel:[手机号]"),
    ],
    "qq": [
        ("QQ：12345678", "QQ：[QQ号]"),
        ("加QQ群号 987654321 进群", "加QQ群号 [QQ号] 进群"),
        ("扣扣987654321", "扣扣[QQ号]"),
    ],
    "wechat": [
        ("加微信 xiaoming", "加微信 [微信号]"),
        ("微信号：li_ming", "微信号：[微信号]"),
        ("加V：mai88mai", "加V：[微信号]"),
        ("薇信abc1234", "薇信[微信号]"),
        ("vx abc1234，", "vx [微信号]，"),
        ("微信号12345678", "微信号[微信号]"),
    ],
}  # fmt: skip

LEFT_ALONE = [
    "全文共13812个字，投资13800000000元",
    "圆周率 3.14159265358979323846，0.13812345678",
    "订单号 20080808200812345678",
    "文件 a13812345678bc.jpg，/13812345678.html",
    "表 150 2003 2004 2005",
    "年份 2008 2009 2010 2011 2012",
    "Oracle 11.2.0.4，版本 5.60.134.12，Chrome 59.66.134.12，v59.66.134.12",
    "第 3.2.1.4 节，第 12.5.30.100 条，1.2.3.4.5",
    "内网 192.168.1.10，本机 127.0.0.1，示例 203.0.113.77",
    "时间 2008:08:08:20:00，std::vector，12:30:45:99",
    "示例 2001:db8:0:1::10",
    "图标 icon@2x.png，他说@小明，3@5",
    "身份证号110105194912310021，11010519491331002X",
    "编号 110105491231002，税务登记证号码：豫国税漯国字411102750722504 号",
    "| $27$ | $13384966760$ |",
    "号码6222021202000212344，1234 5678 9012 3456",
    "QQ2009 发布，QQ：10000人，QQ群 12345.6",
    "微信iPhone版，微信 Android，微信公众号：renminwang",
    "威信很高abcdefgh，wx.weixin.qq.com",
]


@pytest.mark.parametrize(
    ("kind", "text", "masked"),
    [(kind, *pair) for kind, pairs in MASKED.items() for pair in pairs],
)
def test_personal_data_is_replaced_and_counted(kind: str, text: str, masked: str) -> None:
    result = MASKER.mask(text)
    assert result.text == masked
    assert {name for name, count in result.counts.items() if count} == {kind}


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert MASKER.mask(text).text == text


def test_every_kind_has_a_setting_a_placeholder_and_examples() -> None:
    assert set(PersonalDataSettings.model_fields) == set(PERSONAL_DATA) == set(MASKED)
    for datum in PERSONAL_DATA.values():
        assert MASKER.mask(datum.placeholder).text == datum.placeholder


def test_kinds_that_are_off_are_not_looked_for() -> None:
    masker = PersonalDataMasker(PersonalDataSettings(phone="off"))
    result = masker.mask("13812345678，a@b.cn")
    assert result.text == "13812345678，[邮箱]"
    assert (result.counts["phone"], result.counts["email"]) == (0, 1)
    nothing = PersonalDataSettings(**dict.fromkeys(PERSONAL_DATA, "off"))
    batch = TextBatch.from_strings(["13812345678"])
    assert PersonalDataMasker(nothing).mask_batch(batch).texts.to_strings() == ["13812345678"]


def test_dropping_is_a_rule() -> None:
    settings = PersonalDataSettings(identity="drop")
    ((name, rule),) = settings.rules().items()
    assert (name, rule.signal, rule.max) == ("personal_identity", "personal_identity", 0)
    assert PersonalDataMasker(settings).mask("身份证11010519491231002X").counts["identity"] == 1


def test_check_digits_of_the_standards() -> None:
    assert identity_check_digit("11010519491231002") == "X"  # GB 11643, its example
    assert luhn_check_digit("7992739871") == "3"


PIECES = st.sampled_from(
    [pair[0] for pairs in MASKED.values() for pair in pairs]
    + LEFT_ALONE
    + ["\n", " ", "。", "1", "x", "文", "13812345678", "@", ".", ":", "号", "a@b.cn", "\r", "𠮷"]
)


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=4))
def test_a_batch_gives_what_single_texts_give(texts: list[str]) -> None:
    batch = MASKER.mask_batch(TextBatch.from_strings(texts))
    results = [MASKER.mask(text) for text in texts]
    assert batch.texts.to_strings() == [result.text for result in results]
    for kind, counts in batch.counts.items():
        assert counts.dtype == "int32"
        assert counts.tolist() == [result.counts[kind] for result in results]


@given(st.lists(PIECES, max_size=6).map("".join))
def test_only_candidates_change(line: str) -> None:
    for part in line.split("\n"):
        if not is_candidate(part):
            assert MASKER.mask(part).text == part


@pytest.mark.parametrize(
    "unit", ["1", "a.", "a@", "@a.", ":a", "1.1.1.", "QQ ", "微信：", "138 ", "....", "6222-"]
)
def test_time_is_in_proportion_to_length(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    start = time.process_time()
    MASKER.mask_batch(TextBatch.from_strings([text]))
    assert time.process_time() - start < 5


@pytest.mark.shared_data
@pytest.mark.skipif("PANGU_SHARED_DATA" not in os.environ, reason="needs real text")
def test_batches_equal_single_texts_on_real_text() -> None:
    folder = Path(os.environ["PANGU_SHARED_DATA"]) / "text"
    texts: list[str] = []
    for name in ("encyclopedia", "news", "lowquality_labelled"):
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for _, line in zip(range(2000), file, strict=False)]
    batch = MASKER.mask_batch(TextBatch.from_strings(texts))
    results = [MASKER.mask(text) for text in texts]
    assert batch.texts.to_strings() == [result.text for result in results]
    assert sum(sum(result.counts.values()) for result in results) > 0
    again = MASKER.mask_batch(batch.texts)
    assert sum(counts.sum() for counts in again.counts.values()) == 0
