"""The report in a real browser: it fits phones and desks, and the console stays silent."""

from __future__ import annotations

import html as html_text
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up_run import CLASSIFIER_FACTS, ENCODINGS, SOURCES, recipe, write_run

from pipeline.report import gather_report, render_report
from pipeline.report.content import ClassifierSummary, RemovedForReason, ScoresOfSource

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--window-size=1600,1200",
]
WIDTHS = (390, 1440)

# The report runs no script, so a page around it measures it. A frame with `srcdoc` is of the
# same origin as its page, and its media queries see the width of the frame.
MEASURE = """
<!DOCTYPE html><meta charset="utf-8"><body><pre id="found"></pre>{frames}<script>
window.onload = () => {{
  const found = {{}};
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument;
    for (const details of page.querySelectorAll("details")) details.open = true;
    const shown = (element) => element.getClientRects().length > 0;
    found[frame.width] = {{
      width: page.documentElement.scrollWidth,
      sections: page.querySelectorAll("section").length,
      headings: page.querySelectorAll("section > h2").length,
      bars: [...page.querySelectorAll(".scores i")].filter((bar) => bar.clientHeight > 10).length,
      pictures: [...page.querySelectorAll("svg")].filter(shown).length,
      smallest: Math.min(...[...page.querySelectorAll("svg text")].filter(shown)
        .map((text) => text.getBoundingClientRect().height)),
    }};
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script></body>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH: apt-get install chromium"),
]


def browse(address: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


REMOVED = RemovedForReason("navigation_links", 31, (("crawl", 31),), ("首页 > 新闻 > 国内 " * 9,))
SCORES = tuple(
    ScoresOfSource(name, count, (0.001, 0.01, 0.5, 0.9, 1.0), tuple(range(20)))
    for name, count in SOURCES.items()
)
CLASSIFIER = ClassifierSummary("quality", "quality_score", "", CLASSIFIER_FACTS, SCORES)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """report/index.html of the made-up run."""
    run = write_run(tmp_path_factory.mktemp("browser"))
    path = run / "report" / "index.html"
    path.parent.mkdir()
    made = gather_report(str(run), recipe(), ENCODINGS, [REMOVED], [CLASSIFIER])
    path.write_text(render_report(made), encoding="utf-8")
    return path


def test_console_stays_silent(page: Path, tmp_path: Path) -> None:
    result = browse(page.as_uri(), tmp_path / "profile", "--dump-dom")
    assert "Where every page went" in result.stdout
    assert [line for line in result.stderr.splitlines() if "CONSOLE" in line] == []


def test_page_fits_its_window_and_stays_readable(page: Path, tmp_path: Path) -> None:
    report = html_text.escape(page.read_text(encoding="utf-8"))
    frames = "".join(
        f'<iframe width="{width}" height="900" srcdoc="{report}"></iframe>' for width in WIDTHS
    )
    around = tmp_path / "around.html"
    around.write_text(MEASURE.format(frames=frames), encoding="utf-8")
    result = browse(around.as_uri(), tmp_path / "profile", "--dump-dom")
    match = re.search(r'<pre id="found">(.*?)</pre>', result.stdout, re.DOTALL)
    assert match is not None
    found = json.loads(html_text.unescape(match[1]))
    for width in WIDTHS:
        measured = found[str(width)]
        assert measured["width"] <= width
        assert measured["headings"] == measured["sections"]
        # Three sources of twenty bins, of which the lowest are too low to be counted.
        assert 30 <= measured["bars"] < 60
        # Of each funnel one of the two pictures is shown: two for all sources, one for each.
        assert measured["pictures"] == 2 + 3 + 2
        assert measured["smallest"] >= 9
