"""From stored files to records: WARC, WET, HTML, Parquet, JSONL and text, whole or damaged."""
