"""Where checkpoints lie: a local folder, or a folder on anything that fsspec reaches.

A `RemotePath` answers to the few methods of `pathlib.Path` that checkpoints need, so that their
code is the same for both. What it cannot do is rename a folder: object stores have no folders.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from pangu_settings import UserError
from tokenizer.whole_file import write_whole_file


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at an fsspec URL, such as `s3://bucket/run/checkpoints`."""

    url: str

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.url.rstrip("/").rpartition("/")[2]

    def exists(self) -> bool:
        """Whether a file or a folder with something in it is there."""
        filesystem, path = self._resolved()
        return bool(filesystem.exists(path))

    def read_bytes(self) -> bytes:
        """Returns the content of the file."""
        filesystem, path = self._resolved()
        content: bytes = filesystem.cat_file(path)
        return content

    def read_text(self, encoding: str) -> str:
        """Returns the content of the file as text."""
        return self.read_bytes().decode(encoding)

    def children(self) -> list[RemotePath]:
        """Returns what lies directly in the folder; nothing where it is not there."""
        filesystem, path = self._resolved()
        try:
            found = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [self / str(name).rstrip("/").rpartition("/")[2] for name in found]

    def remove(self) -> None:
        """Removes the file, or the folder with all that is in it."""
        filesystem, path = self._resolved()
        filesystem.rm(path, recursive=True)

    def _resolved(self) -> tuple[Any, str]:
        try:
            # Another process may have written since the last look.
            filesystem, path = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise UserError(f"{self.url}: cannot be opened: {error}") from None
        return filesystem, str(path)


Location = Path | RemotePath


def location(path: str | os.PathLike[str]) -> Location:
    """Returns a path or URL as something that can be asked for what is there."""
    text = os.fspath(path)
    return RemotePath(text) if "://" in text else Path(text)


def children(folder: Location) -> list[Location]:
    """Returns what lies directly in a folder; nothing where it is not there."""
    if isinstance(folder, Path):
        return list(folder.iterdir()) if folder.exists() else []
    return list(folder.children())


def remove_folder(folder: Location) -> None:
    """Removes a folder with all that is in it."""
    if isinstance(folder, RemotePath):
        folder.remove()
    else:
        shutil.rmtree(folder)


def write_file(path: Location, content: bytes) -> None:
    """Writes a file that appears complete or not at all, flushed to the disk."""
    write_whole_file(path, content)
