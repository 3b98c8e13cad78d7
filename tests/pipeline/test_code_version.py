"""A stage's code version changes with behaviour, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline.code_version import code_version, imported_modules

BODY = """
def limit(value: float) -> bool:
    return value < 3
"""


def version_of(folder: Path, text: str, template: str = "<p>") -> str:
    """The version of a module with this text, seen by a fresh process."""
    folder.mkdir()
    (folder / "sample_module.py").write_text(text, encoding="utf-8")
    (folder / "page.html").write_text(template, encoding="utf-8")
    code = "from pipeline.code_version import code_version; print(code_version('sample_module'))"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    commented = BODY.replace(
        "    return value < 3", '    """Says whether."""\n\n    # Three.\n    return (value\n < 3)'
    )
    assert version_of(tmp_path / "a", BODY) == version_of(tmp_path / "b", commented)


def test_behaviour_and_data_files_count(tmp_path: Path) -> None:
    version = version_of(tmp_path / "a", BODY)
    assert version != version_of(tmp_path / "b", BODY.replace("3", "4"))
    assert version != version_of(tmp_path / "c", BODY, template="<div>")


def test_imports_of_project_modules_are_followed() -> None:
    assert {"filters.rules", "pipeline.parts"} <= imported_modules("pipeline.stages.decide")
    assert "apache_beam" not in imported_modules("pipeline.execution")


def test_releases_of_libraries_count() -> None:
    stage = "pipeline.stages.decide"
    assert code_version(stage) != code_version(stage, ["numpy"])
