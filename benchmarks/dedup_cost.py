"""What a billion documents would need, from what each step cost on one core here."""

from __future__ import annotations

from benchmarks.dedup_steps import ALONE, Costs, StageCosts

BILLION = 1_000_000_000
# A row of the shuffle: key, hash of the text, ordinal.
ROW_BYTES = 24
BAND_BYTES = 8 * 16
# Of the budget for each document, so that components, or the division into blocks, need one pass
# over the candidates (pipeline.duplicates.graph.write_nodes, members.route).
COMPONENT_BYTES, ROUTE_BYTES = 32, 128
BUDGETS = (10**9, 32 * 10**9)
CORES = (16, 100, 1000)


def print_steps(costs: Costs, stage: StageCosts) -> None:
    """The speed of each step, per document of the corpus, on one core."""
    size = costs.text_bytes / costs.documents
    print(f"| step, documents of {size:,.0f} bytes | µs a document | documents/s/core |")
    print("|---|---:|---:|")
    steps = {f"kernel: {name}": seconds for name, seconds in costs.seconds.items()}
    steps |= {f"stage: {name}": seconds for name, seconds in stage.seconds.items()}
    for name, seconds in steps.items():
        each = 1e6 * seconds / costs.documents
        print(f"| {name} | {each:.2f} | {costs.documents / seconds:,.0f} |")
    print(
        f"\n{costs.pairs / costs.seconds['check']:,.0f} pairs/s/core are checked; "
        f"{costs.compared / costs.documents:.0%} of the documents are in a candidate pair; "
        f"{costs.pairs / costs.documents:.2f} pairs a document, in all bands "
        f"{stage.edges / costs.documents:.2f}\n"
    )


def print_billion(costs: Costs, stage: StageCosts, few: StageCosts) -> None:
    """Cores, shuffle and memory for a billion such documents, of which as many are copies.

    Args:
      costs: of the kernels.
      stage: of the stage over as many documents.
      few: of the stage over fewer, so that what does not grow with them can be taken off.
    """
    scale = BILLION / costs.documents
    stage = _growth(stage, few)
    signing = scale * sum(
        costs.seconds[name] for name in ("decode and fold", "signatures, bands", "content hashes")
    )
    shared = scale * sum(seconds for name, seconds in stage.seconds.items() if name != ALONE)
    lines = {
        "text, read by *measure*": _bytes(scale * costs.text_bytes),
        "folding, signatures and hashes in *measure*": f"{signing / 3600:.1f} core-hours",
        "band keys that it writes": _bytes(BILLION * BAND_BYTES),
        "rows that are shuffled": f"{scale * costs.rows / 1e9:.1f} billion",
        "bytes that are shuffled": _bytes(scale * costs.rows * ROW_BYTES),
        "texts of candidates, read once more": _bytes(scale * costs.compared_bytes),
        "their sets, written and read": _bytes(scale * costs.shingles * 4),
        "steps divided among workers": f"{shared / 3600:.1f} core-hours",
    }
    print("| a billion documents | |\n|---|---:|")
    for name, value in lines.items():
        print(f"| {name} | {value} |")
    print("\n| budget of a process |", " | ".join(_bytes(budget) for budget in BUDGETS), "|")
    print("|---|" + "---:|" * len(BUDGETS))
    alone = [scale * _alone(stage, budget) / 3600 for budget in BUDGETS]
    cells = " | ".join(f"{hours:.1f}" for hours in alone)
    print(f"| hours of the one process that connects candidates | {cells} |")
    for cores in CORES:
        workers = (signing + shared) / cores / 3600
        cells = " | ".join(f"{hours + workers:.1f}" for hours in alone)
        print(f"| hours in all on {cores:,} cores, without the engine's own work | {cells} |")


def _growth(stage: StageCosts, few: StageCosts) -> StageCosts:
    """Seconds that would be left of a run whose start cost nothing."""
    share = stage.documents / (stage.documents - few.documents)

    def grown(large: float, small: float) -> float:
        return max(0.0, large - small) * share

    return StageCosts(
        stage.documents,
        {name: grown(seconds, few.seconds[name]) for name, seconds in stage.seconds.items()},
        stage.edges,
        grown(stage.reading, few.reading),
        grown(stage.on_disk, few.on_disk),
    )


def _alone(stage: StageCosts, budget: int) -> float:
    """Seconds, for as many documents as were measured, of the process that starts the stage.

    Here everything was in memory. A billion take as many passes over the candidates as the budget
    is too small for.
    """
    passes = -(-BILLION * ROUTE_BYTES // budget) - 1
    seconds = stage.seconds[ALONE]
    if budget < BILLION * COMPONENT_BYTES:
        passes += -(-BILLION * COMPONENT_BYTES // budget) - 1
        seconds += stage.on_disk
    return seconds + passes * stage.reading


def _bytes(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:,.0f} GB"
