"""The tables that stages hand to each other: Arrow schemas, and the identity of a document."""

from __future__ import annotations

import hashlib

import pyarrow as pa

# Small enough that a batch of long pages stays within a few MB, large enough that the cost of
# handling a batch disappears beside the work on its documents.
BATCH_ROWS = 256
BATCH_CHARACTERS = 2_000_000

TIMESTAMP = pa.timestamp("s", tz="UTC")

# Where a document comes from; the first columns of every table that describes one.
ORIGIN = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("url", pa.string(), nullable=False),
    pa.field("title", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("file", pa.string(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
]

EXTRACTED = pa.schema(
    [
        *ORIGIN,
        pa.field("captured_at", TIMESTAMP),
        pa.field("content_type", pa.string(), nullable=False),
        pa.field("encoding", pa.string(), nullable=False),
        pa.field("replaced", pa.int32(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("raw_bytes", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)

DEAD_LETTERS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

DROPPED = pa.schema(
    [
        *ORIGIN,
        pa.field("stage", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("limit", pa.string(), nullable=False),
        pa.field("merged_into", pa.string(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("quality", pa.float32()),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)

CORPUS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("captured_at", TIMESTAMP),
        pa.field("text", pa.string(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("text_bytes", pa.int64(), nullable=False),
        pa.field("quality", pa.float32(), nullable=False),
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
    ]
)

EXCERPT_CHARACTERS = 200


def document_id(source: str, file: str, offset: int) -> str:
    """Identity of a document: 32 hexadecimal digits of where it was read.

    It depends on nothing that a second run, another machine or another number of workers could
    change: the source's name, the file as the recipe names it, and the offset in that file.
    """
    key = f"{source}\0{file}\0{offset}".encode()
    return hashlib.blake2b(key, digest_size=16).hexdigest()
