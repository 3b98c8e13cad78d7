"""Connected components of any size, and their division into blocks that no component crosses.

While a number for each document fits into memory, edges are read once and forgotten. Beyond that,
documents are taken in spans of consecutive ordinals, each with its edges in files, and all edges
are bent towards smaller ordinals until every component is a star around its smallest (large-star
and small-star of Kiveris et al., "Connected Components in MapReduce and Beyond", 2014). Both give
the same components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.components import Forest
from pipeline import storage
from pipeline.duplicates.row_files import RowFiles
from pipeline.tables import TableWriter, read_table

Edges = Callable[[], Iterator[np.ndarray]]

# Documents that share a key with another one, by ordinal.
NODE = pa.schema(
    [
        pa.field("ordinal", pa.uint64(), nullable=False),
        # Smallest ordinal that it is connected to.
        pa.field("component", pa.uint64(), nullable=False),
        # Whether it is in a candidate pair, so that its text is needed.
        pa.field("compared", pa.bool_(), nullable=False),
    ]
)
_NO_EDGE = -1
# Of memory for each document of a span: its label, and whether it has an edge and is compared.
_SPAN_BYTES = 16
_WRITTEN_ROWS = 1 << 20


def components_in_memory(edges: Edges, nodes: int) -> np.ndarray:
    """int64 (nodes,): the smallest node of each node's component; -1 for nodes without an edge.

    Args:
      edges: called to read the edges, each uint64 (n, 2), ends below `nodes`.
      nodes: number of nodes.
    """
    forest = Forest(nodes)
    has_edge = np.zeros(nodes, np.bool_)
    for block in edges():
        forest.connect(block)
        has_edge[block.ravel()] = True
    return np.where(has_edge, forest.labels(), _NO_EDGE)


def components_on_disk(edges: Edges, span: int, folder: str, memory: int) -> Iterator[np.ndarray]:
    """The same for spans of nodes: yields int64 (n, 2), (node, smallest node), nodes ascending.

    Args:
      edges: called to read the edges.
      span: nodes whose numbers are in memory at a time.
      folder: for the edges; it is deleted in the end.
      memory: bytes that may wait to be written.
    """
    number = 0
    with _open(folder, number, memory) as around:
        for block in edges():
            _add_both_ways(around, block, span)
    while True:
        number += 1
        with _open(folder, number, memory) as downwards:
            changed = _large_star(around, downwards, span)
        around.delete()
        number += 1
        with _open(folder, number, memory) as around:
            changed |= _small_star(downwards, around, span)
        downwards.delete()
        if not changed:
            break
    for group in around.groups():
        lowest = _lowest(around, group, span)
        nodes = np.zeros(span, np.bool_)
        for rows in around.read(group):
            nodes[rows[:, 0].astype(np.int64) - group * span] = True
        places = np.flatnonzero(nodes)
        yield np.column_stack([places + group * span, lowest[places]])
    around.delete()


def _open(folder: str, number: int, memory: int) -> RowFiles:
    return RowFiles(storage.join(folder, f"edges-{number}"), 2, memory)


def _add_both_ways(files: RowFiles, edges: np.ndarray, span: int) -> None:
    both = np.concatenate([edges, edges[:, ::-1]]).astype(np.int64)
    files.add(both, both[:, 0] // span)


def _lowest(files: RowFiles, group: int, span: int) -> np.ndarray:
    """int64 (span,): the smallest of each node and its neighbours."""
    lowest = np.arange(group * span, (group + 1) * span)
    for rows in files.read(group):
        ends = rows.astype(np.int64)
        np.minimum.at(lowest, ends[:, 0] - group * span, ends[:, 1])
    return lowest


def _large_star(around: RowFiles, downwards: RowFiles, span: int) -> bool:
    """Ties each larger neighbour of a node to the smallest neighbour; says if an edge changed."""
    changed = False
    for group in around.groups():
        lowest = _lowest(around, group, span)
        for rows in around.read(group):
            ends = rows.astype(np.int64)
            ends = ends[ends[:, 1] > ends[:, 0]]
            smallest = lowest[ends[:, 0] - group * span]
            changed |= bool((smallest != ends[:, 0]).any())
            bent = np.unique(np.column_stack([ends[:, 1], smallest]), axis=0)
            downwards.add(bent, bent[:, 0] // span)
    return changed


def _small_star(downwards: RowFiles, around: RowFiles, span: int) -> bool:
    """Ties a node and its smaller neighbours to the smallest of them; says if an edge changed."""
    changed = False
    for group in downwards.groups():
        lowest = _lowest(downwards, group, span)
        for rows in downwards.read(group):
            ends = rows.astype(np.int64)
            smallest = lowest[ends[:, 0] - group * span]
            is_smallest = ends[:, 1] == smallest
            changed |= not is_smallest.all()
            bent = np.column_stack([np.where(is_smallest, ends[:, 0], ends[:, 1]), smallest])
            _add_both_ways(around, np.unique(bent, axis=0), span)
    return changed


@dataclass(frozen=True)
class Nodes:
    """The table of nodes in a file, ordinals ascending."""

    path: str

    def between(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ordinals (uint64), components (uint64) and `compared` of first ≤ ordinal < end."""
        ordinal = pc.field("ordinal")
        table = read_table(self.path, where=(ordinal >= first) & (ordinal < end))
        columns = [np.asarray(table.column(name)) for name in NODE.names]
        return columns[0], columns[1], columns[2]


def write_nodes(
    path: str, links: Edges, pairs: Edges, documents: int, folder: str, memory: int
) -> Nodes:
    """Writes the table of nodes.

    Args:
      path: of the table.
      links, pairs: called to read the edges; those of `pairs` are compared.
      documents: in all.
      folder: for edges, where they do not fit into memory.
      memory: bytes.
    """

    def edges() -> Iterator[np.ndarray]:
        yield from links()
        yield from pairs()

    span = max(1, memory // 2 // _SPAN_BYTES)
    with TableWriter(path, NODE) as writer:
        if documents <= span:
            labels = components_in_memory(edges, documents)
            nodes = np.flatnonzero(labels != _NO_EDGE)
            chunks = iter([np.column_stack([nodes, labels[nodes]])])
        else:
            chunks = components_on_disk(edges, span, folder, memory // 4)
        for chunk in chunks:
            start = int(chunk[0, 0]) // span * span if len(chunk) else 0
            compared = _compared(pairs, start, start + span)
            _write_rows(writer, chunk, compared[chunk[:, 0] - start])
    return Nodes(path)


def _compared(pairs: Edges, start: int, end: int) -> np.ndarray:
    """bool (end − start,): which of the nodes are in a pair."""
    compared = np.zeros(end - start, np.bool_)
    for block in pairs():
        ends = block.ravel().astype(np.int64)
        compared[ends[(ends >= start) & (ends < end)] - start] = True
    return compared


def _write_rows(writer: TableWriter, chunk: np.ndarray, compared: np.ndarray) -> None:
    for start in range(0, len(chunk), _WRITTEN_ROWS):
        rows = slice(start, start + _WRITTEN_ROWS)
        arrays = [
            pa.array(chunk[rows, 0], pa.uint64()),
            pa.array(chunk[rows, 1], pa.uint64()),
            pa.array(compared[rows]),
        ]
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=NODE))
