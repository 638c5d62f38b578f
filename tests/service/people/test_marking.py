"""Marks from a decision in the history to the threshold, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import make_decision
from tests.voiceprints.people import make_person
from voiceguard.audit.log import AuditLog
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import AuditError, StateError, UsageError, VoiceprintError
from voiceguard.marks.store import MarkStore
from voiceguard.paths import audit_file, history_file
from voiceguard.scoring.adaptation import Standing
from voiceguard.scoring.calibration import save_calibration
from voiceguard.service.kit import installed_in, load_scoring, open_store
from voiceguard.service.people.marking import mark, show, undo
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.scoring.calibration import Calibration

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Home:
    """Anna and Ben, of the encoder that is shipped, and a history."""

    def __init__(self, state: Path) -> None:
        self.settings = Settings(state_dir=str(state))
        encoder_id = stated_encoder_id("default", installed_in(self.settings))
        assert encoder_id is not None
        self.encoder_id = encoder_id
        _, calibration = load_scoring(self.settings, encoder_id)
        assert calibration is not None
        lower = tuple(
            replace(tail, quantiles=tuple(x - 0.5 for x in tail.quantiles), start=tail.start - 0.5)
            for tail in calibration.nontarget_tails
        )
        self.calibration: Calibration = replace(calibration, counted_tails=lower)
        (state / "calibrations").mkdir(parents=True)
        save_calibration(self.calibration, state / "calibrations" / f"{encoder_id}.json")
        for number, name in enumerate(("anna", "ben")):
            person = replace(make_person(name, seed=number), encoder_id=encoder_id)
            open_store(self.settings).save(person)

    def decided(self, number: int, *llrs: float, **changes: Any) -> str:  # noqa: ANN401
        """A day's decision that accepted nobody, with Anna's LLR and Ben's."""
        day = NOW - timedelta(days=9 - number % 9)
        payload = {
            **decision_payload(make_decision()),
            "decision_id": f"{number:08d}-0000-4000-8000-000000000000",
            "decided_at": day.isoformat(),
            "encoder_id": self.encoder_id,
            "calibration_id": self.calibration.calibration_id,
            "outcome": "unknown",
            "reason": "below_threshold",
            "speaker": None,
            "scores": [
                {"speaker": name, "name": name, "cosine": 0.1, "normalised": llr, "llr": llr}
                for name, llr in zip(("anna", "ben"), llrs, strict=False)
            ],
            **changes,
        }
        history = History(history_file(self.state))
        history.append(payload)
        history.close()
        return str(payload["decision_id"])

    @property
    def state(self) -> Path:
        return open_store(self.settings).directory.parent

    def standing(self, speaker: str = "anna") -> tuple[Standing, float, int]:
        """Of a speaker: where, by how much, and how many marks count for nothing."""
        (found,) = (each for each in show(self.settings) if each.speaker == speaker)
        assert found.accept_llr is not None
        assert found.calibrated_llr is not None
        return found.standing, round(found.accept_llr - found.calibrated_llr, 6), found.num_void


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_missed_words_lower_it_and_undo_brings_back_exactly_what_was(home: Home) -> None:
    before = show(home.settings)
    for number in range(6):
        told = mark(home.settings, home.decided(number, 2.5, -3.0)[:8], "anna", NOW)
        assert told["theirs"] == {"anna": True}
    assert home.standing() == (Standing.LOWERED, -0.5, 0)
    assert home.standing("ben") == (Standing.NO_MARKS, 0.0, 0)
    assert undo(home.settings, "anna") == 6
    assert show(home.settings) == before


def test_another_voice_print_or_calibration_voids_what_was_said(home: Home) -> None:
    for number in range(6):
        mark(home.settings, home.decided(number, 2.5, -3.0), "anna", NOW)
    other = replace(home.calibration, offset=home.calibration.offset + 0.01)
    path = home.state / "calibrations" / f"{home.encoder_id}.json"
    save_calibration(other, path)
    assert home.standing() == (Standing.NO_MARKS, 0.0, 6)
    save_calibration(home.calibration, path)
    assert home.standing() == (Standing.LOWERED, -0.5, 0)
    anew = replace(make_person("anna", seed=7), encoder_id=home.encoder_id, updated_at=NOW)
    open_store(home.settings).save(anew, overwrite=True)
    assert home.standing() == (Standing.NO_MARKS, 0.0, 6)
    with pytest.raises(UsageError, match="has changed since that was decided"):
        mark(home.settings, home.decided(7, 2.5, -3.0), "anna", NOW)


def test_it_is_noted_in_the_audit_log_first_or_not_done(home: Home) -> None:
    which = home.decided(1, 5.0, 2.0, outcome="accepted", speaker="anna", reason="above_threshold")
    audit = AuditLog(audit_file(home.state))
    audit.append("begun")
    mark(home.settings, which, "ben", NOW)
    undo(home.settings, "ben")
    noted = [entry for entry, _ in audit.entries()]
    assert [entry["event"] for entry in noted] == ["begun", "mark", "marks undone"]
    assert noted[1]["theirs"] == {"ben": True, "anna": False}
    audit.path.write_bytes(b"no line of ours\n")
    with pytest.raises(AuditError):
        mark(home.settings, which, "right", NOW)
    (kept,) = MarkStore(open_store(home.settings)).load("anna")
    assert not kept.is_theirs


def test_what_cannot_be_marked_says_why(home: Home) -> None:
    with pytest.raises(UsageError, match="has the id 'nothing'"):
        mark(home.settings, "nothing", "right", NOW)
    which = home.decided(1, 2.0, encoder_id="e" * 16)
    with pytest.raises(VoiceprintError, match="was made by encoder"):
        mark(home.settings, which, "anna", NOW)
    with pytest.raises(VoiceprintError, match="nobody"):
        undo(home.settings, "nobody")


def test_a_decision_that_is_none_is_refused_by_its_id(home: Home) -> None:
    which = home.decided(1, 2.0, scores=[{"speaker": "anna"}])
    with pytest.raises(StateError, match=which):
        mark(home.settings, which, "anna", NOW)
