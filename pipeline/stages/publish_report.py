"""Stage *report*: the page that shows what happened to every document, and the data card."""

from __future__ import annotations

from typing import Any

from pipeline import storage
from pipeline.recipe import Recipe
from pipeline.run_directory import MANIFEST
from pipeline.stage import Outcome, Stage, StageRun

NAME = "report"
REPORT = "report/index.html"
DATA_CARD = "datacard.md"


def _run(run: StageRun) -> Outcome:
    # Drawing takes a third of a second to import, which no other stage should wait for.
    from pipeline.report import (
        gather_report,
        removed_for_reasons,
        render_data_card,
        render_report,
        summarise_classifiers,
    )

    facts = {
        name: storage.read_json(storage.join(run.inputs[name], MANIFEST))["facts"]
        for name in ("extract", "clean", "classify")
    }
    gathered = gather_report(
        run.run_folder,
        run.recipe,
        facts["extract"]["encodings"],
        removed_for_reasons(facts["clean"]["removed_lines"]),
        summarise_classifiers(
            run.inputs["classify"], run.recipe, run.parts, facts["classify"]["classifiers"]
        ),
    )
    files = [
        storage.write_text(storage.join(run.folder, REPORT), render_report(gathered), REPORT),
        storage.write_text(
            storage.join(run.folder, DATA_CARD), render_data_card(gathered), DATA_CARD
        ),
    ]
    return Outcome({}, files)


def _settings(recipe: Recipe) -> Any:
    # The page shows the whole recipe, so any change of it is a change of the page.
    return recipe.model_dump(mode="json")


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("extract", "clean", "classify", "mix", "tokenizer", "shards"),
    settings=_settings,
    run=_run,
    libraries=("jinja2", "matplotlib"),
    publishes={"report": "report", DATA_CARD: DATA_CARD},
)
