"""Small generated documents of two kinds, for tests of classifiers."""

from __future__ import annotations

import random

from filters.classifier_training import Example

_GOOD = "研究表明这种方法能够提高模型的质量，历史学家认为城市的发展与河流有关。"
_BAD = "加微信领取优惠券，点击下载观看，代开发票手续费低，免费送手机！"


def documents(count: int = 60, seed: int = 1) -> list[Example]:
    """Positive and negative documents in turn, each a random run of characters of its kind."""
    random_ = random.Random(seed)
    return [
        Example(
            "".join(random_.choices(_GOOD if index % 2 else _BAD, k=random_.randint(5, 60))),
            bool(index % 2),
        )
        for index in range(count)
    ]
