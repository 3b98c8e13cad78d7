"""Documents through cleaning, measuring and rules outside of a run, by the code of its stages."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from filters.classifier import Classifier
from filters.classifier_settings import score_name
from filters.clean import Cleaner
from filters.kernels.text_batch import TextBatch
from filters.personal_data import PersonalDataMasker
from filters.personal_data_kinds import PERSONAL_DATA
from filters.rules import apply_rules
from filters.signals import Measurer
from pangu_settings import UserError
from pipeline.classifier_files import find_classifier
from pipeline.recipe import Recipe, resolve
from pipeline.stages.measure import slices, word_lists

KEPT, DROPPED = "kept", "dropped"


class DocumentFilter:
    """Cleans and judges documents as a run of the recipe would.

    Args:
      recipe: its cleaning, word lists, classifiers and rules; all rules apply.
      clean: whether texts are cleaned, or taken as they are.

    Raises:
      UserError: a word list or a model cannot be read, or a model is trained by the run itself.
    """

    def __init__(self, recipe: Recipe, clean: bool = True) -> None:
        self.recipe = recipe
        self.cleaner = Cleaner(recipe.clean)
        self.masker = PersonalDataMasker(recipe.personal_data)
        self.words = word_lists(recipe)
        self._clean = clean
        self._measurer = Measurer(self.words)
        self._classifiers = {name: _classifier(recipe, name) for name in recipe.classifiers}
        self.signals = pa.schema(
            [
                *self._measurer.schema,
                pa.field("traditional_share", pa.float32()),
                *(pa.field(f"personal_{kind}", pa.int32()) for kind in PERSONAL_DATA),
                *(pa.field(score_name(name), pa.float32()) for name in self._classifiers),
            ]
        )
        self.schema = pa.schema(
            [
                pa.field("text", pa.string()),
                *self.signals,
                pa.field("verdict", pa.string()),
                *(pa.field(name, pa.string()) for name in ("rule", "value", "limit")),
            ]
        )

    def judge(self, titles: pa.Array, texts: pa.Array) -> pa.RecordBatch:
        """What becomes of documents.

        Args:
          titles: string (n,), "" where there is none.
          texts: string (n,).

        Returns:
          n rows of `schema`: the text as cleaned, every signal, verdict, rule, value, limit.
        """
        documents = pa.RecordBatch.from_arrays([titles, texts], names=["title", "text"])
        batches = [self._judge(part) for part in slices(documents)]
        return pa.concat_batches(batches) if batches else self._judge(documents)

    def _judge(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        given = TextBatch.from_arrow(documents.column("text"))
        cleaned = (
            self.cleaner.clean_batch(given) if self._clean else self.cleaner.leave_batch(given)
        )
        masked = (
            self.masker.mask_batch(cleaned.texts) if self._clean else self.masker.leave_batch(given)
        )
        titles = TextBatch.from_arrow(documents.column("title"))
        share = (cleaned.traditional / np.maximum(1, cleaned.hanzi)).astype(np.float32)
        signals = pa.RecordBatch.from_arrays(
            [
                *self._measurer.measure_batch(titles, masked.texts).columns,
                pa.array(share),
                *map(pa.array, masked.counts.values()),
                *(pa.array(c.score_batch(masked.texts)) for c in self._classifiers.values()),
            ],
            schema=self.signals,
        )
        verdicts = apply_rules(self.recipe.rules, signals)
        outcome = pa.array(np.where(verdicts.kept, KEPT, DROPPED))
        reasons = [verdicts.rule, verdicts.value, verdicts.limit]
        columns = [masked.texts.to_arrow(), *signals.columns, outcome, *reasons]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _classifier(recipe: Recipe, name: str) -> Classifier:
    settings = recipe.classifiers[name]
    if settings.model is None:
        raise UserError(
            f"classifiers.{name} is trained by the run; name what a run has trained, as in "
            f"--set classifiers.{name}='{{model: RUN/classifiers/{name}.bin}}'"
        )
    path = resolve(recipe.root, settings.model)
    return find_classifier(path, settings.features, settings.label).load()
