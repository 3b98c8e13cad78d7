"""The steps of deduplication, at any size: keys are compared, never texts moved.

`inputs` numbers the documents and reads their columns, `keys` their keys; `candidates` finds those
that share a key; `graph` connects them; `members` divides them into blocks that no connection
crosses, and gathers what is needed of each document; `judging` checks the candidates of a block and
chooses who stays. `row_files` keeps rows of integers on disk where they would not fit into memory.
The stage itself, `pipeline.stages.deduplicate`, runs them in this order.

Where the recipe names older runs, `older_corpora` runs before all this: it compares `fingerprints`
with those in the runs' `band_index`, through `key_table` and `older_matches`.
"""
