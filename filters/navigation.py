"""Lines that belong to the page and not to its text: menus, paths, pagers, credits, notices.

PanGu-α identifies a page's navigation bar and removes it (§3.1.1 step 5) and does not say how. Here
every rule is a name and the forms that a line of its kind takes on Chinese pages. A line is
navigation only if all of it has one of these forms, so that a sentence which mentions 版权所有 or
上一页 stays. Lines are in simplified characters with half-width letters and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from filters.kernels import code_points
from filters.kernels.trigger_words import Kind, Triggers, possible_kinds
from filters.navigation_words import BUTTONS, CHANNELS, MENU_WORDS

# Longer lines are paragraphs, whatever they begin with.
MAX_CHARACTERS = 160


def any_of(words: Iterable[str]) -> str:
    """A form that fits one of the words, the longest that does."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_FONT_SIZE = r"字[号体][:： \[【]*(?:[大中小][ \]】\[【|/]*+){3}"
_BUTTON = f"{any_of(BUTTONS)}|{_FONT_SIZE}"
_MENU_WORD = any_of(MENU_WORDS)
_CHANNEL = any_of(CHANNELS)
# Headings of boxes that lead to other pages.
_RELATED = "|".join(
    [
        "相关(?:阅读|新闻|文章|推荐|链接|报道|专题|内容|资讯|主题|搜索|标签)|推荐(?:阅读|文章|新闻|视频)",
        "(?:延伸|更多|扩展)阅读|热门(?:推荐|文章|新闻|评论|标签|搜索|排行)|精彩(?:推荐|图片)|编辑推荐",
        "热点(?:推荐|新闻|图片)|最新(?:文章|新闻|评论|更新|发布|资讯)|(?:新闻|阅读|点击|文章)排行|猜你喜欢",
        "(?:今日|为您|为你)推荐|大家都在看|[您你]可能(?:还)?(?:喜欢|感兴趣.{0,4})|(?:文章|本文|本页)目录",
    ]
)
# Facts about an article that pages print above it.
_FACT = "|".join(
    [
        "(?:发布|发表|更新|发稿|录入|添加)?(?:时间|日期)|来源|作者|点击[数率量]?|浏览(?:[数量]|次数)?",
        "阅读(?:[数量]|次数)?|访问(?:量|次数)?|人气|评论数?|回复数?|点赞数?|字数|热度|编辑|字号|标签|分类",
    ]
)
_READERS = "点击|浏览|阅读|访问|人气|评论|回复|点赞"
_EDITOR = (
    "(?:责任|实习|值班|网络|文字|图文|执行)?编辑|责编|主编|校对|审核|审校|审稿|[终初复]审|监制|签发"
)

# What stands between the words of a bar, in front of them or behind. Possessive: never given back.
_BETWEEN = r"[\s|｜│┊·•,，、/／:：>＞»›\-—_\[\]【】()（）「」<＜《》#+&]"
GAP = f"{_BETWEEN}*+"
_SEPARATOR = f"{_BETWEEN}++"
_ITEM = rf"(?>{_BUTTON}|{_MENU_WORD}|\d+){GAP}"
_PLAIN = "[^。！？；]"  # no sentence ends here
_OPEN = r"[（(【\[*\s]*"
_SCAN = "(?:扫一扫|扫描|扫码|识别)"
_CLOCK = r"\d{4}[-/年.]\d{1,2}[-/月.]\d{1,2}日?\s*\d{1,2}[:：]\d{2}(?:[:：]\d{2})?"


@dataclass(frozen=True)
class NavigationRule:
    """One kind of line.

    Attributes:
      forms: regular expressions of which one fits the whole line.
      triggers: of one or two characters, separated by spaces. A line is compared with the forms
        only if it holds one of them; reading the others would take most of the time.
      in_sentences: whether lines with a sentence mark are compared with the forms.
      leading: whether only lines are compared that begin with a trigger, or with it after digits
        and what stands between the words of a bar.
    """

    forms: tuple[str, ...]
    triggers: str
    in_sentences: bool = False
    leading: bool = False


def _beginnings(*lists: list[str]) -> str:
    """The first two characters of every word, as triggers."""
    return " ".join(word[:2] for words in lists for word in words)


def _each_digit(pattern: str) -> str:
    """Triggers in which 0 stands for any digit."""
    return " ".join(pattern.replace("0", digit) for digit in "0123456789")


NAVIGATION_RULES: dict[str, NavigationRule] = {
    # 分享到: 微信 微博 QQ空间 · 打印 | 关闭
    "navigation_menu": NavigationRule(
        (
            rf"(?={GAP}(?:{_ITEM})++\Z)"
            rf"(?:{GAP}(?>{_MENU_WORD})(?:{GAP}\d+)?{GAP}(?>{_MENU_WORD})|.*(?:{_BUTTON})).*",
        ),
        triggers=_beginnings(BUTTONS, MENU_WORDS) + " 字号 字体",
        leading=True,
    ),
    # 首页 新闻 体育 财经
    "navigation_channels": NavigationRule(
        (
            rf"{GAP}(?>{_CHANNEL})(?:{_SEPARATOR}(?>{_CHANNEL})){{2,}}+"
            # One or two words that no list knows may stand among them.
            rf"(?:{_SEPARATOR}\S{{1,4}}(?:{_SEPARATOR}(?>{_CHANNEL}))++){{0,2}}{GAP}",
        ),
        triggers=_beginnings(CHANNELS),
        leading=True,
    ),
    # 公司简介 | 产品中心 | 联系方式
    "navigation_links": NavigationRule(
        (
            r"(?:[^\s|｜│┊。！？；，]{1,10}\s*[|｜│┊]\s*){2,}[^\s|｜│┊。！？；，]{1,10}",
            r"[^\s。！？；，-]{0,6}首页 - (?:[^\s。！？；，-]{1,10} - ){3,}[^\s。！？；，]{1,10}",
        ),
        triggers="| ｜ │ ┊ 首页",
    ),
    # 您现在的位置: 首页 > 新闻 · 首页 > 椅凳类 · 新闻中心 > 国内 > 正文
    "navigation_path": NavigationRule(
        (
            rf"[您你]?(?:现在|当前|目前|所在){{1,2}}的?位置是?\s*[:：]{_PLAIN}{{0,80}}",
            rf"[^\s，。！？；]{{0,6}}首页\s*(?:[>＞»›→]+|-{{2,}}|::){_PLAIN}{{0,80}}",
            "(?:返回|进入|回到).{1,8}首页",
            r"(?:[^\s>＞»›。！？，；=]{1,10}\s*(?:[>＞]{1,2}|»|›)\s*)+(?:正文|详情|详细内容|查看)",
        ),
        triggers="位置 首页 > ＞ » ›",
    ),
    # 上一篇: 春天来了 · 共12页 · 3/12页 · 1 2 3 4 下一页
    "navigation_pager": NavigationRule(
        (
            r"[\[【（(<《«]*\s*[上下前后](?:一[篇页章条节]|页)\s*(?:文章|新闻|信息)?\s*[\]】）)>》»]*\s*"
            rf"(?:[:：|]{_PLAIN}{{0,80}})?",
            rf"共\s*\d+\s*[页条篇](?:{_PLAIN}{{0,30}}(?:[页条]|上一?页|下一?页))?",
            r"第?\s*\d+\s*/\s*\d+\s*页",
            r"(?:\[?\d{1,4}\]?[\s|.…]+){2,}\[?\d{0,4}\]?[\s|]*(?:下一页|下页|尾页|末页)"
            rf"{_PLAIN}{{0,10}}",
        ),
        triggers="上一 下一 前一 后一 上页 下页 前页 后页 尾页 末页 共_ _页 "
        + _each_digit("共0 0页"),
    ),
    # 【相关阅读】
    "related": NavigationRule(
        (
            rf"[【\[●■◆★·•▪>»#]*\s*(?:{_RELATED})\s*[】\]:：>»…]*",
            rf"(?:推荐|相关|延伸|更多|扩展)阅读\s*[:：]{_PLAIN}{{0,60}}",
        ),
        triggers="相关 推荐 阅读 热门 精彩 热点 最新 排行 猜你 都在 喜欢 感兴 目录",
    ),
    # 分享: … · 微信扫一扫关注 · 欢迎关注公众号…
    "share": NavigationRule(
        (
            rf"(?:分享|转发|收藏)(?:到|至|给|本文|此文)?\s*[:：]{_PLAIN}{{0,40}}",
            rf"(?:长按|微信|手机|用微信)?.{{0,6}}{_SCAN}.{{0,16}}(?:二维码|关注|下载|阅读|分享).{{0,16}}",
            r"(?:欢迎|点击|请|敬请)?(?:扫码|搜索)?关注.{0,16}(?:公众号|微信号?|微博)\s*[:：]?"
            rf"{_PLAIN}{{0,20}}",
            "(?:喜欢|觉得|如果).{0,20}打赏.{0,12}",
            "(?:免费)?下载.{1,12}客户端|.{1,12}客户端下载",
        ),
        triggers="分享 转发 收藏 扫一 扫描 扫码 识别 众号 微信 微博 打赏 户端",
        in_sentences=True,
    ),
    # 您需要登录后才可以发表评论 · 还没有账号? 立即注册
    "login": NavigationRule(
        (
            r"[您你]?(?:需要|还没|尚未|请|您好)?.{0,6}登[录陆](?:后|之后|才能|以后).{0,16}"
            "(?:评论|回复|回帖|发言|查看|发表|留言|下载|浏览).{0,12}",
            ".{0,12}没有[账帐]号.{0,12}(?:注册|登[录陆]).{0,12}",
            "(?:文明上网.{0,3})?登[录陆]并?(?:发[表贴帖言]|评论|回复)",
            "输入.{0,6}邮箱.{0,12}订阅.{0,16}",
            "(?:目前|暂时|暂|还)?没有(?:热门)?(?:跟[贴帖]|评论).{0,16}",
        ),
        triggers="登录 登陆 账号 帐号 邮箱 跟贴 跟帖 有评 门评",
        in_sentences=True,
    ),
    # (责任编辑: 王小明) · 本文来源: 新华网 · 原标题: …
    "credit": NavigationRule(
        (
            rf"{_OPEN}(?:本文|本站|文章|稿件)?(?:{_EDITOR})\s*[:：／/丨|]\s*{_PLAIN}{{0,50}}",
            rf"{_OPEN}(?:原标题|原题|(?:文章|本文|稿件|信息|新闻|资料)?来源|稿源|供稿|原文链接|原文地址"
            rf"|本文链接|本文标题|本文作者)\s*[:：]\s*{_PLAIN}{{0,80}}",
        ),
        triggers="编辑 责编 主编 校对 审核 审校 审稿 终审 初审 复审 监制 签发 标题 原题 来源 "
        "稿源 供稿 原文 本文",
    ),
    # 时间: 2019-09-26 来源: … · 浏览 128 · 12 条评论 · 2019-09-26 10:30
    "facts": NavigationRule(
        (
            rf"(?:{_FACT})\s*[:：]{_PLAIN}{{0,30}}?(?:{_FACT})\s*[:：]{_PLAIN}{{0,60}}",
            r"(?:发布|发表|更新|发稿|录入|添加)(?:时间|日期|于)\s*[:：]?\s*[\d\s年月日时分秒:：/.\-]+"
            rf"{_PLAIN}{{0,20}}",
            rf"(?:{_READERS})(?:[数率量]|次数)?\s*[:：]?\s*[(（\[]?\s*\d+\s*次?\s*[)）\]]?",
            rf"\d+\s*[次人个条]?(?:{_READERS}|人?参与|人?跟[贴帖]|人喜欢|人赞同)(?:评论)?",
            r"\d+\s*(?:秒钟?|分钟|小时|天|周|个?月|年)前",
            rf"{_CLOCK}(?:\s*(?:来源|作者)?\s*[:：]?\s*[^\s。！？；]{{0,16}}){{0,2}}",
        ),
        triggers="时间 日期 来源 作者 点击 浏览 阅读 访问 人气 评论 回复 点赞 字数 热度 编辑 字号 "
        "标签 分类 布于 表于 新于 稿于 入于 加于 参与 跟帖 跟贴 人喜 人赞 "
        "秒前 钟前 时前 天前 周前 月前 年前 " + _each_digit("0: 0："),
    ),
    # 版权所有 © 2008 某某公司 京ICP备… · 增值电信业务经营许可证…
    "copyright": NavigationRule(
        (
            r".{0,60}(?:(?:^|[\s(（])©|©\s*\d{4}|[Cc]opyright|COPYRIGHT"
            "|[Aa]ll [Rr]ights [Rr]eserved|ALL RIGHTS RESERVED"
            r"|版权所有(?![权人者])|版权归.{1,20}所有|ICP\s*[备证许\d]|公网安备"
            "|(?:增值电信业务|网络文化|出版物|广播电视节目制作).{0,8}经营许可证"
            "|信息网络传播视听节目许可证"
            "|互联网(?:新闻信息服务|出版|药品信息).{0,6}(?:许可证|资格证)).{0,90}",
        ),
        triggers="© yr YR rv RV 版权 IC 网安 可证 格证",
        in_sentences=True,
    ),
    # 声明: 本文不代表本站观点 · 转载请注明出处 · 如有侵权, 请联系删除
    "notice": NavigationRule(
        (
            rf"{_OPEN}(?:(?:特别|郑重|版权|免责|转载|风险|本站|原创)?(?:声明|提示)|注意?)"
            r"\s*[】\])）]*\s*[:：].{0,60}"
            "(?:不代表|转载|侵权|版权|投资建议|与本[站网]无关|[文责]责?自负).{0,90}",
            "(?:本[文站网]|凡本[网站]|文章|图片|以上内容|部分(?:图片|内容|文字)|本(?:页面|平台|公众号))"
            ".{0,40}(?:仅代表作者|不代表本|不代表.{0,12}(?:观点|立场)|转载[自请须时需]|[如若]有侵权"
            "|侵权.{0,6}删除|未经.{0,12}不得|版权(?:属|归)|仅供.{0,8}(?:参考|学习)).{0,90}",
            "(?:[如若]有?侵权|侵权|涉及版权).{0,30}(?:删除|删|联系|处理).{0,40}",
            "(?:未经.{0,16}(?:授权|许可|允许|同意)|转载).{0,8}(?:不得|请注明|须注明|请保留|请联系|禁止|严禁"
            "|务必注明).{0,60}",
            ".{0,24}[如若]有侵权.{0,20}(?:删除|联系|处理|告知|留言).{0,20}",
            ".{0,4}著作权归.{1,20}所有.{0,8}(?:转载|使用).{0,60}",
            ".{0,20}除(?:特别|另有)(?:声明|说明)外.{0,60}(?:协议|许可).{0,20}",
            ".{0,20}不良信息举报(?:中心|电话|热线|邮箱|网|平台|入口)?"
            r"\s*(?:[:：|].{0,80}|[A-Za-z |]{0,40})",
            r"举报(?:邮箱|电话|热线)\s*[:：].{0,60}",
            "网友评论仅供.{0,60}",
            "(?:本文|文章)?由.{1,20}(?:发布|上传).{0,10}(?:本平台|本站)仅提供.{0,30}",
        ),
        triggers="不代 转载 侵权 版权 作权 明外 资建 与本 自负 仅代 未经 不良 举报 仅供 仅提",
        in_sentences=True,
    ),
    # 点击查看大图 · 加载中… · 您的浏览器版本过低
    "broken_part": NavigationRule(
        (
            "点击(?:图片)?(?:查看|进入|这里|此处|观看|下载|阅读).{0,16}",
            "(?:图片?加载中|正在加载|加载中|载入中|请稍[候后]).{0,16}|.{0,12}(?:加载|获取|载入)中[.…。]*",
            "[您你]的浏览器(?:版本)?(?:过低|不支持|已禁用|未启用|太旧).{0,40}",
        ),
        triggers="点击 加载 载入 取中 请稍 的浏",
        in_sentences=True,
    ),
}


TRIGGERS = Triggers(
    kinds=[
        # An underscore stands for a space.
        Kind(
            frozenset(t.replace("_", " ") for t in rule.triggers.split()),
            rule.in_sentences,
            rule.leading,
        )
        for rule in NAVIGATION_RULES.values()
    ],
    sentence_marks=frozenset("。！？；"),
    most_characters=MAX_CHARACTERS,
    ignored=frozenset(map(chr, np.flatnonzero(code_points.matching(rf"{_BETWEEN}|[0-9]")))),
)
COMPILED_RULES = [
    (1 << bit, name, re.compile("|".join(f"(?:{form})" for form in rule.forms), re.ASCII))
    for bit, (name, rule) in enumerate(NAVIGATION_RULES.items())
]


def navigation_rule(line: str) -> str | None:
    """Returns the name of the rule by which a line is navigation, None for a line of text.

    Args:
      line: trimmed, in simplified characters.
    """
    return first_rule(line, possible_kinds(line, TRIGGERS))


def first_rule(line: str, kinds: int) -> str | None:
    """`navigation_rule` of a line whose possible kinds (by TRIGGERS) are known."""
    for name, pattern in _rules_of(kinds):
        if pattern.fullmatch(line):
            return name
    return None


@cache
def _rules_of(kinds: int) -> list[tuple[str, re.Pattern[str]]]:
    return [(name, pattern) for bit, name, pattern in COMPILED_RULES if kinds & bit]
