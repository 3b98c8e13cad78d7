"""Batches of one process, read while the model works on the batch before."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from training.data import Batch, Samples


class BatchReader:
    """Reads the part of each global batch that belongs to one data-parallel rank.

    A batch of B samples that begins with sample i goes to rank r of R as samples
    i + r·B/R … i + (r+1)·B/R - 1: all ranks together see the same samples in the same order,
    whatever R is.
    """

    def __init__(
        self, samples: Samples, batch: int, rank: int, ranks: int, pin_memory: bool
    ) -> None:
        """Prepares to read.

        Args:
          samples: of the whole run.
          batch: samples of an update, over all ranks; a multiple of `ranks`.
          rank: number of this one.
          ranks: how many share a batch.
          pin_memory: for copies to a GPU that need not be waited for.
        """
        self._samples = samples
        self._batch = batch
        self._own = batch // ranks
        self._offset = rank * self._own
        self._pin_memory = pin_memory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[int, Future[Batch]] | None = None
        self.waited = 0.0
        """Seconds that the last call of `get` took."""

    def get(self, consumed: int) -> Batch:
        """Returns this rank's samples of the batch that follows `consumed` samples.

        Raises:
          UserError: the shards hold an id that is not below the vocabulary.
        """
        started = time.perf_counter()
        if self._ahead is None or self._ahead[0] != consumed:
            self._ahead = consumed, self._thread.submit(self._read, consumed)
        batch = self._ahead[1].result()
        following = consumed + self._batch
        self._ahead = following, self._thread.submit(self._read, following)
        self.waited = time.perf_counter() - started
        return batch

    def _read(self, consumed: int) -> Batch:
        batch = self._samples.batch(consumed + self._offset, self._own)
        if not self._pin_memory:
            return batch
        return Batch(*(tensor.pin_memory() for tensor in vars(batch).values()))

    def __enter__(self) -> BatchReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
