"""Hash functions that kernels share; those of stored keys must never change."""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import inlined


@inlined
def absorb(state, value):  # type: ignore[no-untyped-def]
    """The state of a running hash after one more value; its upper bits are the good ones.

    Args:
      state: uint64, 0 at the start.
      value: uint64.
    """
    return (state ^ value) * np.uint64(0xD6E8_FEB8_6659_FD93)


@inlined
def mix64(value):  # type: ignore[no-untyped-def]
    """The finalizer of SplitMix64 on a uint64: every input bit reaches every output bit."""
    value += np.uint64(0x9E37_79B9_7F4A_7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return value ^ (value >> np.uint64(31))


@inlined
def mix32(value):  # type: ignore[no-untyped-def]
    """The finalizer of MurmurHash3 on a uint32, with which datasketch's affine32 begins."""
    value ^= value >> np.uint32(16)
    value = np.uint32(value * np.uint32(0x85EB_CA6B))
    value ^= value >> np.uint32(13)
    value = np.uint32(value * np.uint32(0xC2B2_AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))
