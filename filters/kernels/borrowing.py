"""Arrays that compiled code may pass around without counting references to them.

Compiled code counts the references to an array with atomic instructions, in each function that it
hands the array to. A kernel of many small functions spends more than half of its time on that. So
its entry point borrows its arrays: the caller in Python holds them as long as the call lasts.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj


@intrinsic
def borrowed(_context: Any, array: types.Array) -> Any:
    """The same array, uncounted, of one type whether it may be written to or not.

    Only for contiguous arrays that the kernel's caller keeps alive.
    """
    result = types.Array(array.dtype, array.ndim, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = arrayobj.make_array(array)(context, builder, arguments[0])
        lent = arrayobj.make_array(result)(context, builder)
        arrayobj.populate_array(
            lent,
            data=given.data,
            shape=cgutils.unpack_tuple(builder, given.shape, array.ndim),
            strides=cgutils.unpack_tuple(builder, given.strides, array.ndim),
            itemsize=given.itemsize,
            meminfo=None,
        )
        return lent._getvalue()

    return result(array), generate
