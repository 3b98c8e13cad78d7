"""How kernels are compiled, and where the compiled code is kept.

numba compiles a kernel when it is first called and keeps the machine code in a folder of the user.
Its own check of what is stale looks at one source file only, not at the kernels which that file
calls, nor at whether bounds are checked. So the folder is named by a digest of all of that.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

_FOLDER = Path(__file__).parent
_CONFIG: Any = numba.config
_IMPORT = re.compile(r"filters\.kernels\.(\w+)")
# Written when every kernel has been compiled once.
_FINISHED = "compiled"


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function when it is first called; later processes load it from the cache.

    The function may use numbers, tuples and arrays only. Division by zero gives inf or nan, as in
    numpy. Other threads run while it does.
    """
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that becomes part of those that call it, for what the innermost loops call."""
    return _compile(function, forceinline=True)


def _compile(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    # numba asks where the cache is when it meets the function.
    module = function.__module__.rpartition(".")[2]
    _CONFIG.CACHE_DIR = str(cache_folder(_digest(_reached_from(module))))
    decorate = numba.njit(cache=True, nogil=True, error_model="numpy", **options)
    compiled: Callable[..., Any] = decorate(function)
    return compiled


@cache
def cache_folder(name: str) -> Path:
    """A folder of compiled kernels: below NUMBA_CACHE_DIR, the user's cache or a temporary one.

    Compiled code is loaded without a check of what it does, so a folder that another user could
    have filled is never taken.
    """
    for base in _candidates():
        folder = base / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
        except OSError:
            continue
        is_mine = not hasattr(os, "getuid") or state.st_uid == os.getuid()
        if is_mine and not state.st_mode & stat.S_IWOTH and os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="pangu-alpha-kernels-"))


# Before this module changes it: what the user asked for.
_GIVEN_FOLDER = os.environ.get("NUMBA_CACHE_DIR")


def _candidates() -> list[Path]:
    if _GIVEN_FOLDER:
        return [Path(_GIVEN_FOLDER)]
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return [
        home_cache / "pangu-alpha" / "kernels",
        Path(tempfile.gettempdir()) / f"pangu-alpha-kernels-{user}",
    ]


def all_compiled() -> bool:
    """Whether every kernel is in the cache, so that nothing has to be compiled."""
    return (_all_kernels_folder() / _FINISHED).exists()


def note_all_compiled() -> None:
    """Remembers that every kernel is in the cache."""
    (_all_kernels_folder() / _FINISHED).touch()


def _all_kernels_folder() -> Path:
    return cache_folder(_digest(frozenset(path.stem for path in _FOLDER.glob("*.py"))))


@cache
def _reached_from(module: str) -> frozenset[str]:
    """The kernel modules that a module imports, at any depth, and itself."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _FOLDER / f"{name}.py"
        if name not in reached and path.exists():
            reached.add(name)
            waiting.extend(_IMPORT.findall(path.read_text(encoding="utf-8")))
    return frozenset(reached)


@cache
def _digest(modules: frozenset[str]) -> str:
    """Of the modules' sources, numba's release and whether bounds are checked."""
    digest = hashlib.sha256(f"{numba.__version__}\0{_CONFIG.BOUNDSCHECK}\0".encode())
    for name in sorted(modules):
        digest.update(f"{name}\0".encode() + (_FOLDER / f"{name}.py").read_bytes() + b"\0")
    return digest.hexdigest()[:16]
