"""The data half: a recipe becomes a corpus, a tokenizer, shards and a report.

Stages are thin Beam transforms over the pure functions of `filters/`; each has a module of its own
(`extract`, `clean`, `measure`, `decide`, `deduplicate`, `deduplicate_lines`, `decontaminate`,
`mix`, `index_corpus`, `train_tokenizer`, `write_shards`, `publish_report`), and `run` strings them
together. `recipe` is the schema that people write, `run_directory` the layout that people read,
`ledger` the books that must close. Nothing is re-exported here, because most commands need few of
these modules and Beam is slow to import.
"""

import logging

# Beam warns on import, on the root logger, that Google's client libraries are absent. They are an
# extra; whoever reads gs:// paths gets the file system's own error.
logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())
