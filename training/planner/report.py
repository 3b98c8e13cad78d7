"""What `pangu parallel` prints and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pangu_settings import UserError
from training.config import TrainingSettings
from training.layout import Layout
from training.planner.memory import Memory, estimate_memory
from training.planner.plans import Plan, why_it_loses
from training.planner.step_time import GIB, Cluster, exchanges, operations_per_token

COLUMNS = (
    "pp", "dp", "tp", "micro-batches", "again", "s/step", "tokens/s", "MFU", "GiB", "bubble",
    "exchange", "why not",
)  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows as columns of text; all but the last column lean to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        *cells, last = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([*cells, last.strip()]).rstrip())
    return "\n".join(lines)


def ranking(plans: Sequence[Plan], cluster: Cluster, most: int) -> str:
    """Returns the table of the best plans, and of those that would not fit but are nearest to it.

    Args:
      plans: in their order.
      cluster: where they are to run.
      most: largest number of rows of each kind.
    """
    fitting = [plan for plan in plans if plan.fits]
    others = [plan for plan in plans if not plan.fits]
    shown = [*fitting[:most], *others[: most if not fitting else most // 3]]
    rows: list[Sequence[str]] = [COLUMNS]
    for plan in shown:
        reason = "" if plan is plans[0] and plan.fits else why_it_loses(plan, plans[0], cluster)
        rows.append(_row(plan, cluster, reason))
    left = len(plans) - len(shown)
    return table(rows) + (f"\n({left} more)" if left else "")


def _row(plan: Plan, cluster: Cluster, reason: str) -> tuple[str, ...]:
    layout, time = plan.layout, plan.time
    sharing = f"{layout.dp_replicate}×{layout.dp_shard}" if layout.dp_replicate > 1 else ""
    interleaved = f"×{layout.interleave}" if layout.interleave > 1 else ""
    again = {"off": "–", "operation": "operations", "block": "blocks"}[layout.rematerialise]
    exchange = time.tensor + time.pipeline + time.data
    return (
        f"{layout.pp}{interleaved}",
        sharing or str(layout.dp_shard),
        str(layout.tp),
        str(layout.micro_batches),
        again + (" + gather" if layout.reshard_after_forward else ""),
        f"{time.total:.3g}",
        f"{plan.tokens_per_second:,.0f}",
        f"{plan.utilisation(cluster):.1%}",
        f"{plan.memory.total / GIB:.1f}",
        f"{time.bubble / time.total:.0%}",
        f"{exchange / time.total:.0%}",
        reason,
    )


def details(plan: Plan, cluster: Cluster) -> str:
    """Returns where the time of a step, its exchanges and the memory of each stage go."""
    settings, layout = plan.settings, plan.layout
    tokens = settings.optimisation.batch * settings.sequence_length
    operations = operations_per_token(settings) * tokens / layout.ranks
    names = {name: part for name, part in vars(plan.time).items() if part > 0}
    time = ", ".join(f"{name} {part / plan.time.total:.1%}" for name, part in names.items())
    lines = [f"time:     {time}", f"computes: {operations / 1e12:,.1f} TFLOP of each device a step"]
    for what, exchange in exchanges(settings, plan.inner).items():
        if exchange.amount:
            lines.append(
                f"sends:    {what} {exchange.amount / GIB:.3g} GiB of each device a step, within "
                f"{exchange.span} at {cluster.bandwidth(exchange.span) / 1e9:g} GB/s"
            )
    parts = ", ".join(f"{name} {part / GIB:.1f}" for name, part in vars(plan.memory).items())
    lines.append(f"memory:   {parts} GiB on pipeline rank {plan.position}, the fullest")
    if layout.pp > 1:
        totals = [estimate_memory(settings, position).total for position in range(layout.pp)]
        lines.append("ranks:    " + " ".join(f"{total / GIB:.1f}" for total in totals) + " GiB")
    if plan.inner == "pp":
        lines.append(
            "place:    number the servers so that the stages of one pipeline are neighbours: the "
            "server of (copy, stage) is number copy × stages + stage and gets node rank "
            "stage × copies + copy"
        )
    return "\n".join(lines)


def verification(rows: Iterable[tuple[int, Memory, float]], usable: float) -> str:
    """Returns the table of estimated and simulated memory.

    Args:
      rows: pipeline rank, its estimate, and the bytes that were seen.
      usable: bytes of a device that tensors may take.
    """
    cells: list[Sequence[str]] = [("pipeline rank", "estimated GiB", "simulated GiB", "ratio", "")]
    for position, estimate, seen in rows:
        fits = "" if seen <= usable else f"more than the usable {usable / GIB:.1f}"
        ratio = f"{estimate.total / seen:.2f}"
        cells.append(
            (str(position), f"{estimate.total / GIB:.2f}", f"{seen / GIB:.2f}", ratio, fits)
        )
    return table(cells)


def layout_block(layout: Layout) -> str:
    """Returns a layout as the block of a training configuration, without what is default."""
    lines = ["layout:"]
    for key, value in layout.model_dump(exclude_defaults=True).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"  {key}: {text}")
    return "\n".join(lines if len(lines) > 1 else ["layout: {}"]) + "\n"


def write_layout(path: Path, plan: Plan) -> None:
    """Puts a layout into a training configuration, whose other lines stay as they are.

    A file that is not there is begun with what the plan knows; the data are for its author to add.

    Raises:
      UserError: the file cannot be read or written.
    """
    block = layout_block(plan.layout)
    try:
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            text = "".join(_without_block(lines, "layout"))
            text += "" if text.endswith("\n") or not text else "\n"
        else:
            text = _beginning(plan.settings)
        path.write_text(text + block, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: the layout cannot be written: {error.strerror}") from None


def _without_block(lines: Iterable[str], key: str) -> Iterable[str]:
    """Yields the lines of a YAML mapping without those of one key at its top."""
    inside = False
    for line in lines:
        if line[:1] not in (" ", "\t", "\n", "\r", "#"):
            inside = line.partition(":")[0].strip() == key
        if not inside:
            yield line


def _beginning(settings: TrainingSettings) -> str:
    model, optimisation = settings.model, settings.optimisation
    shape = (
        f"preset: {model.preset}"
        if model.preset
        else ", ".join(
            f"{key}: {getattr(model, key)}" for key in ("layers", "hidden", "heads", "vocabulary")
        )
    )
    return (
        "# data.shards, data.tokenizer and optimisation.steps are still to be written.\n"
        f"model: {{{shape}}}\n"
        f"optimisation: {{batch: {optimisation.batch}, precision: {optimisation.precision}}}\n"
    )
