"""The bytes of a stored file, decompressed piece by piece: plain, gzip or zstd.

A compressed file is a row of members (gzip's word; zstd calls them frames). Crawls hold one
record a member so that a record can be fetched by offset, but files with a single member, and
records that run over several, exist too. `MemberStream` gives the decompressed bytes together
with the offset of the member they come from, in bounded memory, and after damage finds the next
member that starts as it should.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import zstandard
from isal import isal_zlib

PIECE_BYTES = 64 * 1024
# One kilobyte of zstd holds at most 256 blocks of 128 KB, so a call returns at most 32 MB.
ZSTD_STEP_BYTES = 1024
# Where compressed records are looked for in a file that does not begin with one.
FIRST_LOOK_BYTES = 2**20

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# A skippable zstd frame; .warc.zst files keep their dictionary in one at the very start.
SKIPPABLE_MAGIC_TAIL = b"\x2a\x4d\x18"
DICTIONARY_MAGIC = b"\x5d" + SKIPPABLE_MAGIC_TAIL
MAX_DICTIONARY_BYTES = 16 * 2**20

# isal's stubs declare its error as an instance, not as a class.
DECODE_ERRORS: tuple[type[Exception], ...] = (
    isal_zlib.error,  # type: ignore[assignment, unused-ignore]
    zstandard.ZstdError,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Decompressed bytes.

    Attributes:
      data: at least one byte.
      member: offset in the stored file of the member that the bytes come from.
      begins: whether they are the first bytes of that member.
    """

    data: bytes
    member: int
    begins: bool


class DamagedMemberError(Exception):
    """A member cannot be decompressed any further.

    Attributes:
      offset: of the member in the stored file.
      detail: what is wrong with it.
    """

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset
        self.detail = detail


class _Decoder(Protocol):
    """The part of zlib's decompression objects that both codecs offer."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Codec(Protocol):
    """A compression format.

    Attributes:
      magic: what members begin with.
      trial_bytes: of a member, from which its first content can be told.
    """

    name: str
    magic: bytes
    trial_bytes: int

    def decoder(self) -> _Decoder: ...


class _Gzip:
    name = "gzip"
    magic = GZIP_MAGIC
    # A header with any file name and comment, and some content.
    trial_bytes = 4096

    def decoder(self) -> _Decoder:
        decoder: _Decoder = isal_zlib.decompressobj(wbits=31)
        return decoder


class _Zstd:
    name = "zstd"
    magic = ZSTD_MAGIC
    # The first block, which gives nothing before its end.
    trial_bytes = 132 * 1024

    def __init__(self, dictionary: bytes | None) -> None:
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None

    def decoder(self) -> _Decoder:
        return _ZstdDecoder(zstandard.ZstdDecompressor(dict_data=self._dictionary))


class _ZstdDecoder:
    """One zstd frame, decoded a kilobyte of input at a time to bound what a call returns."""

    def __init__(self, decompressor: zstandard.ZstdDecompressor) -> None:
        self._frame = decompressor.decompressobj()
        self.unconsumed_tail = b""

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decodes the next kilobyte, whatever max_length is; the rest is in unconsumed_tail."""
        self.unconsumed_tail = data[ZSTD_STEP_BYTES:]
        return self._frame.decompress(data[:ZSTD_STEP_BYTES])


