"""The data half: a recipe becomes a corpus, a tokenizer, shards and a report.

Stages are thin Beam transforms over the pure functions of `filters/`; each has a module of its own
(`extract`, `clean`, `measure`, `decide`, `deduplicate`, `mix`, `train_tokenizer`, `write_shards`,
`publish_report`), and `run` strings them together. `recipe` is the schema that people write,
`run_directory` the layout that people read, `ledger` the books that must close. Nothing is
re-exported here, because most commands need few of these modules and Beam is slow to import.
"""
