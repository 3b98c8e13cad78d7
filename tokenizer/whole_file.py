"""A file that appears under its name complete, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from pathlib import Path
from types import TracebackType

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import Field

from pangu_settings import Settings

# Ending of the hidden files that a killed writer leaves behind.
PARTIAL_SUFFIX = ".part"


class FileFacts(Settings):
    """What identifies the content of one file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class WholeFile:
    """Writes one file; nobody can see it under its name before `commit`.

    The bytes go to a hidden file first. On a local path that file lies in the target's folder,
    and committing flushes it to the disk and renames it. On any other filesystem that fsspec
    knows it lies in the temporary folder of this machine, and committing uploads it: an object
    store shows an upload only when it is complete. A writer that is killed leaves at most a
    hidden `.part` file.

    ```
    with WholeFile("shards/index.json") as file:
        file.write(b"...")
        facts = file.commit()
    ```
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._filesystem, self._target = fsspec.core.url_to_fs(self.path)
        self._is_local = isinstance(self._filesystem, LocalFileSystem)
        folder = Path(self._target).parent if self._is_local else Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(self._target).name
        # The random name keeps two writers of one file apart, such as a task and its retry.
        self._partial = folder / f".{name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
        self._stream = self._partial.open("xb")
        self._sum = hashlib.sha256()
        self._bytes = 0

    def write(self, content: bytes | memoryview) -> None:
        """Appends content."""
        self._stream.write(content)
        self._sum.update(content)
        self._bytes += len(content)

    def commit(self) -> FileFacts:
        """Makes the file appear under its name, replacing what was there; returns its facts."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._is_local:
            self._partial.replace(self._target)
            _flush_folder(Path(self._target).parent)
        else:
            self._filesystem.put_file(str(self._partial), self._target)
            self._partial.unlink()
        return FileFacts(bytes=self._bytes, sha256=self._sum.hexdigest())

    def discard(self) -> None:
        """Removes what was written so far; does nothing after `commit`."""
        self._stream.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()


def write_whole_file(path: str | os.PathLike[str], content: bytes) -> FileFacts:
    """Writes content to a local or remote path in one step; see WholeFile."""
    with WholeFile(path) as file:
        file.write(content)
        return file.commit()


def _flush_folder(folder: Path) -> None:
    """Makes a rename in folder survive a power cut (POSIX; elsewhere folders cannot be opened)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
