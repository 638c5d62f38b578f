"""Marks of right and wrong: said of a decision in the history, stored, taken back.

Blocking: the daemon calls it on its I/O executor, the command line itself where no daemon runs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from voiceguard.audit.log import AuditLog
from voiceguard.decisions.history import History
from voiceguard.errors import StateError, UsageError
from voiceguard.marks.claims import claims, mark_of
from voiceguard.marks.store import MarkStore
from voiceguard.paths import audit_file, history_file, state_dir
from voiceguard.scoring.adaptation import voiceprint_id
from voiceguard.service.kit import open_store
from voiceguard.validation.boundary import refusing

if TYPE_CHECKING:
    from voiceguard.settings import Settings
    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.store import VoiceprintStore


def mark(settings: Settings, decision_id: str, verdict: str, now: datetime) -> dict[str, Any]:
    """Stores that a decision was right, wrong, or about somebody else.

    Args:
        settings: Everything.
        decision_id: Its id, or the beginning of it.
        verdict: ``right``, ``wrong``, or who it was.
        now: UTC.

    Returns:
        ``decision_id``, and ``theirs``: by speaker, whether it was they who spoke.

    Raises:
        UsageError: There is no such decision, or nothing can be learnt from it.
        VoiceprintError, StoreKeyError: A voiceprint or marks can't be used.
        StateError: It can't be written: nothing has changed.
    """
    payload = _find(settings, decision_id)
    store = open_store(settings)
    with refusing(f"the decision {decision_id!r} in the history", StateError):
        theirs = claims(payload, verdict)
        marks = {
            speaker: mark_of(
                payload,
                speaker,
                is_theirs=is_theirs,
                voiceprint_id=voiceprint_id(_compared(store, speaker, payload)),
                now=now,
            )
            for speaker, is_theirs in theirs.items()
        }
    told = {"decision_id": payload["decision_id"], "theirs": theirs}
    _note(settings, "mark", **told)
    MarkStore(store).put(payload["decision_id"], marks)
    return told


def undo(settings: Settings, speaker: str) -> int:
    """Takes every mark of a speaker back; their threshold is as calibrated.

    Returns:
        How many there were.

    Raises:
        VoiceprintError: There is nobody of that name.
        StateError: It can't be written.
    """
    store = open_store(settings)
    if not store.holds(speaker):
        store.load(speaker)  # says that there is nobody of that name
    _note(settings, "marks undone", speaker=speaker)
    return MarkStore(store).undo(speaker)


def _find(settings: Settings, decision_id: str) -> dict[str, Any]:
    history = History(history_file(state_dir(settings.state_dir)), settings.history)
    try:
        found = history.find(decision_id)
    finally:
        history.close()
    if found is None:
        raise UsageError(
            f"no decision in {history.path} has the id {decision_id!r}, or several begin with it",
            hint="`voiceguard history` lists the decisions with their ids",
        )
    return found


def _compared(store: VoiceprintStore, speaker: str, payload: dict[str, Any]) -> Voiceprint:
    """What the decision compared the voice with, if it is as it was."""
    voiceprint = store.load(speaker, encoder_id=payload["encoder_id"])
    if datetime.fromisoformat(payload["decided_at"]) < voiceprint.updated_at:
        raise UsageError(
            f"the voiceprint of {speaker!r} has changed since that was decided",
            hint="mark a decision that was made with it as it is now",
        )
    return voiceprint


def _note(settings: Settings, event: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """In the audit log, where there is one, before it is done: or it is not done."""
    audit = AuditLog(audit_file(state_dir(settings.state_dir)))
    if audit.exists:
        audit.append(event, **fields)
