"""The numbers of the log for TensorBoard, where somebody wants to see them there."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from pangu_settings import UserError
from training.log import StepRecord

NUMBERS = (
    "loss",
    "bits_per_byte",
    "gradient_norm",
    "learning_rate",
    "tokens_per_second",
    "tokens_per_second_per_device",
    "mfu",
    "skipped",
    "data_wait_seconds",
    "peak_memory_bytes",
)


class TensorBoard:
    """Event files of one run, over its steps."""

    def __init__(self, folder: Path, step: int) -> None:
        """Opens a new file; what earlier ones hold after `step` is no longer shown.

        Raises:
          UserError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError(
                "logging.tensorboard: the package is not installed; pip install tensorboard, "
                "or set it to false"
            ) from None
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, record: StepRecord) -> None:
        """Appends one step."""
        for name in NUMBERS:
            value = getattr(record, name)
            if value is not None:
                self._writer.add_scalar(name, value, record.step)
        for source, found in record.validation.items():
            self._writer.add_scalar(f"validation/{source}/loss", found.loss, record.step)
            self._writer.add_scalar(
                f"validation/{source}/perplexity", found.perplexity, record.step
            )

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
