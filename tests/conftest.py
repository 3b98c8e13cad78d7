"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

# Before a kernel is compiled: an index beyond an array is an error in tests.
os.environ.setdefault("NUMBA_BOUNDSCHECK", "1")

import pytest
from crawl.build import Crawl, describe_crawl
from hypothesis import settings

# No deadline for one example: the first one may have to compile a kernel.
settings.register_profile("kernels", deadline=None)
settings.load_profile("kernels")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compiles the kernels once, before workers would each do it."""
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and importlib.util.find_spec("numba"):
        subprocess.run([sys.executable, "-m", "filters.compile_kernels"], check=True)


@pytest.fixture(scope="session")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    """The small crawl of tests/crawl, built once: files by source, and every record's fate."""
    return describe_crawl(tmp_path_factory.mktemp("crawl"))
