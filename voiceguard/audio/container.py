"""Opens audio containers, and nothing that they point to; blocking, for the I/O executor.

In: a path, or bytes as they come. Out: an open PyAV container. FFmpeg gets a file object and a
made-up name, never the path: ``concat:a.wav`` and ``http:/a`` are names like any other. Of its
demuxers it may use those below, which hold audio themselves; playlists, scripts and manifests,
which open other files, are not among them, and no protocol is allowed to those either.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from io import FileIO
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import av

from voiceguard.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer

DEMUXERS = (
    *("wav", "w64", "aiff", "au", "caf", "voc", "ircam", "nistsphere", "sox", "qcp"),
    *("flac", "ogg", "mp3", "aac", "loas", "mov", "matroska", "asf", "avi", "mpegts", "flv"),
    *("amr", "amrnb", "amrwb", "ac3", "eac3", "dts", "ape", "wv", "tta", "tak", "shn"),
    *("mpc", "mpc8", "dsf", "gsm", "sbc"),
)
"""FFmpeg's names of what may be read."""

HEADERLESS = (
    *("mp3", "aac", "loas", "amr", "amrnb", "amrwb", "ac3", "eac3", "dts", "gsm", "sbc", "shn"),
    *("mpegts", "voc"),
)
"""Of these FFmpeg guesses the length, by the size of the file and the rate of the first frames."""

MAX_BARREN_BYTES = 32 << 20
"""Of pictures and video before or between audio. FFmpeg would look for the next packet to the end,
for hours in a file of a terabyte that is mostly a hole."""
SEEK_BYTES = 4096
"""A leap counts as much: it looks about in steps of 8 bytes, too."""

_OPTIONS = {
    "format_whitelist": ",".join(DEMUXERS),
    "protocol_whitelist": "none",  # no protocol has that name
    "enable_drefs": "0",  # QuickTime's references to other files
}

_KINDS = (
    (stat.S_ISDIR, "a directory", "name the files in it"),
    (stat.S_ISFIFO, "a pipe", "give it to standard input: `voiceguard run --source stdin < PIPE`"),
    (stat.S_ISSOCK, "a socket", "give a recording"),
    (stat.S_ISCHR, "a device", "microphones are named by --source device:NAME"),
    (stat.S_ISBLK, "a device", "give a recording"),
)


class Readable(Protocol):
    """What PyAV needs of a file object; with ``seek`` and ``tell`` it can do more."""

    def read(self, num_bytes: int, /) -> bytes | None: ...


def open_file(path: Path) -> FileIO:
    """Opens a regular file for reading; waits for nobody.

    Raises:
        AudioError: Missing, unreadable, empty, or no regular file.
    """
    hint = "check the file's name, its directory and their permissions"
    try:
        # Non-blocking: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path} does not exist", hint=hint) from error
    except ValueError as error:  # a NUL in the name
        raise AudioError(f"{str(path)!r} is no file name", hint=hint) from error
    except OSError as error:  # no permission, a name far too long, a socket
        _refuse_unless_regular(path)
        raise AudioError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    with ExitStack() as exits:
        exits.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        _refuse(path, status.st_mode)
        if status.st_size == 0:
            raise AudioError(f"{path} is empty (0 bytes)", hint="record or copy it again")
        exits.pop_all()
    return FileIO(descriptor)


def _refuse_unless_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    _refuse(path, mode)


def _refuse(path: Path, mode: int) -> None:
    for is_kind, kind, hint in _KINDS:
        if is_kind(mode):
            raise AudioError(f"{path} is {kind}, not an audio file", hint=hint)


def open_container(supply: Supply) -> InputContainer:
    """Opens what a file holds, which stays open for as long as the container.

    Raises:
        av.error.FFmpegError: It is no container of DEMUXERS.
    """
    return cast("InputContainer", av.open(supply, options=_OPTIONS, metadata_errors="replace"))


class Supply:
    """A file object as FFmpeg gets it: under a name that means nothing, and with an end.

    Args:
        file: Seekable or not.
        suffix: Of the file's name; helps FFmpeg where the content is ambiguous.
    """

    def __init__(self, file: Readable, suffix: str = "") -> None:
        known = suffix if suffix[1:].isalnum() and len(suffix) < 8 else ""
        self.name = f"audio{known}"
        self._file = cast("Any", file)  # with seek and tell, perhaps
        self._num_barren = 0
        self._read_to = 0
        if getattr(file, "seekable", bool)():
            self.seek = self._seek
            self.tell = self._file.tell

    def read(self, num_bytes: int, /) -> bytes | None:
        """What comes next; nothing where too much has come for nothing."""
        if self._num_barren > MAX_BARREN_BYTES:
            return b""
        data: bytes | None = self._file.read(num_bytes)
        self._num_barren += len(data or b"")
        self._read_to += len(data or b"")
        return data

    def note_audio(self) -> None:
        """It was not for nothing."""
        self._num_barren = 0

    def _seek(self, offset: int, whence: int = 0, /) -> int:
        place = int(self._file.seek(offset, whence))
        self._num_barren += SEEK_BYTES
        if place < self._read_to:  # it has seen enough, and reads what it passed over
            self._num_barren = 0
        if whence != os.SEEK_END:  # that is only how it asks for the size
            self._read_to = place
        return place


# --- what FFmpeg does not look at in WAV files' headers -------------------------------------

RIFF_UNKNOWN = 0x7FFF_0000
"""A size from here on was written by a program that could not seek back to correct it."""
MAX_TAG_BYTES = 1 << 20
MAX_CHUNKS = 10_000

_ORDERS: dict[bytes, Literal["little", "big"]] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"BW64": "little",
    b"RIFX": "big",
}


class RiffHeader:
    """A WAV file's outermost chunks; of any other file, nothing.

    Args:
        file: Regular, read from its start; left there.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._num_bytes = os.fstat(file.fileno()).st_size
        start = file.read(12)
        self._kind = start[:4]
        self._order = _ORDERS.get(self._kind)
        self._declared = int.from_bytes(start[4:8], self._order or "little") + 8
        file.seek(0)

    @property
    def is_big_endian(self) -> bool:
        """Whether numbers in it, samples too, are so."""
        return self._order == "big"

    @property
    def share_present(self) -> float:
        """How much of the file is there; 1.0 where it doesn't say how long it should be."""
        is_known = self._kind in {b"RIFF", b"RIFX"} and self._declared < RIFF_UNKNOWN
        return min(1.0, self._num_bytes / self._declared) if is_known else 1.0

    def has_impossible_tag(self) -> bool:
        """Whether a tag says that it is longer than the file and than any tag."""
        if self._order is None:
            return False
        try:
            return any(
                kind == b"LIST" and self._has_impossible(first, first + size)
                for kind, first, size in self._chunks(12, self._num_bytes)
            )
        finally:
            self._file.seek(0)

    def _has_impossible(self, first: int, end: int) -> bool:
        return any(
            size > MAX_TAG_BYTES and start + size > self._num_bytes
            for _, start, size in self._chunks(first + 4, min(end, self._num_bytes))
        )

    def _chunks(self, first: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, place of the content and its length of each chunk between two places."""
        for _ in range(MAX_CHUNKS):
            if first + 8 > end:
                return
            self._file.seek(first)
            head = self._file.read(8)
            size = int.from_bytes(head[4:], self._order or "little")
            yield head[:4], first + 8, size
            first += 8 + size + size % 2
