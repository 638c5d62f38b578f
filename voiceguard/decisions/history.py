"""The last decisions, kept on this machine, so that "why was I rejected?" has an answer.

A small sqlite3 database with the decisions as they were published (:mod:`.wire`): no audio, no
embeddings. Blocking: the daemon appends on its I/O executor, one call at a time; the command line
reads from another process. Bounded by number and by age. A damaged file is set aside and a new one
begun; a full disk costs entries and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import structlog

from voiceguard.errors import StateError
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir
from voiceguard.validation.files import open_own
from voiceguard.validation.parsing import parse_json_object
from voiceguard.validation.ranges import Between, SettingsTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Result = TypeVar("_Result")

_APPENDS_PER_PRUNING = 50
_BUSY_TIMEOUT_S = 2.0

# A rollback journal, not WAL: `sudo voiceguard history` must leave no file behind that a daemon
# running as another user could not open. secure_delete overwrites what is forgotten.
_SCHEMA = """
PRAGMA journal_mode = DELETE;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY,
    decision_id TEXT NOT NULL UNIQUE,
    decided_at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS diagnostics (
    stream TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    noted_at TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (stream, opened_at)
);
"""

_RECENT = """
SELECT payload FROM decisions WHERE
    (?1 IS NULL OR coalesce(json_extract(payload, '$.speaker'),
                            json_extract(payload, '$.scores[0].speaker')) = ?1)
    AND (?2 IS NULL OR outcome = ?2)
    AND (?3 IS NULL OR decided_at >= ?3)
