"""The marks of right and wrong of every speaker, each's as one file beside the voiceprint.

Sealed like the voiceprint, and removed with it: an envelope (see ``envelope``) whose body is JSON,
a list of marks. Blocking. A file that can't be believed is refused by its speaker's name, and moves
no threshold.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import structlog

from voiceguard.errors import VoiceguardError, VoiceprintError
from voiceguard.scoring.adaptation import Mark
from voiceguard.validation.boundary import refusing
from voiceguard.validation.parsing import parse_json
from voiceguard.validation.reading import plain, read_rows
from voiceguard.voiceprints import directory as files
from voiceguard.voiceprints import envelope
from voiceguard.voiceprints.durable import replace_durably
from voiceguard.voiceprints.reading import MARKS_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from voiceguard.voiceprints.key import StoreKey
    from voiceguard.voiceprints.store import VoiceprintStore

MAX_MARKS = 200
"""Of one speaker; the oldest go first."""
MAX_FILE_BYTES = 1 << 20
"""Far above that many marks, of 400 bytes each."""

_log = structlog.get_logger()

_KIND = envelope.Kind(
    magic=b"VGMARKS\n",
    version=1,
    header=envelope.Header,
    name="file of marks",
    remedy="restore it from a backup, or begin anew: `voiceguard voiceprints adapt NAME --undo`",
)


class LoadedMarks(NamedTuple):
    """What could be read, and why the rest could not."""

    marks: dict[str, tuple[Mark, ...]]
    """By speaker, oldest first; who has none is left out."""
    refused: dict[str, str]


class MarkStore:
    """Reads and changes the marks beside the voiceprints of a store."""

    def __init__(self, store: VoiceprintStore, *, max_marks: int = MAX_MARKS) -> None:
        self._store = store
        self._max_marks = max_marks

    def load(self, speaker: str) -> tuple[Mark, ...]:
        """A speaker's marks, oldest first.

        Raises:
            VoiceprintError: Damaged, tampered with, or somebody else's.
            StoreKeyError: The key is missing, unusable or not the one it was sealed with.
        """
        try:
            content = self._read(speaker)
        except FileNotFoundError:
            return ()
        return _unseal(content, speaker, self._store.key())

    def load_all(self, speakers: Iterable[str]) -> LoadedMarks:
        """Of each of these, where there are any that can be believed."""
        files.finish_interrupted(self._store.directory)
        marks, refused = {}, {}
        for speaker in speakers:
            try:
                if found := self.load(speaker):
                    marks[speaker] = found
            except VoiceguardError as error:
                refused[speaker] = str(error)
                _log.warning("marks_refused", speaker=speaker, reason=str(error), hint=error.hint)
        return LoadedMarks(marks, refused)

    def put(self, decision_id: str, marks: Mapping[str, Mark]) -> None:
        """Stores what is said of a decision now; what was said of it before no longer counts.

        On disk when this returns, for all speakers or for none.

        Args:
            decision_id: Of the decision.
            marks: By speaker.

        Raises:
            VoiceprintError: A file of one of them can't be believed.
            StoreKeyError: As ``load``.
            StateError: The disk is full, or the directory can't be written to.
        """
        directory, key = self._store.directory, self._store.key()
        with files.writing(directory):
            changes: list[tuple[Path, bytes | None]] = []
            for speaker in sorted({*marks, *self._speakers()}):
                try:
                    known = self.load(speaker)
                except VoiceguardError:
                    if speaker in marks:
                        raise
                    continue  # said by load_all; what is unreadable counts for nothing
                kept = [mark for mark in known if mark.decision_id != decision_id]
                now = (*kept, marks[speaker]) if speaker in marks else tuple(kept)
                if now != known:
                    changes.append(
                        (self._path(speaker), _seal(now[-self._max_marks :], speaker, key))
                    )
            _replace(changes)

    def undo(self, speaker: str) -> int:
        """Forgets every mark of a speaker, readable or not: the threshold is as calibrated.

        Returns:
            How many there were; 1 where nobody can tell.

        Raises:
            StateError: The directory can't be written to.
        """
        with files.writing(self._store.directory):
            try:
                num_marks = len(self.load(speaker))
            except VoiceguardError:
                num_marks = 1
            if num_marks:
                _replace([(self._path(speaker), None)])
        return num_marks

    def _speakers(self) -> list[str]:
        found = files.list_files(self._store.directory, MARKS_SUFFIX)
        return [path.name.removesuffix(MARKS_SUFFIX) for path in found]

    def _read(self, speaker: str) -> bytes:
        return files.read_file(self._path(speaker), MAX_FILE_BYTES, f"the marks of {speaker!r}")

    def _path(self, speaker: str) -> Path:
        return self._store.marks_path(speaker)


def _replace(changes: list[tuple[Path, bytes | None]]) -> None:
    if not changes:
        return
    try:
        replace_durably(*changes, is_planned=True)
    except OSError as error:
        raise files.cannot_write(changes[0][0], error) from error


def _seal(marks: Iterable[Mark], speaker: str, key: StoreKey) -> bytes:
    rows = [
        {
            **plain(mark),
            "decided_at": mark.decided_at.isoformat(),
            "marked_at": mark.marked_at.isoformat(),
        }
        for mark in marks
    ]
    body = json.dumps(rows, allow_nan=False, separators=(",", ":")).encode()
    return envelope.seal(_KIND, speaker, {}, body, key)


def _unseal(content: bytes, speaker: str, key: StoreKey) -> tuple[Mark, ...]:
    with refusing(f"the marks of {speaker!r}", VoiceprintError, hint=_KIND.remedy):
        _, body = envelope.unseal(_KIND, content, speaker, key)
        try:
            return read_rows(Mark, parse_json(body))
        except ValueError as error:
            raise VoiceprintError(
                f"the marks of {speaker!r} are intact but not understood: {error}",
                hint=_KIND.remedy,
            ) from error
