"""Lines of the page are told from lines of the text, and the text is never taken for the page."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.navigation import MAX_CHARACTERS, NAVIGATION_RULES, TRIGGERS, navigation_rule

NAVIGATION = {
    "navigation_menu": [
        "分享到：微信 微博 QQ空间",
        "打印 | 关闭",
        "返回顶部",
        "字号：[大 中 小]",
        "登录 注册",
        "点赞 12 评论 3 转发",
        "上一页 1 2 3 下一页",
    ],
    "navigation_channels": [
        "首页 新闻 体育 财经 娱乐",
        "国内｜国际｜社会",
        "首页 归档 分类 标签 影音 友链",
    ],
    "navigation_links": [
        "公司简介 | 产品中心 | 人才招聘",
        "网站首页|公司简介|产品展示",
        "搜狐首页 - 新闻 - 体育 - 娱乐 - 财经",
    ],
    "navigation_path": [
        "您现在的位置：首页 > 新闻",
        "首页 >> 椅凳类",
        "新闻中心 > 国内 > 正文",
        "当前位置: 老桥",
        "网易首页 > 网易财经",
        "返回新闻首页",
    ],
    "navigation_pager": [
        "上一篇：春天来了",
        "共12页",
        "第3/12页",
        "1...4...9 下一页 到第几页",
    ],
    "related": ["相关阅读", "【热门文章】", "猜你喜欢：", "推荐阅读：老桥的故事"],
    "share": ["微信扫一扫关注我们", "长按识别二维码关注", "欢迎关注公众号：老桥"],
    "login": [
        "您需要登录后才可以发表评论",
        "还没有账号？立即注册",
        "登录并发表",
        "输入邮箱开始订阅，更博后通知！",
    ],
    "credit": [
        "（责任编辑：王小明）",
        "[ 责编：张倩 ]",
        "本文来源：新华网 作者：王小明",
        "原标题：老桥重开",
    ],
    "facts": [
        "时间：2019-09-26 10:09 来源：证券时报 作者：李在山",
        "发布时间：2019年9月26日",
        "浏览 128",
        "12人参与",
        "6小时前",
        "2019-09-26 10:30",
    ],
    "copyright": [
        "版权所有 © 2008 江潮网",
        "Copyright 2008 All Rights Reserved",
        "京ICP备00000000号",
    ],
    "notice": [
        "声明：本文不代表本站观点，转载请注明出处。",
        "图片来自网络，如有侵权，请联系删除。",
        "未经授权，严禁转载！",
        "违法和不良信息举报电话：010-00000000",
        "* 著作权归作者所有。商业转载请联系作者获得授权。",
        "本博客文章除特别声明外，均采用 CC0 1.0 协议。",
        "举报邮箱：jubao@example.com",
    ],
    "broken_part": [
        "点击查看大图",
        "加载中，请稍候...",
        ":D 一言句子获取中...",
        "您的浏览器版本过低，请升级",
    ],
}
TEXT = [
    "体育",
    "评论",
    "大",
    "2019年9月26日",
    "1 2 3 4",
    "12",
    "下一章我们将讨论这个问题。",
    "“上一页”他说。",
    "推荐给喜欢历史的朋友。",
    "上篇",
    "推荐：番茄炖牛腩",
    "他拥有这部小说的版权所有权。",
    "列夫·尼古拉耶维奇·托尔斯泰",
    "社会文化历史",
    "今年2月全国受理网络违法和不良信息举报1768.3万件",
    "如有侵权行为，应当承担民事责任。",
    "道路－桥梁－渡口",
    "北京 - 天津 - 济南 - 南京 - 上海",
    "他三年前来过这里。",
    "首页的设计很简单，只有一张照片和一行字。",
    "达成利他而有收益的爱 > 达成利他而无付出的爱",
    "cin >> x >> y;",
    "作者：李白",
    "注意：桥面湿滑。",
    "来源不明的快递，不要拆开。",
    "编辑部里坐着三个人。",
    "浏览网页的时候，他总是忘了时间。",
    "点击数越来越多，广告商很高兴。",
]


ALPHABET = st.characters(codec="gb2312")


def test_every_rule_has_an_example() -> None:
    assert list(NAVIGATION) == list(NAVIGATION_RULES)


@pytest.mark.parametrize(
    ("rule", "line"), [(rule, line) for rule, lines in NAVIGATION.items() for line in lines]
)
def test_navigation_is_recognised(rule: str, line: str) -> None:
    assert navigation_rule(line) == rule


@pytest.mark.parametrize(
    ("rule", "form"),
    [(name, form) for name, rule in NAVIGATION_RULES.items() for form in rule.forms],
)
def test_every_form_holds_a_trigger_of_its_rule(rule: str, form: str) -> None:
    """Otherwise lines of that form would never meet it."""
    kind = TRIGGERS.kinds[list(NAVIGATION_RULES).index(rule)]
    pattern = re.compile(form, re.ASCII)

    @given(st.from_regex(pattern, fullmatch=True, alphabet=ALPHABET))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    def holds_a_trigger(line: str) -> None:
        line = " ".join(line.split())
        if pattern.fullmatch(line) and (kind.in_sentences or not re.search("[。！？；]", line)):
            assert any(trigger in line for trigger in kind.triggers)

    holds_a_trigger()


@pytest.mark.parametrize("line", TEXT)
def test_text_is_left_alone(line: str) -> None:
    assert navigation_rule(line) is None


def test_a_paragraph_is_text_whatever_it_begins_with() -> None:
    assert navigation_rule("分享到：" + "微信 " * MAX_CHARACTERS) is None


@pytest.mark.parametrize(
    "piece",
    ["1", "首页", "更多", "- ", "> ", "| ", "a>", "[1] ", "阅读：", "本文", "分享到", "（", "版权"],
)
def test_no_line_takes_long(piece: str) -> None:
    line = (piece * MAX_CHARACTERS)[: MAX_CHARACTERS - 1] + "。"
    start = time.process_time()
    navigation_rule(line)
    assert time.process_time() - start < 0.1
