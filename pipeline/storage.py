"""Files of a run, on local disk or on any object store that fsspec reaches.

Every file is written whole or not at all: a killed process leaves at most a hidden `.part` file,
which nobody reads and the next run removes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pangu_settings import UserError
from tokenizer.whole_file import PARTIAL_SUFFIX, WholeFile

# Reasons why the place, not this program, is at fault.
_NO_PLACE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.ENOENT, errno.ENOTDIR),
}


@dataclass(frozen=True)
class ListedFile:
    """What a manifest records of one file: path relative to its folder, size and digest."""

    path: str
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class AtomicFile:
    """A binary file, as Arrow writes to one, that appears whole when its block ends.

    Attributes:
      bytes, sha256: of what was written, once the file is in place.
    """

    def __init__(self, file: WholeFile) -> None:
        self._file = file
        self._position = 0
        self.closed = False
        self.bytes = -1
        self.sha256 = ""

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._position += len(view)
        return len(view)

    def tell(self) -> int:
        return self._position

    def commit(self) -> None:
        """Puts the file in place; called when the block ends."""
        facts = self._file.commit()
        self.bytes, self.sha256 = facts.bytes, facts.sha256

    # Arrow asks a file for these before it writes to it.
    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        """Left to commit, which flushes to the disk."""

    def close(self) -> None:
        """Left to the block that opened the file."""


def join(folder: str, *parts: str) -> str:
    """Joins path parts with `/`, for local paths and URLs alike."""
    return "/".join([folder.rstrip("/"), *(part.strip("/") for part in parts)])


def exists(path: str) -> bool:
    """True if a file or folder is there."""
    filesystem, name = _filesystem(path)
    return bool(filesystem.exists(name))


def is_file(path: str) -> bool:
    """True if a file, not a folder, is there."""
    filesystem, name = _filesystem(path)
    return bool(filesystem.isfile(name))


def size(path: str) -> int:
    """Size of a file in bytes, or -1 if it is not there."""
    filesystem, name = _filesystem(path)
    try:
        return int(filesystem.size(name) or 0)
    except FileNotFoundError:
        return -1


def list_files(folder: str, suffix: str = "") -> list[str]:
    """Sorted names (not paths) of the finished files in a folder; [] if it is not there."""
    filesystem, name = _filesystem(folder)
    # A listing that an object store's client remembered would hide what workers just wrote.
    filesystem.invalidate_cache()
    try:
        entries = filesystem.ls(name, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = (entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file")
    return sorted(n for n in names if n.endswith(suffix) and not n.startswith("."))


def glob(pattern: str) -> list[str]:
    """Sorted paths of the files that a pattern (`*`, `**`, `?`, `[...]`) names.

    A path without wildcards names itself if it exists. Paths keep the protocol of the pattern.
    """
    filesystem, name = _filesystem(pattern)
    protocol = pattern.partition("://")[0] + "://" if "://" in pattern else ""
    if not any(character in pattern for character in "*?["):
        return [pattern] if filesystem.isfile(name) else []
    found = filesystem.glob(name, detail=True)
    files = [
        path
        for path, entry in found.items()
        # A symbolic link is listed as a link, whatever it leads to.
        if entry["type"] == "file" or (entry["type"] != "directory" and filesystem.isfile(path))
    ]
    if not protocol or isinstance(filesystem, LocalFileSystem):
        return sorted(files)
    return sorted(path if "://" in path else protocol + path.lstrip("/") for path in files)


@contextmanager
def open_read(path: str) -> Iterator[BinaryIO]:
    """Opens a file for reading.

    Raises:
      UserError: it is not there or may not be read.
    """
    filesystem, name = _filesystem(path)
    try:
        file = filesystem.open(name, "rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; was it moved or deleted during the run?") from None
    except PermissionError as error:
        raise UserError(f"{path}: may not be read: {error.strerror or error}") from None
    with file:
        yield cast(BinaryIO, file)


@contextmanager
def write_atomically(path: str) -> Iterator[AtomicFile]:
    """Opens a file that appears under its name only when the block ends without an exception.

    Raises:
      UserError: the disk is full or the place may not be written to.
    """
    try:
        with WholeFile(path) as whole:
            yield (file := AtomicFile(whole))
            file.commit()
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        raise UserError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "finished files are kept: make room or choose another place, then run again"
        ) from error


def write_json(path: str, content: Any, name: str = "") -> ListedFile:
    """Writes JSON with sorted keys, atomically; the same content gives the same bytes.

    Returns:
      Size and digest, under `name`.
    """
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    return write_text(path, text, name)


def write_text(path: str, text: str, name: str = "") -> ListedFile:
    """Writes UTF-8 text, atomically; returns size and digest, under `name`."""
    with write_atomically(path) as file:
        file.write(text.encode())
    return ListedFile(name, file.bytes, file.sha256)


def facts_of(path: str, name: str) -> ListedFile:
    """Reads a finished file and returns its size and digest, under `name`."""
    digest = hashlib.sha256()
    length = 0
    with open_read(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            length += len(block)
    return ListedFile(name, length, digest.hexdigest())


def read_json(path: str) -> Any:
    """Reads a JSON file.

    Raises:
      UserError: it is missing or damaged.
    """
    with open_read(path) as file:
        try:
            return json.loads(file.read())
        except ValueError as error:
            raise UserError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def read_json_or_none(path: str) -> Any | None:
    """Reads a JSON file, or returns None if there is none or it is damaged."""
    filesystem, name = _filesystem(path)
    try:
        with filesystem.open(name, "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def copy(source: str, target: str) -> None:
    """Copies a file within one file system; on local disk as a second name of the same bytes."""
    filesystem, name = _filesystem(target)
    if not isinstance(filesystem, LocalFileSystem):
        filesystem.cp_file(_filesystem(source)[1], name)
        return
    destination = Path(name)
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    partial.unlink(missing_ok=True)
    try:
        os.link(_filesystem(source)[1], partial)
    except OSError:
        # The file system has no hard links, or the folders lie on two disks.
        shutil.copyfile(_filesystem(source)[1], partial)
    partial.replace(destination)


def delete(path: str) -> None:
    """Deletes a file or a folder with everything in it, if it is there."""
    filesystem, name = _filesystem(path)
    if filesystem.exists(name):
        filesystem.rm(name, recursive=True)


def delete_partial_files(folder: str) -> None:
    """Deletes what killed processes left half-written anywhere below a folder."""
    filesystem, name = _filesystem(folder)
    if isinstance(filesystem, LocalFileSystem) and Path(name).is_dir():
        for path in Path(name).rglob(f".*{PARTIAL_SUFFIX}"):
            path.unlink(missing_ok=True)


def fingerprint(path: str, known: dict[str, str]) -> str:
    """Digest that changes when a file's content does.

    A local file is read and digested (sha256), once for each (path, size, time of change), which
    `known` remembers between runs. A remote file is identified by what its store says of it
    (etag, size, time), since reading it would cost as much as processing it.

    Args:
      path: the file.
      known: remembered digests; updated in place.

    Raises:
      UserError: the file cannot be read.
    """
    filesystem, name = _filesystem(path)
    if not isinstance(filesystem, LocalFileSystem):
        return f"remote:{filesystem.ukey(name)}"
    try:
        status = Path(name).stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    key = f"{Path(name).absolute()}|{status.st_size}|{status.st_mtime_ns}"
    if key not in known:
        with open_read(path) as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return known[key]


def _filesystem(path: str) -> tuple[Any, str]:
    filesystem, name = fsspec.core.url_to_fs(path)
    return filesystem, str(name)
