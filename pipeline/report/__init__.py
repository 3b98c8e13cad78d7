"""The report: one HTML page and a data card that say what became of every input page.

`gather_report` reads a finished run's files in bounded memory, `render_report` and
`render_data_card` turn what it found into text whose bytes depend on the run alone.
"""

from pipeline.report.classifiers import summarise_classifiers
from pipeline.report.cleaning import removed_for_reasons
from pipeline.report.content import ReportInput
from pipeline.report.datacard import render_data_card
from pipeline.report.gather import gather_report
from pipeline.report.render import render_report

__all__ = [
    "ReportInput",
    "gather_report",
    "removed_for_reasons",
    "render_data_card",
    "render_report",
    "summarise_classifiers",
]
