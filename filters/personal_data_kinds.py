"""The kinds of personal data: how each is recognised, and what takes its place.

Each kind has a pattern and a test of what the pattern finds: a checksum, a calendar, ranges, the
words around it. All patterns stay within a line and take time in proportion to its length.
Placeholders are Chinese words in brackets: a vocabulary has them, they say what stood there, and
nobody can take them for a number or an address that belongs to someone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from filters.kernels.personal_data import LONGEST_LINK, SHORTEST_NAME


@dataclass(frozen=True)
class PersonalDatum:
    """One kind of personal data.

    Attributes:
      placeholder: what takes its place.
      pattern: finds it. A group called `it` is what is replaced, without it the whole match.
      accepts: tests what the pattern found.
    """

    placeholder: str
    pattern: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool]


# --- Mail -------------------------------------------------------------------------------------

# `icon@2x.png` is a file.
_FILE_ENDINGS = ("png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "ico", "css", "js", "html")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[._%+-]*(?P<it>[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}[@＠]"
    r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?P<last>[A-Za-z]{2,24}))(?![A-Za-z0-9-])"
)


def _is_email(match: re.Match[str]) -> bool:
    return match["last"].lower() not in _FILE_ENDINGS


# --- Network addresses ------------------------------------------------------------------------

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP_ADDRESS = re.compile(
    rf"(?<![0-9A-Za-z._])(?<![A-Za-z]-){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9A-Za-z_]|\.[0-9A-Za-z])"
    r"|(?<![0-9A-Za-z.:_-])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{3,34}(?![0-9A-Za-z.:])"
)
_NETWORK_WORDS = re.compile(
    r"地址|服务器|主机|网关|代理|域名|解析|登录|来自|://"
    r"|(?<![A-Za-z])(?:IP(?:v4)?|dns|host|server|proxy|ping|ssh|from)(?![A-Za-z])",
    re.IGNORECASE,
)
# A Latin word right before four numbers is what has this version; 第 begins a section's number.
_VERSION_WORDS = re.compile(
    r"第$|版|固件|驱动|补丁|ver\b|version|build|release|[A-Za-z]\.?$", re.IGNORECASE
)
# Addresses of nobody: private, shared, local, for documentation (RFC 6890), multicast, reserved.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3", "2001:db8::/32",
    )
)  # fmt: skip
_CONTEXT = 16
# Parts of a version are small: 11.2.0.4 is a release of Oracle, 59.66.134.12 a host.
_LARGE_PART = 20


def _is_ip_address(match: re.Match[str]) -> bool:
    """A public address; a dotted one must also not read like a version or a section's number."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if address.version == 6:
        return match[0].count(":") >= 3
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()]
    if _NETWORK_WORDS.search(before):
        return True
    if _VERSION_WORDS.search(before.rstrip()):
        return False
    return sum(int(part) >= _LARGE_PART for part in match[0].split(".")) >= 2


# --- Identity numbers -------------------------------------------------------------------------

# GB/T 2260: the first two digits are a province; 71 to 83 are Taiwan, Hong Kong and Macau.
_REGION = "1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]"
_IDENTITY = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?:{_REGION})[0-9]{{4}}(?P<gap>[ -]?)(?P<born>(?:19|20)[0-9]{{6}})"
    rf"(?P=gap)[0-9]{{3}}[0-9Xx]|(?:{_REGION})[0-9]{{4}}(?P<old_born>[0-9]{{6}})[0-9]{{3}})"
    r"(?![0-9A-Za-z])"
)
_IDENTITY_WORDS = re.compile("身份|证件")


def _is_identity(match: re.Match[str]) -> bool:
    """GB 11643: division, date of birth, serial number and, in 18 digits, a check digit.

    The 15 digits of before 1999 have none, so they count after a word for them only.
    """
    if match["old_born"]:
        before = match.string[max(0, match.start() - _CONTEXT) : match.start()]
        return _is_date(f"19{match['old_born']}") and _IDENTITY_WORDS.search(before) is not None
    return _is_date(match["born"]) and identity_check_digit(match[0]) == match[0][-1].upper()


def identity_check_digit(number: str) -> str:
    """ISO 7064 MOD 11-2 of the first seventeen digits of an identity number: 0 to 9, or X."""
    digits = [int(digit) for digit in number if digit.isdigit()][:17]
    total = sum(digit * pow(2, 17 - index, 11) for index, digit in enumerate(digits))
    return "10X98765432"[total % 11]


