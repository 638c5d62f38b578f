"""The directory of voiceprints: one encrypted file per speaker, each replaced in one step.

Beside it, where the speaker agreed, an encrypted file of the audio that it was made from.

Blocking: the daemon calls it on its I/O executor. Any number of processes may read and write at
the same time; writers take turns. What was stored before a ``kill -9`` or on a full disk is there
afterwards, and a file that can't be trusted is refused by name while the others go on.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog

from voiceguard.audit.log import AuditLog
from voiceguard.errors import UsageError, VoiceguardError, VoiceprintError
from voiceguard.paths import (
    audit_file,
    is_there,
    make_private_dir,
    settle_node_suffix,
    voiceprints_dir,
)
from voiceguard.validation.boundary import refusing
from voiceguard.voiceprints import directory as files
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints import kept_audio, wording
from voiceguard.voiceprints.durable import replace_durably, sync_directory
from voiceguard.voiceprints.key import StoreKey, create_key, key_location, load_key
from voiceguard.voiceprints.names import check_speaker_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.kept_audio import KeptAudio

SUFFIX = ".voiceprint"
AUDIO_SUFFIX = ".audio"

Generation: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and modification time (ns) of every file and of the key: equal means nothing
has changed."""

_Contents: TypeAlias = "list[tuple[Path, bytes | None]]"
"""What goes where; None: nothing is left there."""

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
        encoder_name: Callable[[str], str | None] = lambda _encoder_id: None,
    ) -> None:
        """``encoder_name``: what an encoder of that id is called here; None: it is not here."""
        self.directory = voiceprints_dir(state)
        self._state = state
        self._key_file = key_file
        self._environ = environ
        self._encoders = wording.EncoderNames(encoder_name)
        self._audit = AuditLog(audit_file(state))

    @property
    def key_path(self) -> Path:
        """Where the key is, or will be created."""
        return key_location(self._state, self._key_file, self._environ)

    def names(self) -> tuple[str, ...]:
        """Who has a file here, readable or not; needs no key."""
        return tuple(_printable(path.name.removesuffix(SUFFIX)) for path in self._files())

    def generation(self) -> Generation:
        """Changes whenever a voiceprint or the key comes, goes or is meddled with: only ``stat``.

        Raises:
            StoreKeyError: The setting says no place that the key can have.
            StateError: The directory can't be read.
        """
        entries = []
        paths = self._files()
        for path in (*paths, self.key_path) if paths else ():
            try:
                status = path.stat()
                entries.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError as error:  # gone since we looked, or it will be refused when it is read
                entries.append((path.name, -(error.errno or 1), 0, 0))
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
        files.finish_interrupted(self.directory)
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
        files.finish_interrupted(self.directory)
        names = self.names()
        if not names:
            return LoadedVoiceprints(voiceprints=(), refusals=())
        key = self._existing_key()
        self._check_key_fits(key)
        voiceprints, refusals = [], []
        for name in names:
            try:
                voiceprints.append(self._open(self._path(name), name, key, encoder_id))
            except FileNotFoundError:
                continue  # removed since we looked
            except VoiceguardError as error:
                hint = wording.removal(name) if isinstance(error, UsageError) else error.hint
                refusals.append(Refusal(speaker=name, reason=str(error), hint=hint))
                _log.warning("voiceprint_refused", speaker=name, reason=str(error), hint=hint)
        return LoadedVoiceprints(voiceprints=tuple(voiceprints), refusals=tuple(refusals))

    def prepare(self) -> None:
        """Makes directory and key where they are missing, so that a later ``save`` will succeed.

        Raises:
            StoreKeyError: Voiceprints are there and their key is not, or it is another one.
            StateError: The directory can't be made or written to.
        """
        self._key_for_saving()

    def save(
        self, voiceprint: Voiceprint, *, overwrite: bool = False, audio: KeptAudio | None = None
    ) -> None:
        """Stores a voiceprint; on disk when this returns, and unchanged where it raises.

        Args:
            voiceprint: Replaces the speaker's.
            overwrite: Whether it may.
            audio: All that is kept of this enrollment, from now on. None: audio of the same
                enrollment stays, that of an earlier one is deleted.

        Raises:
            VoiceprintError: The speaker has one already, and ``overwrite`` is False; or the audio
                is not this voiceprint's, or too much; or what audio was kept can't be looked at.
            StoreKeyError: As ``prepare``.
            StateError: The disk is full, or the directory can't be written to.
        """
        path = self._path(voiceprint.speaker)
        contents = self._sealed(voiceprint, audio)
        with files.writing(self.directory):
            if not overwrite and is_there(path):
                raise wording.already_enrolled(voiceprint.speaker)
            self._note("enrollment", voiceprint)
            self._write(voiceprint, contents)

    def replace(self, old: Voiceprint, new: Voiceprint, *, audio: KeptAudio | None = None) -> None:
        """Puts a voiceprint in the place of one of the same enrollment.

        Args:
            old: As it was loaded.
            new: Of the same speaker and enrollment.
            audio: As in ``save``.

        Raises:
            VoiceprintError: The speaker was removed or changed since ``old`` was loaded; or the
                audio is not this voiceprint's, or too much.
            StoreKeyError: As ``prepare``.
            StateError: As ``save``.
        """
        contents = self._sealed(new, audio)
        with files.writing(self.directory):
            present = self.load(old.speaker)
            if (present.created_at, present.updated_at) != (old.created_at, old.updated_at):
                raise wording.changed_meanwhile(old.speaker)
            self._note("enrollment", new)
            self._write(new, contents)

    def load_audio(self, voiceprint: Voiceprint) -> KeptAudio | None:
        """The audio that a voiceprint was made from; None where none is kept.

        Raises:
            VoiceprintError: Damaged, tampered with, or of another enrollment.
            StoreKeyError: As ``load``.
        """
        speaker = voiceprint.speaker
        files.finish_interrupted(self.directory)
        try:
            content = self._read_audio(speaker)
        except FileNotFoundError:
            return None
        key, what = self._existing_key(), f"the kept audio of {speaker!r}"
        with refusing(what, VoiceprintError, hint="enroll again with --keep-audio"):
            audio = kept_audio.unseal(content, speaker, key)
        audio.check(voiceprint)
        return audio

    def audio_bytes(self, speaker: str) -> int | None:
        """How large the file of kept audio is; None where there is none. Needs no key."""
        path = self._audio_path(speaker)
        return path.stat().st_size if is_there(path) else None

    def holds(self, speaker: str) -> bool:
        """Whether anything of a speaker is stored, readable or not; needs no key."""
        return any(is_there(path) for path in self._paths_to_remove(speaker))

    def remove(self, speaker: str) -> None:
        """Deletes a voiceprint and the audio kept with it, readable or not; needs no key.

        Also a file of the directory whose name no speaker can have.

        Raises:
            UsageError: No name that a speaker can have, and no file's either.
            VoiceprintError: There is neither.
            StateError: The directory can't be written to.
        """
        audio_path, path = self._paths_to_remove(speaker)
        if not self.holds(speaker):
            raise self._nobody(speaker)
        with files.writing(self.directory):
            if self._audit.exists:
                self._audit.append("deletion", speaker=speaker)
            try:
                # the audio first: a voiceprint without it can be removed again, it is seen
                audio_path.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                sync_directory(self.directory)
            except OSError as error:
                raise files.cannot_write(path, error) from error

    def _note(self, event: str, voiceprint: Voiceprint) -> None:
        """In the audit log, where there is one, before it is done: or it is not done."""
        if self._audit.exists:
            self._audit.append(
                event,
                speaker=voiceprint.speaker,
                encoder_id=voiceprint.encoder_id,
                takes=len(voiceprint.templates),
            )

    def _sealed(self, voiceprint: Voiceprint, audio: KeptAudio | None) -> _Contents:
        """What goes where, the voiceprint first."""
        key = self._key_for_saving()
        contents: _Contents = [(self._path(voiceprint.speaker), file_format.seal(voiceprint, key))]
        if audio is not None:
            audio.check(voiceprint)
            contents.append((self._audio_path(voiceprint.speaker), kept_audio.seal(audio, key)))
        return contents

    def _write(self, voiceprint: Voiceprint, contents: _Contents) -> None:
        """Replaces files while the lock is held; audio of an earlier enrollment goes."""
        if len(contents) == 1 and not self._is_audio_of(voiceprint):
            contents = [*contents, (self._audio_path(voiceprint.speaker), None)]
        try:
            replace_durably(*contents, is_planned=True)
        except OSError as error:
            raise files.cannot_write(contents[0][0], error) from error

    def _is_audio_of(self, voiceprint: Voiceprint) -> bool:
        """Whether the kept audio says that it is of this enrollment; yes where it is damaged.

        That stays for the person to restore or to remove.

        Raises:
            VoiceprintError: The disk, or its kind, lets nobody read it.
        """
        speaker = voiceprint.speaker
        try:
            content = self._read_audio(speaker)
        except FileNotFoundError:
            return True
        try:
            enrolled_at = kept_audio.read_enrolled_at(content, speaker)
        except VoiceprintError:
            return True
        return enrolled_at == voiceprint.created_at

    def _read_audio(self, speaker: str) -> bytes:
        path, what = self._audio_path(speaker), f"the kept audio of {speaker!r}"
        return files.read_file(path, kept_audio.MAX_FILE_BYTES, what)

    def _nobody(self, speaker: str) -> VoiceprintError:
        return wording.nobody(speaker, self.directory, self.names())

    def _path(self, speaker: str) -> Path:
        return self.directory / (check_speaker_name(speaker) + SUFFIX)

    def _audio_path(self, speaker: str) -> Path:
        return self.directory / (check_speaker_name(speaker) + AUDIO_SUFFIX)

    def _paths_to_remove(self, speaker: str) -> tuple[Path, Path]:
        """Of audio and voiceprint: of a speaker, or of a file that is here under any name."""
        for path in self._files():
            if _printable(path.name.removesuffix(SUFFIX)) == speaker:
                return path.with_suffix(AUDIO_SUFFIX), path
        return self._audio_path(speaker), self._path(speaker)

    def _files(self) -> list[Path]:
        return files.list_files(self.directory, SUFFIX)

    def _open(self, path: Path, speaker: str, key: StoreKey, encoder_id: str | None) -> Voiceprint:
        what = f"the voiceprint of {speaker!r}"
        with refusing(what, VoiceprintError, hint="remove it and enroll again"):
            voiceprint = file_format.unseal(_read(path, speaker), speaker, key)
        if encoder_id is not None and voiceprint.encoder_id != encoder_id:
            raise self.of_another_encoder(voiceprint, encoder_id)
        return voiceprint

    def of_another_encoder(self, voiceprint: Voiceprint, encoder_id: str) -> VoiceprintError:
        """What to say of a voiceprint that the encoder in use can't be compared with."""
        has_audio = self.audio_bytes(voiceprint.speaker) is not None
        return self._encoders.of_another(voiceprint, encoder_id, has_audio=has_audio)

    def encoder_name(self, encoder_id: str) -> str | None:
        """What an encoder is called here; None: it is not here."""
        return self._encoders.name_of(encoder_id)

    def describe_encoder(self, encoder_id: str) -> str:
        """The id, and the name that it has here: ``f97a3195a4a38cd5 (ecapa-c320)``."""
        return self._encoders.describe(encoder_id)

    def _existing_key(self) -> StoreKey:
        path = self.key_path
        if not is_there(path):
            raise wording.key_missing(path, self.directory, len(self.names()))
        return load_key(path, self._environ)

    def _key_for_saving(self) -> StoreKey:
        make_private_dir(self.directory)
        with files.writing(self.directory):
            if not self.names() and not is_there(self.key_path):
                settle_node_suffix(self._state)  # while it can be seen that all of it is new
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
            with (
                contextlib.suppress(VoiceguardError, FileNotFoundError),
                refusing(name, VoiceprintError),
            ):
                content = _read(self.directory / (name + SUFFIX), name)
                key_ids.add(file_format.read_header(content, name).key_id)
        if key_ids and key.key_id not in key_ids:
            raise wording.key_does_not_fit(key, self.directory)


def _printable(name: str) -> str:
    """A file's name as it may go into a message; bytes that are no UTF-8 are written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _read(path: Path, speaker: str) -> bytes:
    return files.read_file(path, file_format.MAX_FILE_BYTES, f"the voiceprint of {speaker!r}")