ORDER BY id DESC LIMIT ?4
"""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig(SettingsTable):
    """How much is remembered, the [history] table of voiceguard.toml."""

    max_entries: Annotated[int, Between(0, 1_000_000)] = 1000
    """Decisions kept, the oldest go first. 0: keep no history."""
    max_age_days: Annotated[float, Between(0.04, 3650)] = 30.0
    """Older decisions go. From an hour to ten years."""


class History:
    """The history in one file. Nothing is read or made before the first call."""

    def __init__(self, path: Path, config: HistoryConfig | None = None) -> None:
        self.path = path
        self._config = config or HistoryConfig()
        self._connection: sqlite3.Connection | None = None
        self._num_appended = 0
        self._lock = threading.Lock()  # the I/O executor has several threads

    def append(self, payload: dict[str, Any]) -> None:
        """Remembers a decision; one that is there already is replaced.

        Args:
            payload: What ``wire.decision_payload`` gives.

        Raises:
            StateError: Full disk, permissions, or locked for longer than 2 s; the next call may
                succeed.
        """
        if self._config.max_entries == 0:
            return
        row = (
            payload["decision_id"],
            payload["decided_at"],
            payload["outcome"],
            json.dumps(payload, ensure_ascii=False, allow_nan=False),
        )

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO decisions (decision_id, decided_at, outcome, payload) "
                "VALUES (?, ?, ?, ?)",
                row,
            )
            if self._num_appended % _APPENDS_PER_PRUNING == 0:
                self._prune(connection, now=datetime.fromisoformat(row[1]))

        self._run(insert)
        self._num_appended += 1

    def note(self, diagnostics: dict[str, Any]) -> None:
        """Remembers what a stream has lost since it was opened; replaces what was noted before.

        Args:
            diagnostics: ``stream``, ``opened_at``, ``noted_at`` and the stream's counters.

        Raises:
            StateError: As ``append``.
        """
        if self._config.max_entries == 0:
            return
        row = [diagnostics[name] for name in ("stream", "opened_at", "noted_at")]

        def replace(connection: sqlite3.Connection) -> None:
            text = json.dumps(diagnostics, allow_nan=False)
            connection.execute(
                "INSERT OR REPLACE INTO diagnostics VALUES (?, ?, ?, ?)", (*row, text)
            )
            self._prune(connection, now=datetime.fromisoformat(row[-1]))

        self._run(replace)

    def diagnostics(self) -> list[dict[str, Any]]:
        """What streams have lost, as it was noted, newest first; who lost nothing is left out.

        Raises:
            StateError: The file can't be read.
        """
        return self._select("SELECT payload FROM diagnostics ORDER BY noted_at DESC", ())

    def recent(
        self,
        limit: int = 20,
        *,
        speaker: str | None = None,
        outcome: str | None = None,
        since: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """The last decisions, newest first, as they were appended.

        Args:
            limit: At most so many.
            speaker: Only those that accepted, claimed or scored this one best.
            outcome: Only this outcome.
            since: Only those decided at this moment or later.

        Raises:
            StateError: The file can't be read.
        """
        when = None if since is None else _text(since)
        return self._select(_RECENT, (speaker, outcome, when, limit))

    def find(self, decision_id: str) -> dict[str, Any] | None:
        """One decision by its id, or by the beginning of it where that is unambiguous."""
        query = "SELECT payload FROM decisions WHERE substr(decision_id, 1, ?) = ? LIMIT 2"
        found = self._select(query, (len(decision_id), decision_id)) if decision_id else []
        return found[0] if len(found) == 1 else None

    def forget(self, speaker: str) -> int:
        """Removes a person: decisions about them, and their scores in the others'.

        Returns:
            How many decisions were removed or changed.

        Raises:
            StateError: The file can't be written.
        """
        if not is_there(self.path):
            return 0

        def scrub(connection: sqlite3.Connection) -> int:
            num_changed = 0
            for row_id, text in connection.execute("SELECT id, payload FROM decisions").fetchall():
                try:
                    payload = parse_json_object(text)
                    kept = [score for score in payload["scores"] if score["speaker"] != speaker]
                    goes = payload["speaker"] == speaker
                except (ValueError, KeyError, TypeError):
                    goes = True  # whom it names nobody can say
                if goes:
                    connection.execute("DELETE FROM decisions WHERE id = ?", (row_id,))
                elif len(kept) < len(payload["scores"]):
                    payload["scores"] = kept
                    connection.execute(
                        "UPDATE decisions SET payload = ? WHERE id = ?",
                        (json.dumps(payload, ensure_ascii=False), row_id),
                    )
                else:
                    continue
                num_changed += 1
            return num_changed

        return self._run(scrub)

    def close(self) -> None:
        """Lets go of the file; the next call opens it again."""
        with self._lock:
            self._disconnect()

    def _select(self, query: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        if not is_there(self.path):
            return []
        rows = self._run(lambda connection: connection.execute(query, values).fetchall())
        return [payload for (text,) in rows if (payload := self._understood(text)) is not None]

    def _understood(self, text: object) -> dict[str, Any] | None:
        """An entry's payload; None where it is none, which is told and keeps nobody from others."""
        try:
            return parse_json_object(text if isinstance(text, bytes) else str(text))
        except ValueError as error:
            _log.warning("history_entry_refused", path=str(self.path), reason=str(error))
            return None

    def _prune(self, connection: sqlite3.Connection, now: datetime) -> None:
        oldest = now - timedelta(days=self._config.max_age_days)
        connection.execute("DELETE FROM decisions WHERE decided_at < ?", (_text(oldest),))
        connection.execute("DELETE FROM diagnostics WHERE noted_at < ?", (_text(oldest),))
        connection.execute(
            "DELETE FROM decisions WHERE id <= "
            "(SELECT id FROM decisions ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (self._config.max_entries,),
        )

    def _run(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Does something in one transaction; once more on a new file where this one is damaged."""
        with self._lock:
            try:
                return self._attempt(action)
            except sqlite3.DatabaseError as error:
                self._disconnect()
                if not _is_damage(error):
                    raise self._refusal(error) from error
                self._set_aside(str(error))
            try:
                return self._attempt(action)
            except sqlite3.DatabaseError as error:
                self._disconnect()
                raise self._refusal(error) from error

    def _attempt(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        if self._connection is None:
            self._connection = self._connect()
        with self._connection:  # commits, or rolls back
            return action(self._connection)

    def _connect(self) -> sqlite3.Connection:
        make_private_dir(self.path.parent)
        try:
            # made here, not by sqlite: the journal takes its mode from the file
            os.close(open_own(self.path, PRIVATE_FILE_MODE, may_be_link=True))
        except OSError as error:
            raise self._refusal(error) from error
        connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _set_aside(self, reason: str) -> None:
        """Keeps one damaged file for a look; it replaces an earlier one, so they can't pile up."""
        aside = self.path.with_name(self.path.name + ".damaged")
        try:
            self.path.replace(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        except OSError as error:
            raise self._refusal(error) from error
        _log.warning("history_set_aside", path=str(aside), reason=reason)

    def _refusal(self, error: Exception) -> StateError:
        return StateError(
            f"cannot use the history {self.path}: {error}",
            hint="is the disk full, or does the file belong to another user? it can be removed",
        )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """A file that will never work again, not a full disk or a lock that passes."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: without the extension
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _text(moment: datetime) -> str:
    """As the wire writes times, so that they compare as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
