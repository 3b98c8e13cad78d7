"""What is done to one page or one column of numbers: pure functions, no files, no Beam.

In the order of the road: bytes to characters (`encoding`), a page to its main text (`main_text`,
with `page_title`), cleaning (`clean`, with `traditional` and `navigation`), numbers
about a text (`signals`, with `word_lists`), limits on them (`rules`, `presets`). What finds
duplicates (`minhash`, `duplicates`, `addresses`) is imported by module.
"""

from filters.clean import REMOVAL_REASONS, CleanedText, Cleaner, CleanSettings
from filters.encoding import DecodedPage, UndecodableError, decode_page
from filters.folding import fold
from filters.main_text import ExtractionError, MainText, extract_main_text
from filters.presets import Preset, load_preset, preset_names
from filters.rules import Rule, Verdicts, apply_rules, explain_rule
from filters.signals import SIGNALS, Measurer, Signal
from filters.word_lists import WORD_LISTS, load_word_list

__all__ = [
    "REMOVAL_REASONS",
    "SIGNALS",
    "WORD_LISTS",
    "CleanSettings",
    "CleanedText",
    "Cleaner",
    "DecodedPage",
    "ExtractionError",
    "MainText",
    "Measurer",
    "Preset",
    "Rule",
    "Signal",
    "UndecodableError",
    "Verdicts",
    "apply_rules",
    "decode_page",
    "explain_rule",
    "extract_main_text",
    "fold",
    "load_preset",
    "load_word_list",
    "preset_names",
]
