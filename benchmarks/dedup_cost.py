"""What a billion documents would need, from what each step of this corpus cost."""

from __future__ import annotations

from benchmarks.dedup_steps import ALONE, Costs

BILLION = 1_000_000_000
# A row of the shuffle: key, hash of the text, ordinal.
ROW_BYTES = 24
BAND_BYTES = 8 * 16
# Of the process that starts the stage, for each document, while components are in memory.
NODE_BYTES = 16
CORES = (16, 100, 1000)


def print_steps(costs: Costs, stage: dict[str, float]) -> None:
    """The speed of each step, per document of the corpus, on one core."""
    size = costs.text_bytes / costs.documents
    print(f"| step, documents of {size:,.0f} bytes | µs a document | documents/s/core |")
    print("|---|---:|---:|")
    for name, seconds in costs.seconds.items():
        print(f"| {name} | {_micro(seconds, costs)} | {costs.documents / seconds:,.0f} |")
    for name, seconds in stage.items():
        speed = costs.documents / seconds
        print(f"| stage, with its files: {name} | {_micro(seconds, costs)} | {speed:,.0f} |")
    print(
        f"\n{costs.pairs / costs.seconds['check']:,.0f} pairs/s/core are checked; "
        f"{costs.compared / costs.documents:.0%} of the documents are in a candidate pair, "
        f"{costs.pairs / costs.documents:.2f} pairs a document\n"
    )


def _micro(seconds: float, costs: Costs) -> str:
    return f"{1e6 * seconds / costs.documents:.2f}"


def print_billion(costs: Costs, stage: dict[str, float]) -> None:
    """Cores, shuffle and memory for a billion such documents, of which as many are copies."""
    scale = BILLION / costs.documents
    signing = scale * sum(
        costs.seconds[name] for name in ("decode and fold", "signatures, bands", "content hashes")
    )
    alone = scale * stage[ALONE]
    shared = scale * sum(seconds for name, seconds in stage.items() if name != ALONE)
    print("| a billion documents | |\n|---|---:|")
    lines = [
        ("text, read by *measure*", _bytes(scale * costs.text_bytes)),
        ("folding, signatures, hashes in *measure*", f"{signing / 3600:.1f} core-hours"),
        ("band keys it writes", _bytes(BILLION * BAND_BYTES)),
        ("rows that are shuffled", f"{scale * costs.rows / 1e9:.1f} billion"),
        ("bytes that are shuffled", _bytes(scale * costs.rows * ROW_BYTES)),
        ("texts of candidates, read once more", _bytes(scale * costs.compared_bytes)),
        ("their sets, written and read", _bytes(scale * costs.shingles * 4)),
        ("stage, divided among workers", f"{shared / 3600:.1f} core-hours"),
        ("stage, in the process that starts it", f"{alone / 3600:.1f} hours"),
        ("memory of a worker", "the budget (1 GB) and 0.5 GB"),
        ("memory of the process that starts it", f"{_bytes(BILLION * NODE_BYTES)}, or the budget"),
    ]
    for cores in CORES:
        hours = (alone + (signing + shared) / cores) / 3600
        lines.append((f"hours on {cores:,} cores, engine and network apart", f"{hours:.1f}"))
    for name, value in lines:
        print(f"| {name} | {value} |")


def _bytes(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:,.0f} GB"