class MemberStream:
    """Reads the members of a stored file in order; see the module's docstring.

    Args:
      file: binary, seekable, read from its beginning.
      allowance: bytes that may be decompressed between two calls of `renew_allowance` before the
        member counts as damaged: the bound on a decompression bomb.

    Attributes:
      compression: "gzip", "zstd" or "" for a plain file; told by its first bytes, not its name.
      size: bytes of the stored file.
    """

    def __init__(self, file: BinaryIO, allowance: int) -> None:
        self._file = file
        # Stored bytes at hand, and the offset of the first of them.
        self._raw, self._raw_offset = b"", 0
        self.size = file.seek(0, 2)
        self._seek(0)
        self._allowance = self._allowance_left = allowance
        self._damage: DamagedMemberError | None = None
        self._decoder: _Decoder | None = None
        self._member = 0
        self._begins = True
        self._produced = 0
        self._codec = self._choose_codec()
        self.compression = self._codec.name if self._codec else ""

    @property
    def damage(self) -> DamagedMemberError | None:
        """The damage that reading has come to, while what lies before it is still given out."""
        return self._damage

    def renew_allowance(self) -> None:
        """Says that what was read so far is good."""
        self._allowance_left = self._allowance

    def read(self) -> Piece | None:
        """The next piece, of about 64 KB, or None at the end of the file.

        Raises:
          DamagedMemberError: again on every call until `resume`.
        """
        if self._damage is not None:
            raise self._damage
        if self._codec is None:
            return self._read_plain()
        while self._decoder is not None or self._open_member(self._codec):
            data = self._decompress()
            if data:
                piece = Piece(data, self._member, self._begins)
                self._begins = False
                return piece
        return None

    def seek_plain(self, position: int) -> None:
        """Goes on at a byte of a file that is not compressed."""
        self._seek(position)

    def resume(self, prefix: bytes) -> bool:
        """Goes to the next member behind the damaged one whose content starts with prefix.

        Line breaks before the prefix are overlooked. The offset of every member found this way
        is larger than that of the damaged one, so that a loop of `resume` comes to an end.

        Returns:
          False if there is no such member; the stream then stays damaged.
        """
        codec = self._codec
        if codec is None or self._damage is None:
            return False
        self._seek(self._damage.offset + 1)
        index = 0
        while True:
            index = self._raw.find(codec.magic, index)
            if index < 0 or index + codec.trial_bytes > len(self._raw):
                # The candidate, or the bytes that may begin one, move to the front.
                self._advance(
                    index if index >= 0 else max(0, len(self._raw) - len(codec.magic) + 1)
                )
                index = 0
                if self._fill():
                    continue
                index = self._raw.find(codec.magic)
                if index < 0:
                    return False
            if _starts_with(codec, self._raw[index : index + codec.trial_bytes], prefix):
                self._advance(index)
                self._damage = self._decoder = None
                self.renew_allowance()
                return True
            index += 1

    def _choose_codec(self) -> _Codec | None:
        """Tells the compression by the first bytes, or if they are damaged, by what follows."""
        self._fill_to(8)
        if self._raw.startswith(GZIP_MAGIC):
            return _Gzip()
        if self._raw.startswith(DICTIONARY_MAGIC):
            return _Zstd(self._read_dictionary())
        if self._raw.startswith(ZSTD_MAGIC) or _is_skippable(self._raw):
            return _Zstd(None)
        self._fill_to(FIRST_LOOK_BYTES)
        head = self._raw
        for codec in (_Gzip(), _Zstd(None)):
            index = head.find(codec.magic)
            while index >= 0:
                if _starts_with(codec, head[index : index + codec.trial_bytes], b"WARC/"):
                    self._damage = DamagedMemberError(0, f"not {codec.name}, but what follows is")
                    return codec
                index = head.find(codec.magic, index + 1)
        return None

    def _read_dictionary(self) -> bytes | None:
        """The dictionary of a .warc.zst, itself perhaps a zstd frame (iipc, warc-zstd 1.0)."""
        (length,) = struct.unpack("<I", self._raw[4:8])
        if length > MAX_DICTIONARY_BYTES:
            return None
        self._fill_to(8 + length)
        content = self._raw[8 : 8 + length]
        if not content.startswith(ZSTD_MAGIC):
            return content
        try:
            reader = zstandard.ZstdDecompressor().stream_reader(content)
            return reader.read(MAX_DICTIONARY_BYTES)
        except zstandard.ZstdError:
            return None

    def _read_plain(self) -> Piece | None:
        data, self._raw = self._raw or self._file.read(PIECE_BYTES), b""
        if not data:
            return None
        piece = Piece(data, 0, self._begins)
        self._begins = False
        return piece

    def _open_member(self, codec: _Codec) -> bool:
        """Starts on the member at hand; False at the end of the file."""
        while True:
            self._fill_to(8)
            if self._raw.startswith(b"\0"):
                # Padding, as tapes and some archives leave it.
                self._advance(len(self._raw) - len(self._raw.lstrip(b"\0")))
            elif isinstance(codec, _Zstd) and _is_skippable(self._raw):
                (length,) = struct.unpack("<I", self._raw[4:8].ljust(4, b"\0"))
                self._seek(self._raw_offset + 8 + length)
            else:
                break
        if not self._raw:
            return False
        if not self._raw.startswith(codec.magic):
            self._fail(self._raw_offset, f"bytes that are not {codec.name} between members")
        self._decoder = codec.decoder()
        self._member, self._begins, self._produced = self._raw_offset, True, 0
        return True

    def _decompress(self) -> bytes:
        """The next bytes of the open member; b"" where its end brings none."""
        assert self._decoder is not None
        decoder, at_end = self._decoder, not self._raw and not self._fill()
        before = len(self._raw)
        try:
            data = decoder.decompress(self._raw, PIECE_BYTES)
        except DECODE_ERRORS as error:
            self._damage = DamagedMemberError(
                self._member, f"damaged {self.compression} member: {error}"
            )
            data = self._salvage()
            if not data:
                raise self._damage from None
            return data
        self._raw = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        self._raw_offset += before - len(self._raw)
        self._produced += len(data)
        self._allowance_left -= len(data)
        if decoder.eof:
            self._decoder = None
        elif at_end and not data:
            self._fail(self._member, "cut off: the file ends inside this compressed member")
        if self._allowance_left < 0:
            self._fail(
                self._member,
                f"more than {self._allowance:,} bytes come out of it without a whole record",
            )
        return data

    def _salvage(self) -> bytes:
        """What a damaged member holds between the last piece and the damage.

        A decoder that fails gives nothing of what it decoded in that call. For files with many
        records in one member that would lose good records, so the member is decoded once more,
        the last stretch byte by byte.
        """
        assert self._codec is not None
        decoder, rest, total = self._codec.decoder(), bytearray(), 0
        try:
            for step in self._small_steps(self._raw_offset):
                tail = step
                while tail:
                    data = decoder.decompress(tail, PIECE_BYTES)
                    tail = decoder.unconsumed_tail
                    rest += data[max(0, self._produced - total) :]
                    total += len(data)
        except DECODE_ERRORS:
            pass
        return bytes(rest)

    def _small_steps(self, failed_at: int) -> Iterator[bytes]:
        """The open member as stored: in one go up to failed_at, then single bytes."""
        position = self._member
        self._file.seek(position)
        while block := self._file.read(PIECE_BYTES):
            sure = min(max(0, failed_at - position), len(block))
            if sure:
                yield block[:sure]
            for index in range(sure, len(block)):
                yield block[index : index + 1]
            position += len(block)

    def _fail(self, offset: int, detail: str) -> None:
        self._damage = DamagedMemberError(offset, detail)
        raise self._damage

    def _seek(self, position: int) -> None:
        self._file.seek(position)
        self._raw, self._raw_offset = b"", position

    def _fill(self) -> bool:
        more = self._file.read(PIECE_BYTES)
        self._raw += more
        return bool(more)

    def _fill_to(self, count: int) -> None:
        while len(self._raw) < count and self._fill():
            pass

    def _advance(self, count: int) -> None:
        self._raw = self._raw[count:]
        self._raw_offset += count


def _is_skippable(data: bytes) -> bool:
    return data[1:4] == SKIPPABLE_MAGIC_TAIL and 0x50 <= data[0] <= 0x5F


def _starts_with(codec: _Codec, stored: bytes, prefix: bytes) -> bool:
    """Whether stored bytes decompress to prefix, with line breaks before it perhaps.

    Without a prefix, a stretch of them that decompresses at all must do.
    """
    decoder, content = codec.decoder(), b""
    enough = len(prefix) + 8 if prefix else 1024
    try:
        while stored and len(content) < enough and not decoder.eof:
            content += decoder.decompress(stored, enough)
            stored = decoder.unconsumed_tail
    except DECODE_ERRORS:
        return False
    return content.lstrip(b"\r\n").startswith(prefix)
