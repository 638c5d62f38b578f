"""Marks from a decision in the history to the threshold, and back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import voiceguard
from tests.fakes import FakeSource, chunks, listening, make_decision, quiet
from tests.service.test_daemon import running, until
from tests.voiceprints.people import make_person
from voiceguard.audit.log import AuditLog
from voiceguard.control.client import ControlClient
from voiceguard.control.protocol import RequestError
from voiceguard.decisions.history import History
from voiceguard.decisions.wire import decision_payload
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import AuditError, StateError, UsageError, VoiceprintError
from voiceguard.marks.store import MarkStore
from voiceguard.paths import audit_file, history_file
from voiceguard.pipeline.judge import Judge
from voiceguard.scoring.adaptation import Standing, in_force
from voiceguard.scoring.calibration import save_calibration
from voiceguard.scoring.policy import Evidence, PolicyConfig
from voiceguard.scoring.scorer import Scorer
from voiceguard.service.daemon import Daemon
from voiceguard.service.kit import installed_in, load_scoring, open_store
from voiceguard.service.people.marking import mark, undo
from voiceguard.service.people.thresholds import show
from voiceguard.service.reporting.health import DaemonState
from voiceguard.settings import Settings, load_settings
from voiceguard.types import Outcome, SpeakerScore

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.scoring.calibration import Calibration

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Home:
    """Anna and Ben, of the encoder that is shipped, and a history."""

    def __init__(self, state: Path) -> None:
        self.settings = Settings(state_dir=str(state), policy=PolicyConfig(look_share=0.0))
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
        asked = found.asked
        assert asked is not None
        return asked.standing, round(asked.accept_llr - asked.calibrated_llr, 6), found.num_void


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


async def test_a_running_daemon_notes_it_and_goes_by_it_at_once(home: Home) -> None:
    settings = load_settings(
        state_dir=str(home.state),
        mqtt={"broker": "none"},
        policy={"look_share": 0.0},
        service={"voiceprint_poll_s": 30},
    )
    ids = [home.decided(number, 2.5, -3.0) for number in range(6)]
    source = FakeSource([listening(), *chunks(quiet(1.0))], is_live=True, hold=True)
    daemon = Daemon(settings, sources=[source])

    def told(client: ControlClient) -> dict[str, Any]:
        anna: dict[str, Any] = client.call("status")["voiceprints"]["anna"]
        return {name: anna[name] for name in ("num_marks", "threshold", "shift_llr")}

    def until_told(client: ControlClient, num_marks: int, threshold: str, shift: float) -> None:
        expected = {"num_marks": num_marks, "threshold": threshold, "shift_llr": shift}
        client.call("watch", events=["status"])
        while told(client) != expected:
            client.next_event(5.0)

    async with running(daemon) as task:
        await until(lambda: daemon.health.state is DaemonState.LISTENING, task=task)
        with ControlClient(home.state) as client:
            for each in ids:
                noted = await asyncio.to_thread(
                    client.call, "mark", decision_id=each, verdict="anna"
                )
                assert noted == {"decision_id": each, "theirs": {"anna": True}}
            await asyncio.to_thread(until_told, client, 6, "lowered", -0.5)
            with pytest.raises(RequestError, match="was not enrolled") as caught:
                await asyncio.to_thread(client.call, "mark", decision_id=ids[0], verdict="cleo")
            assert caught.value.name == "failed"
            undone = await asyncio.to_thread(
                voiceguard, "voiceprints", "adapt", "anna", "--undo", state=home.state
            )
            assert "took back 6 mark(s)" in undone.stdout
            await asyncio.to_thread(until_told, client, 0, "no_marks", 0.0)


def test_a_lock_is_never_easier_to_open_by_marks(home: Home) -> None:
    for number in range(6):
        mark(home.settings, home.decided(number, 2.5, -3.0), "anna", NOW)
    store = open_store(home.settings)
    person = store.load("anna")
    judge = Judge(
        encoder_id=home.encoder_id,
        scorer=Scorer([person], None, None),
        policy=PolicyConfig(look_share=0.0, p_fa=0.007),
        calibration=home.calibration,
        adaptations=in_force(
            MarkStore(store).load_all(["anna"]).marks, [person], home.calibration.calibration_id
        ),
    )
    anchor = home.calibration.threshold_for(0.007).llr
    word = (SpeakerScore(speaker="anna", cosine=0.5, normalised=0.0, llr=anchor - 0.2),)
    evidence = Evidence(net_speech_s=3.0, snr_db=20.0, is_final=True)
    judgement = judge.decide(word, evidence)
    assert judgement.outcome is Outcome.ACCEPTED
    assert judgement.shift_llr == pytest.approx(-0.5)
    assert judge.decide_at(judgement, 0.007).outcome is not Outcome.ACCEPTED
    assert judge.decide_at(judgement, 0.007).shift_llr == 0.0
