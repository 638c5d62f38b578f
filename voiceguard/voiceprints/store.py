"""The directory of voiceprints: one encrypted file per speaker, each replaced in one step.

Beside it, where the speaker agreed, an encrypted file of the audio that it was made from; and one
of what people have said of decisions about the speaker (the package ``marks``).

Blocking: the daemon calls it on its I/O executor. Any number of processes may read and write at
the same time; writers take turns. What was stored before a ``kill -9`` or on a full disk is there
afterwards, and a file that can't be trusted is refused by name while the others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from voiceguard.audit.log import AuditLog
from voiceguard.errors import VoiceprintError
from voiceguard.paths import audit_file, is_there, make_private_dir, settle_node_suffix
from voiceguard.validation.files import sync_directory
from voiceguard.voiceprints import directory as files
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints import kept_audio, wording
from voiceguard.voiceprints.durable import replace_durably
from voiceguard.voiceprints.key import StoreKey, create_key
from voiceguard.voiceprints.reading import VoiceprintReader

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.kept_audio import KeptAudio

_Contents: TypeAlias = "list[tuple[Path, bytes | None]]"
"""What goes where; None: nothing is left there."""


class VoiceprintStore(VoiceprintReader):
    """The voiceprints of one state directory, to be read and changed; opening it makes nothing."""

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

    def remove(self, speaker: str) -> None:
        """Deletes a voiceprint, audio kept with it, and marks, readable or not; needs no key.

        Also a file of the directory whose name no speaker can have.

        Raises:
            UsageError: No name that a speaker can have, and no file's either.
            VoiceprintError: There is neither.
            StateError: The directory can't be written to.
        """
        paths = self._paths_to_remove(speaker)
        if not self.holds(speaker):
            raise self._nobody(speaker)
        with files.writing(self.directory):
            audit = AuditLog(audit_file(self._state))
            if audit.exists:
                audit.append("deletion", speaker=speaker)
            try:
                # the voiceprint last: without the others it can be removed again, it is seen
                for path in paths:
                    path.unlink(missing_ok=True)
                sync_directory(self.directory)
            except OSError as error:
                raise files.cannot_write(paths[-1], error) from error

    def _note(self, event: str, voiceprint: Voiceprint) -> None:
        """In the audit log, where there is one, before it is done: or it is not done."""
        audit = AuditLog(audit_file(self._state))
        if audit.exists:
            audit.append(
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

    def _key_for_saving(self) -> StoreKey:
        make_private_dir(self.directory)
        with files.writing(self.directory):
            if not self.names() and not is_there(self.key_path):
                settle_node_suffix(self._state)  # while it can be seen that all of it is new
                return create_key(self.key_path)
        key = self._existing_key()
        self._check_key_fits(key)
        return key
