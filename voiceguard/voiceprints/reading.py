"""The directory of voiceprints, as it is read: who is there, and who can be trusted.

Blocking: the daemon calls it on its I/O executor. Whatever was interrupted while it was written is
finished first, so a reader sees what was stored before or after, never half of it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog

from voiceguard.errors import UsageError, VoiceguardError, VoiceprintError
from voiceguard.paths import VOICEPRINT_SUFFIX, is_there, voiceprints_dir
from voiceguard.validation.boundary import refusing
from voiceguard.voiceprints import directory as files
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints import kept_audio, wording
from voiceguard.voiceprints.key import StoreKey, key_location, load_key
from voiceguard.voiceprints.names import check_speaker_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.kept_audio import KeptAudio

AUDIO_SUFFIX = ".audio"
MARKS_SUFFIX = ".marks"

Generation: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and modification time (ns) of every file and of the key: equal means nothing
has changed."""

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


class VoiceprintReader:
    """The voiceprints of one state directory. Opening it reads nothing yet."""

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

    @property
    def key_path(self) -> Path:
        """Where the key is, or will be created."""
        return key_location(self._state, self._key_file, self._environ)

    def names(self) -> tuple[str, ...]:
        """Who has a file here, readable or not; needs no key."""
        return tuple(
            _printable(path.name.removesuffix(VOICEPRINT_SUFFIX)) for path in self._files()
        )

    def generation(self) -> Generation:
        """Changes whenever voiceprint, marks or key come, go or are meddled with: only ``stat``.

        Raises:
            StoreKeyError: The setting says no place that the key can have.
            StateError: The directory can't be read.
        """
        entries = []
        paths = self._files()
        marks = files.list_files(self.directory, MARKS_SUFFIX)
        for path in (*paths, *marks, self.key_path) if paths else ():
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

    def _read_audio(self, speaker: str) -> bytes:
        path, what = self._audio_path(speaker), f"the kept audio of {speaker!r}"
        return files.read_file(path, kept_audio.MAX_FILE_BYTES, what)

    def _nobody(self, speaker: str) -> VoiceprintError:
        return wording.nobody(speaker, self.directory, self.names())

    def _path(self, speaker: str) -> Path:
        return self.directory / (check_speaker_name(speaker) + VOICEPRINT_SUFFIX)

    def _audio_path(self, speaker: str) -> Path:
        return self.directory / (check_speaker_name(speaker) + AUDIO_SUFFIX)

    def marks_path(self, speaker: str) -> Path:
        """Where a speaker's marks are, or will be.

        Raises:
            UsageError: No name that a speaker can have.
        """
        return self.directory / (check_speaker_name(speaker) + MARKS_SUFFIX)

    def _paths_to_remove(self, speaker: str) -> tuple[Path, ...]:
        """The voiceprint's last: of a speaker, or of a file that is here under any name."""
        for path in self._files():
            if _printable(path.name.removesuffix(VOICEPRINT_SUFFIX)) == speaker:
                return path.with_suffix(MARKS_SUFFIX), path.with_suffix(AUDIO_SUFFIX), path
        return self.marks_path(speaker), self._audio_path(speaker), self._path(speaker)

    def _files(self) -> list[Path]:
        return files.list_files(self.directory, VOICEPRINT_SUFFIX)

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

    def key(self) -> StoreKey:
        """What everything here is sealed with.

        Raises:
            StoreKeyError: It is missing or unusable.
        """
        return self._existing_key()

    def _existing_key(self) -> StoreKey:
        path = self.key_path
        if not is_there(path):
            raise wording.key_missing(path, self.directory, len(self.names()))
        return load_key(path, self._environ)

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
                content = _read(self.directory / (name + VOICEPRINT_SUFFIX), name)
                key_ids.add(file_format.read_header(content, name).key_id)
        if key_ids and key.key_id not in key_ids:
            raise wording.key_does_not_fit(key, self.directory)


def _printable(name: str) -> str:
    """A file's name as it may go into a message; bytes that are no UTF-8 are written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _read(path: Path, speaker: str) -> bytes:
    return files.read_file(path, file_format.MAX_FILE_BYTES, f"the voiceprint of {speaker!r}")
