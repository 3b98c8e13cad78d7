"""The version of a stage's code: a digest of its module, the project modules below it, their data.

A version number kept by hand is forgotten on the day it matters. Comments, docstrings and layout
do not count, so that only a change of behaviour makes finished work stale.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOMS = ("pipeline", "filters", "tokenizer")
DATA_SUFFIXES = (".html", ".css", ".txt", ".yaml")


def code_version(module: str, libraries: Iterable[str] = ()) -> str:
    """Digest of a module, of the project's modules that it imports, and of library releases.

    Args:
      module: dotted name, such as `pipeline.stages.extract`.
      libraries: distributions whose release changes what the stage writes.

    Returns:
      16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(f"{name}\0{_behaviour(name)}\0".encode())
        for path in _data_files(name):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library in sorted(libraries):
        digest.update(f"{library}=={importlib.metadata.version(library)}\0".encode())
    return digest.hexdigest()[:16]


@cache
def imported_modules(module: str) -> frozenset[str]:
    """The project's modules that a module imports directly, at any depth of its code."""
    tree = _tree(module)
    package = module if _path(module).name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name.partition(".")[0] in ROOMS and _is_module(name))


def _closure(module: str) -> set[str]:
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(imported_modules(name))
    return reached


def _data_files(module: str) -> list[Path]:
    """Files beside a module that it may read, such as a page template."""
    siblings = _path(module).parent.iterdir()
    return sorted(path for path in siblings if path.suffix in DATA_SUFFIXES)


@cache
def _is_module(name: str) -> bool:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return False
    return found is not None and found.origin is not None and found.origin.endswith(".py")


def _path(module: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(module)
    return Path(found.origin)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


@cache
def _behaviour(module: str) -> str:
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_docstring(statement)]
    return ast.dump(tree)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
