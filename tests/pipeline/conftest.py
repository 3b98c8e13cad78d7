"""A recipe over the small crawl, and one finished run of it that tests may look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from crawl.build import Crawl

from runs import FinishedRun, run_recipe, write_recipe


@pytest.fixture(scope="session")
def recipe(crawl: Crawl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe over the small crawl."""
    return write_recipe(tmp_path_factory.mktemp("recipe"), crawl)


@pytest.fixture(scope="session")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """One undisturbed run with one worker; tests must not change it."""
    out = tmp_path_factory.mktemp("run") / "small"
    run_recipe(recipe, out)
    return FinishedRun(out, recipe)


@pytest.fixture
def copy_of_finished(
    finished: FinishedRun, recipe: Path, tmp_path: Path
) -> Callable[[], FinishedRun]:
    """Runs the recipe again in a place of its own, for tests that change the run."""

    def copy() -> FinishedRun:
        out = tmp_path / "small"
        run_recipe(recipe, out)
        return FinishedRun(out, recipe)

    return copy
