"""Marks of right and wrong: said of a decision in the history, stored, shown, taken back.

Blocking: the daemon calls it on its I/O executor, the command line itself where no daemon runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from voiceguard.audit.log import AuditLog
from voiceguard.decisions.history import History
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import StateError, UsageError
from voiceguard.marks.claims import claims, mark_of
from voiceguard.marks.store import MarkStore
from voiceguard.paths import audit_file, history_file, state_dir
from voiceguard.scoring.adaptation import Standing, in_force, voiceprint_id
from voiceguard.scoring.policy import final_threshold
from voiceguard.service.arming import PolicyChoice
from voiceguard.service.kit import installed_in, load_scoring, open_store
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the marks of one speaker have done."""

    speaker: str
    name: str
    num_theirs: int
    """Marks that count."""
    num_others: int
    num_void: int
    """Of an earlier voiceprint, encoder or calibration."""
    standing: Standing
    calibrated_llr: float | None
    """What final decisions ask for without marks; None: nothing is calibrated."""
    accept_llr: float | None
    refused: str | None
    """Why the marks can't be used; None: they can."""


def show(settings: Settings) -> list[Shown]:
    """Everybody whose voiceprint can be used, by name.

    Raises:
        VoiceguardError: Voiceprints, cohort or calibration can't be read.
    """
    store = open_store(settings)
    encoder_id = stated_encoder_id(settings.encoder.model, installed_in(settings))
    voiceprints = store.load_all(encoder_id=encoder_id).voiceprints
    _, calibration = load_scoring(settings, encoder_id) if encoder_id else (None, None)
    policy = PolicyChoice(state_dir(settings.state_dir), settings.policy).policy
    marks, refused = MarkStore(store).load_all(each.speaker for each in voiceprints)
    counting = in_force(marks, voiceprints, calibration.calibration_id if calibration else None)
    shown = []
    for each in voiceprints:
        adaptation = counting.get(each.speaker)
        count = adaptation.marks if adaptation else ()
        calibrated_llr = accept_llr = None
        standing = Standing.NO_MARKS
        if calibration is not None:
            calibrated_llr, (accept_llr, standing) = final_threshold(
                policy, len(voiceprints), calibration, adaptation
            )
        shown.append(
            Shown(
                speaker=each.speaker,
                name=each.display_name,
                num_theirs=sum(one.is_theirs for one in count),
                num_others=sum(not one.is_theirs for one in count),
                num_void=len(marks.get(each.speaker, ())) - len(count),
                standing=standing,
                calibrated_llr=calibrated_llr,
                accept_llr=accept_llr,
                refused=refused.get(each.speaker),
            )
        )
    return shown
