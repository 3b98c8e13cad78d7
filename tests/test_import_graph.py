"""Rooms import along the arrows of the architecture only, and halves install apart."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = {"pipeline", "filters", "tokenizer", "training", "dags"}
ARROWS = {
    "pipeline": {"filters", "tokenizer"},
    "filters": set(),
    "tokenizer": set(),
    "training": {"tokenizer"},
    "dags": {"pipeline"},
}
FORBIDDEN_LIBRARIES = {
    "filters": {"apache_beam", "torch"},
    "pipeline": {"torch"},
    "tokenizer": {"apache_beam", "torch"},
    "training": {"apache_beam", "pyarrow", "fastwarc", "jinja2"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


def test_rooms_import_along_the_arrows_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room, allowed in ARROWS.items()
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in sorted(imports(path) & ROOMS - {room} - allowed)
    ]
    assert wrong == []


def test_rooms_do_not_know_the_other_halfs_libraries() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room, forbidden in FORBIDDEN_LIBRARIES.items()
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in sorted(imports(path) & forbidden)
    ]
    assert wrong == []


def test_every_room_is_there() -> None:
    assert all((ROOT / room / "__init__.py").is_file() for room in ROOMS - {"dags"})
