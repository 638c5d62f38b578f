"""The directory of voiceprints: one encrypted file per speaker, each replaced in one step.

Blocking: the daemon calls it on its I/O executor. Any number of processes may read and write at
the same time; writers take turns. What was stored before a ``kill -9`` or on a full disk is there
afterwards, and a file that can't be trusted is refused by name while the others go on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog

from voiceguard.errors import StateError, StoreKeyError, VoiceguardError, VoiceprintError
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir, voiceprints_dir
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints.durable import TEMPORARY_SUFFIX, replace_durably, sync_directory
from voiceguard.voiceprints.key import StoreKey, create_key, key_location, load_key
from voiceguard.voiceprints.names import check_speaker_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from voiceguard.types import Voiceprint

SUFFIX = ".voiceprint"

Generation: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and modification time (ns) of every file: equal means nothing has changed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A file that is there and was not believed."""

    speaker: str
    """As the file is called."""
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVoiceprints:
    """What a look into the store gave; both by speaker's name, in order."""

    voiceprints: tuple[Voiceprint, ...]
    refusals: tuple[Refusal, ...]


class VoiceprintStore:
    """The voiceprints of one state directory. Opening it reads and makes nothing yet."""

    def __init__(
        self,
        state: Path,
        *,
        key_file: str | Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.directory = voiceprints_dir(state)
        self._state = state
        self._key_file = key_file
        self._environ = environ

    @property
    def key_path(self) -> Path:
        """Where the key is, or will be created."""
        return key_location(self._state, self._key_file, self._environ)

    def names(self) -> tuple[str, ...]:
        """Who has a file here, readable or not; needs no key."""
        return tuple(path.name.removesuffix(SUFFIX) for path in self._files())

    def generation(self) -> Generation:
        """Changes whenever a voiceprint is saved, removed or meddled with. Cheap: only ``stat``."""
        entries = []
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                entries.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(entries)

    def load(self, speaker: str, *, encoder_id: str | None = None) -> Voiceprint:
        """Reads one voiceprint.

        Args:
            speaker: Its name.
            encoder_id: Refuse embeddings of any other encoder; None: take any.

        Raises:
            UsageError: No name that a speaker can have.
            VoiceprintError: Missing, damaged, tampered with, somebody else's, another encoder's.
            StoreKeyError: The key is missing, unusable or not the one it was sealed with.
            StateError: The directory can't be read.
        """
        path = self._path(speaker)
        if not is_there(path):
            raise self._nobody(speaker)
        try:
            return self._open(path, speaker, self._existing_key(), encoder_id)
        except FileNotFoundError as error:  # removed since we looked
            raise self._nobody(speaker) from error

    def load_all(self, *, encoder_id: str | None = None) -> LoadedVoiceprints:
        """Reads every voiceprint that can be trusted, and says why the others can't.

        Raises:
            StoreKeyError: There are voiceprints and no key, or none of them is sealed with it.
            StateError: The directory can't be read.
        """
        names = self.names()
        if not names:
            return LoadedVoiceprints(voiceprints=(), refusals=())
        key = self._existing_key()
        self._check_key_fits(key)
        voiceprints, refusals = [], []
        for name in names:
            try:
                check_speaker_name(name)
                voiceprints.append(self._open(self._path(name), name, key, encoder_id))
            except FileNotFoundError:
                continue  # removed since we looked
            except VoiceguardError as error:
                refusals.append(Refusal(speaker=name, reason=str(error), hint=error.hint))
                _log.warning("voiceprint_refused", speaker=name, reason=str(error))
        return LoadedVoiceprints(voiceprints=tuple(voiceprints), refusals=tuple(refusals))

    def prepare(self) -> None:
        """Makes directory and key where they are missing, so that a later ``save`` will succeed.

        Raises:
            StoreKeyError: Voiceprints are there and their key is not, or it is another one.
            StateError: The directory can't be made or written to.
        """
        self._key_for_saving()

    def save(self, voiceprint: Voiceprint, *, overwrite: bool = False) -> None:
        """Stores a voiceprint; on disk when this returns, and unchanged where it raises.

        Raises:
            VoiceprintError: The speaker has one already, and ``overwrite`` is False.
            StoreKeyError: As ``prepare``.
            StateError: The disk is full, or the directory can't be written to.
        """
        path = self._path(voiceprint.speaker)
        key = self._key_for_saving()
        content = file_format.seal(voiceprint, key)
        with self._writing():
            if not overwrite and is_there(path):
                raise VoiceprintError(
                    f"{voiceprint.speaker!r} is already enrolled",
                    hint="--add takes another room or microphone in, --force starts anew",
                )
            try:
                replace_durably(path, content)
            except OSError as error:
                raise _cannot_write(path, error) from error

    def remove(self, speaker: str) -> None:
        """Deletes a voiceprint, readable or not; needs no key.

        Raises:
            UsageError: No name that a speaker can have.
            VoiceprintError: There is none.
            StateError: The directory can't be written to.
        """
        path = self._path(speaker)
        if not is_there(path):
            raise self._nobody(speaker)
        with self._writing():
            try:
                path.unlink(missing_ok=True)
                sync_directory(self.directory)
            except OSError as error:
                raise _cannot_write(path, error) from error

    def _nobody(self, speaker: str) -> VoiceprintError:
        known = ", ".join(self.names()) or "nobody"
        return VoiceprintError(
            f"there is no voiceprint of {speaker!r} in {self.directory}",
            hint=f"enrolled: {known}; `voiceguard enroll NAME` adds somebody",
        )

    def _path(self, speaker: str) -> Path:
        return self.directory / (check_speaker_name(speaker) + SUFFIX)

    def _files(self) -> list[Path]:
        try:
            entries = list(self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"cannot read the voiceprints' directory {self.directory}: {error.strerror}",
                hint="run as its owner, or as root",
            ) from error
        return sorted(p for p in entries if p.suffix == SUFFIX and not p.name.startswith("."))

    def _open(self, path: Path, speaker: str, key: StoreKey, encoder_id: str | None) -> Voiceprint:
        content = _read(path, speaker)
        voiceprint = file_format.unseal(content, speaker, key)
        if encoder_id is not None and voiceprint.encoder_id != encoder_id:
            raise VoiceprintError(
                f"the voiceprint of {speaker!r} was made by encoder {voiceprint.encoder_id}; "
                f"the one in use is {encoder_id}, and the two can't be compared",
                hint=f"`voiceguard enroll {speaker} --force`, or go back to the other encoder",
            )
        return voiceprint

    def _existing_key(self) -> StoreKey:
        path = self.key_path
        if not is_there(path):
            raise StoreKeyError(
                f"the key file {path} is missing, and the {len(self.names())} voiceprint(s) in "
                f"{self.directory} can't be read without it",
                hint="restore that file; or remove the voiceprints "
                "(`voiceguard voiceprints remove NAME`) and enroll again",
            )
        return load_key(path, self._environ)

    def _key_for_saving(self) -> StoreKey:
        make_private_dir(self.directory)
        with self._writing():
            if not self.names() and not is_there(self.key_path):
                return create_key(self.key_path)
        key = self._existing_key()
        self._check_key_fits(key)
        return key

    def _check_key_fits(self, key: StoreKey) -> None:
        """Refuses a key that seals none of the files, while at least one names another key.

        One foreign file among others is that file's problem; all of them foreign means that the
        key is wrong, and saving under it would split the store in two.
        """
        key_ids = set()
        for name in self.names():
            with contextlib.suppress(VoiceguardError, FileNotFoundError):
                content = _read(self.directory / (name + SUFFIX), name)
                key_ids.add(file_format.read_header(content, name).key_id)
        if key_ids and key.key_id not in key_ids:
            raise StoreKeyError(
                f"{key.source} is not the key that sealed the voiceprints in {self.directory}",
                hint="restore the right key; or remove the voiceprints "
                "(`voiceguard voiceprints remove NAME`) and enroll again",
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; clears what a killed one left behind."""
        try:
            descriptor = os.open(
                self.directory / ".lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE
            )
        except OSError as error:
            raise _cannot_write(self.directory, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for leftover in self.directory.glob(f".*{TEMPORARY_SUFFIX}"):
                leftover.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)


def _read(path: Path, speaker: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(file_format.MAX_FILE_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VoiceprintError(
            f"cannot read the voiceprint of {speaker!r}, {path}: {error.strerror}",
            hint="run as its owner",
        ) from error


def _cannot_write(path: Path, error: OSError) -> StateError:
    hint = f"run as the owner of {path.parent}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        hint = "free some space and try again; what was stored before is unharmed"
    return StateError(f"cannot write {path}: {error.strerror}", hint=hint)
