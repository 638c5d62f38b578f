"""Files out of a ``.tar`` or ``.tar.gz`` that nobody vouches for, by name and into memory only.

Nothing is ever unpacked to disk, so a member's path leads nowhere; an archive that tries all the
same, by ``../``, a link or a device, is refused as a whole, because no honest one holds them.
Sizes are checked where they are declared, before anything is read.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from voiceguard.errors import EncoderError
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_MEMBERS = 1000
MOST_BYTES = 2**31
"""Of the whole archive, unpacked."""
MOST_HEADER_BYTES = 2**20
"""Of what describes one member: long names, extended headers."""

_GZIP_MAGIC = b"\x1f\x8b"
_DAMAGED_HINT = "Fetch the file again from where it came from; it is damaged or incomplete."
_HOSTILE_HINT = "Don't use this file: an archive of weights has no reason to hold that."


def is_tar(path: Path) -> bool:
    """Whether a file begins like a tar archive, gzipped or not."""
    try:
        with open_regular(path) as file, _unpacked(file) as stream:
            header = stream.read(tarfile.BLOCKSIZE)
            tarfile.TarInfo.frombuf(header, tarfile.ENCODING, "surrogateescape")
    except (tarfile.HeaderError, OSError, EOFError, zlib.error):
        return False
    return True


def read_members(path: Path, wanted: Mapping[str, int]) -> dict[str, bytes]:
    """Reads members of an archive.

    Args:
        path: The archive.
        wanted: The most bytes that each member may have, by its name (without a leading ``./``,
            and without the folder where all of them were packed inside one).

    Returns:
        The content of every member wanted.

    Raises:
        EncoderError: The archive cannot be read, is damaged, incomplete or hostile, or lacks a
            member.
    """
    try:
        with open_regular(path) as file, _unpacked(file) as stream:
            bounded = _Bounded(stream)
            with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as archive:
                found = _read(path, archive, bounded, wanted)
            while bounded.read(MOST_HEADER_BYTES):
                pass  # gzip's checksum is at the end
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EncoderError(
            f"{path} is no complete archive (.tar or .tar.gz): {error}", hint=_DAMAGED_HINT
        ) from error
    except OSError as error:
        raise EncoderError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="Mend its permissions, or fetch it again.",
        ) from error
    if missing := sorted(set(wanted) - set(found)):
        raise EncoderError(
            f"{path} has no {missing[0]}, or is damaged before it", hint=_DAMAGED_HINT
        )
    return found


def _read(
    path: Path, archive: tarfile.TarFile, bounded: _Bounded, wanted: Mapping[str, int]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, member in enumerate(archive, start=1):
        if number > MOST_MEMBERS:
            raise EncoderError(f"{path} has more than {MOST_MEMBERS} members", hint=_HOSTILE_HINT)
        name = _checked_name(path, member)
        folder, _, inner = name.partition("/")
        if inner in wanted and folder not in wanted:
            name = inner
        most = wanted.get(name, MOST_BYTES)
        if not 0 <= member.size <= most:
            raise EncoderError(
                f"{path} says that {name} has {member.size:,} bytes; at most {most:,} are read",
                hint=_HOSTILE_HINT,
            )
        if name not in wanted or member.isdir():
            continue
        if name in found:
            raise EncoderError(f"{path} has {name} twice", hint=_HOSTILE_HINT)
        found[name] = _content(archive, member, bounded)
    return found


def _checked_name(path: Path, member: tarfile.TarInfo) -> str:
    """The member's name without a leading ``./``; it must be a plain file or directory."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\\" in member.name:
        raise EncoderError(
            f"{path} has a member that leads out of it: {member.name!r}", hint=_HOSTILE_HINT
        )
    is_file = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()
    if not (is_file or member.isdir()):
        raise EncoderError(
            f"{path} has a member that is neither a file nor a directory but a link, a device or "
            f"the like: {member.name!r}",
            hint=_HOSTILE_HINT,
        )
    return "/".join(parts)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, bounded: _Bounded) -> bytes:
    reader = archive.extractfile(member)
    assert reader is not None  # a plain file
    bounded.most_at_once = max(member.size, io.DEFAULT_BUFFER_SIZE)
    content = reader.read()
    bounded.most_at_once = MOST_HEADER_BYTES
    if len(content) != member.size:
        raise tarfile.ReadError(f"it ends within {member.name}")
    return content


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The file itself, or what it holds where that is gzipped."""
    is_gzip = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    file.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_gzip else file


class _Bounded:
    """A stream that refuses to be read, or skipped, for longer than an archive may be.

    A few bytes of gzip can unpack to any number, and a header can ask for a buffer of any size.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.most_at_once = MOST_HEADER_BYTES

    def read(self, num_bytes: int) -> bytes:
        if num_bytes > self.most_at_once:
            raise tarfile.ReadError(f"a header asks for {num_bytes:,} bytes")
        self._check(self.tell())
        return self._stream.read(num_bytes)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > MOST_BYTES:
            raise tarfile.ReadError(f"unpacked it has more than {MOST_BYTES:,} bytes")