def _is_date(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


# --- Bank cards -------------------------------------------------------------------------------

_BANK_CARD = re.compile(
    r"(?<![0-9A-Za-z_=])(?<![0-9][.-])(?:[0-9]{13,19}|(?<![0-9][ ])[0-9]{4}(?P<gap>[ -])"
    r"[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}(?:(?P=gap)[0-9]{1,3})?(?![ -][0-9]))"
    r"(?![0-9A-Za-z_]|\.[0-9A-Za-z])"
)
# Issuers by first digits, and how long their numbers are: UnionPay, older cards of Chinese banks,
# Visa, MasterCard, American Express, JCB.
_ISSUERS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("62",), (16, 17, 18, 19)),
    (("9558", "4563", "6013", "6014", "6032", "9843"), (16, 18, 19)),
    (("4",), (13, 16)),
    (("51", "52", "53", "54", "55"), (16,)),
    (("34", "37"), (15,)),
    (("352", "353", "354", "355", "356", "357", "358"), (16,)),
)


def _is_bank_card(match: re.Match[str]) -> bool:
    number = re.sub("[ -]", "", match[0])
    known = any(number.startswith(starts) and len(number) in long for starts, long in _ISSUERS)
    return known and luhn_check_digit(number[:-1]) == number[-1]


def luhn_check_digit(digits: str) -> str:
    """The digit that ISO/IEC 7812-1 puts after these."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


# --- Telephones -------------------------------------------------------------------------------

# Mobile numbers only: a number with an area code is nearly always that of an office or a shop.
_PHONE = re.compile(
    r"(?<![0-9a-fA-F_=$])(?<![0-9][.-])(?P<country>(?:\+|00)?86[ -]?|\(\+?86\) ?)?"
    r"(?:1[3-9][0-9]{9}|(?(country)|(?<![0-9][ ]))1[3-9][0-9](?P<gap>[ -])[0-9]{4}"
    r"(?P=gap)[0-9]{4}(?![ -][0-9]))"
    r"(?![0-9a-fA-F_]|\.[0-9A-Za-z])"
)


def _is_phone(match: re.Match[str]) -> bool:
    return not match[0].endswith("000000")  # a sum of money


# --- Accounts of chat services ----------------------------------------------------------------

_LINK = rf"(?P<link>[号码群是为加我的联系:： ./（(【\[，,、~—|-]{{0,{LONGEST_LINK}}})"
# 「QQ2009」 is a program, 「QQ：10000人」 a crowd.
_QQ = re.compile(
    rf"(?:[Qq][Qq]|扣扣|企鹅){_LINK}(?P<it>[1-9][0-9]{{4,10}})"
    r"(?![0-9A-Za-z_%]|[.,][0-9]|[万亿元人名个年月])"
)
_WECHAT = re.compile(
    r"(?:加?我?(?:[微薇威]信|(?<![A-Za-z])(?:[Vv][Xx信]|[Ww][Xx]|[Ww]e(?:chat|ixin)))|加[Vv微])"
    rf"{_LINK}(?P<it>[A-Za-z0-9][A-Za-z0-9_-]{{{SHORTEST_NAME - 1},19}})"
    r"(?![A-Za-z0-9_@-]|\.[A-Za-z])"
)


def _is_qq(match: re.Match[str]) -> bool:
    """The words around it are all there is to test, and the pattern has them."""
    return True


def _is_wechat(match: re.Match[str]) -> bool:
    """A name of 6 to 20 characters with a digit in it; any other after 加, 号 or a colon only."""
    name = match["it"]
    is_said = match[0][0] == "加" or any(mark in match["link"] for mark in "号:：")
    if name.isdigit():
        return is_said and len(name) <= 11
    is_name = name[0].isalpha() and len(name) > SHORTEST_NAME
    return is_name and (is_said or any(character.isdigit() for character in name))


# In the order in which they are looked for: a mail address may hold a telephone number.
PERSONAL_DATA: dict[str, PersonalDatum] = {
    "email": PersonalDatum("[邮箱]", _EMAIL, _is_email),
    "ip_address": PersonalDatum("[IP地址]", _IP_ADDRESS, _is_ip_address),
    "identity": PersonalDatum("[身份证号]", _IDENTITY, _is_identity),
    "bank_card": PersonalDatum("[银行卡号]", _BANK_CARD, _is_bank_card),
    "phone": PersonalDatum("[手机号]", _PHONE, _is_phone),
    "qq": PersonalDatum("[QQ号]", _QQ, _is_qq),
    "wechat": PersonalDatum("[微信号]", _WECHAT, _is_wechat),
}
