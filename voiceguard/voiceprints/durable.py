"""Files that survive a crash: on disk when the call returns, whole or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.paths import PRIVATE_FILE_MODE
from voiceguard.validation.files import open_regular, sync_directory
from voiceguard.validation.parsing import read_json_object
from voiceguard.validation.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
PLAN_SUFFIX = ".plan"


def temporary_beside(path: Path) -> Path:
    """A name for a file that will become ``path``: hidden, unique, in the same directory."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def write_durably(path: Path, content: bytes) -> None:
    """Writes a new file, 0600, and waits until its content is on disk.

    Raises:
        OSError: It exists, the disk is full, or anything else; no partial file is left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def replace_durably(*changes: tuple[Path, bytes | None], is_planned: bool = False) -> None:
    """Puts content in the place of files of one directory, in this order: all of them, or none.

    All contents are on disk before the first file is replaced, so that a full disk changes none,
    and what failed half-way is taken back. A reader sees each file old or new. After a crash the
    first ones may be new and the rest old, unless that was planned.

    Args:
        *changes: Paths and what they shall hold; None: nothing any more.
        is_planned: ``finish_planned`` does the rest after a crash; one writer at a time.

    Raises:
        OSError: Nothing has changed; unless taking it back failed as well.
    """
    replacement = _Replacement(changes)
    try:
        replacement.stage()
        if is_planned and len(changes) > 1:
            replacement.announce()
        replacement.carry_out()
    finally:  # also on Ctrl-C: leave nothing half-stored
        replacement.clear()


def finish_planned(directory: Path) -> None:
    """Does what is left of replacements that a killed process had begun; the caller has the lock.

    Raises:
        OSError: The directory can't be read or written to.
    """
    for path in sorted(directory.glob(f".*{PLAN_SUFFIX}")):
        first = path.with_name(path.name.removeprefix(".").removesuffix(PLAN_SUFFIX))
        with contextlib.suppress(ValueError, FileNotFoundError):  # no plan, or of nothing
            plan = read(_Plan, read_json_object(path))
            if _digest(first) == plan.sha256:
                for step in plan.steps:
                    step.finish(directory)
                sync_directory(directory)
        path.unlink()


def has_plans(directory: Path) -> bool:
    """Whether a replacement is under way, or was when its process was killed."""
    return any(directory.glob(f".*{PLAN_SUFFIX}"))


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What is to be done once the first file is in place."""

    name: str
    staged: str | None
    """Takes the place of ``name``; None: that is deleted."""

    def finish(self, directory: Path) -> None:
        path = directory / os.path.basename(self.name)  # noqa: PTH119 - a name, whatever it says
        if self.staged is None:
            path.unlink(missing_ok=True)
            return
        staged = directory / os.path.basename(self.staged)  # noqa: PTH119
        with contextlib.suppress(FileNotFoundError):  # done already
            staged.replace(path)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Written beside the first file, before that is replaced."""

    sha256: str
    """Of its new content: once that is in place, the steps are due."""
    steps: tuple[_Step, ...]


class _Replacement:
    def __init__(self, changes: Iterable[tuple[Path, bytes | None]]) -> None:
        self._changes = tuple(changes)
        self._directory = self._changes[0][0].parent
        self._staged: dict[Path, Path] = {}
        self._kept: dict[Path, Path] = {}
        self._plan: Path | None = None

    def stage(self) -> None:
        """New contents on disk under other names, and other names for the old ones."""
        for path, content in self._changes:
            if content is not None:
                self._staged[path] = temporary_beside(path)
                write_durably(self._staged[path], content)
        for path, _ in self._changes:
            with contextlib.suppress(FileNotFoundError):
                _keep(path, temporary := temporary_beside(path))
                self._kept[path] = temporary

    def announce(self) -> None:
        first, content = self._changes[0]
        steps = [
            {"name": path.name, "staged": staged.name if staged else None}
            for path, _ in self._changes[1:]
            for staged in [self._staged.get(path)]
        ]
        plan = {"sha256": hashlib.sha256(content or b"").hexdigest(), "steps": steps}
        self._plan = first.with_name(f".{first.name}{PLAN_SUFFIX}")
        write_durably(self._plan, json.dumps(plan).encode())
        sync_directory(self._directory)

    def carry_out(self) -> None:
        try:
            for path, content in self._changes:
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    self._staged[path].replace(path)
            sync_directory(self._directory)
        except BaseException:
            self._take_back()
            raise

    def clear(self) -> None:
        """Other names and the plan go; a disk that fails here leaves them for the next writer."""
        for path in (self._plan, *self._staged.values(), *self._kept.values()):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _take_back(self) -> None:
        for path, _ in reversed(self._changes):
            if path in self._kept:
                self._kept[path].replace(path)  # nothing happens where that is the file itself
            else:
                path.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(path: Path, other: Path) -> None:
    """Another name for a file; a copy where the file system knows no such thing."""
    try:
        os.link(path, other, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:
        with open_regular(path) as file:
            write_durably(other, file.read())
