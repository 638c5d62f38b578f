"""An enrollment's order of work: what is refused before anybody reads, and what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.enrollment.speaking import BOB_HZ, NOW, take_judge, voice
from tests.fakes import ENCODER_ID, plain_calibration
from tests.voiceprints.people import assert_same
from voiceguard.enrollment import EnrollmentSession, Mode, Quality, TakeJudge, known_voice
from voiceguard.errors import EnrollmentError, KnownVoiceError, UsageError, VoiceprintError
from voiceguard.voiceprints import VoiceprintStore

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.enrollment import Enrolled
    from voiceguard.scoring.prediction import PredictedRate
    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.reading import LoadedVoiceprints

LATER = NOW + timedelta(days=1)


@dataclass
class Kit:
    """Hears pitch, and keeps what it was asked to predict."""

    take_judge: TakeJudge = field(default_factory=take_judge)
    asked: list[tuple[str, int]] = field(default_factory=list)
    knows_voices: bool = False

    def predict_acceptance(
        self, voiceprint: Voiceprint, *, num_voiceprints: int = 1
    ) -> tuple[PredictedRate, ...]:
        self.asked.append((voiceprint.speaker, num_voiceprints))
        return ()

    def known_voice(self, voiceprint: Voiceprint, loaded: LoadedVoiceprints) -> str | None:
        calibration = plain_calibration(voiceprint.encoder_id) if self.knows_voices else None
        return known_voice(voiceprint, loaded.voiceprints, None, calibration)


@pytest.fixture
def store(tmp_path: Path) -> VoiceprintStore:
    return VoiceprintStore(tmp_path, environ={})


def enroll(
    store: VoiceprintStore,
    speaker: str = "anna",
    mode: Mode = Mode.NEW,
    *,
    keep_audio: bool = False,
    seed: int = 0,
    kit: Kit | None = None,
) -> Enrolled:
    now = NOW if mode is Mode.NEW else LATER
    session = EnrollmentSession(store, speaker, mode, display_name="Anna")
    session.consent(None if session.has_consent else now, audio_at=now if keep_audio else None)
    takes = session.begin(kit or Kit())
    takes.add(voice(4.0, seed=seed), recorded_at=now + timedelta(seconds=seed))
    return session.finish(takes, now=now)


def test_what_is_enrolled_is_in_the_store_and_its_prospects_are_asked_for(
    store: VoiceprintStore,
) -> None:
    kit = Kit()
    enroll(store, "bob")
    enrolled = enroll(store, kit=kit)
    assert_same(store.load("anna"), enrolled.voiceprint)
    assert (enrolled.voiceprint.consent_at, enrolled.voiceprint.display_name) == (NOW, "Anna")
    assert enrolled.audio is None
    assert [report.is_usable for report in enrolled.reports] == [True]
    assert kit.asked == [("anna", 2)], "beside everybody who is enrolled"


def test_a_voice_that_is_enrolled_under_another_name_is_refused_unless_it_is_another_persons(
    store: VoiceprintStore,
) -> None:
    kit = Kit(knows_voices=True)
    enroll(store, kit=kit)
    session = EnrollmentSession(store, "annie")
    session.consent(NOW)
    takes = session.begin(kit)
    takes.add(voice(4.0, seed=1), recorded_at=NOW)
    assert session.appraise(takes, now=NOW).quality is Quality.FAIR
    with pytest.raises(KnownVoiceError, match="sounds like 'anna'") as caught:
        session.finish(takes, now=NOW)
    assert caught.value.known == "anna"
    assert "--add" in caught.value.hint
    assert store.names() == ("anna",)
    session.finish(takes, now=NOW, another_person=True)
    assert store.names() == ("anna", "annie")
    # Her own voiceprint is nobody else's, and what is added was compared with it already.
    enroll(store, "annie", Mode.ADD, kit=kit, seed=2)
    session = EnrollmentSession(store, "bob")
    session.consent(NOW)
    takes = session.begin(kit)
    takes.add(voice(4.0, pitch_hz=BOB_HZ), recorded_at=NOW)
    session.finish(takes, now=NOW)


def test_a_name_that_nobody_can_have_and_one_that_is_taken_are_refused_at_once(
    store: VoiceprintStore,
) -> None:
    with pytest.raises(UsageError):
        EnrollmentSession(store, "Anna/1")
    enroll(store)
    with pytest.raises(VoiceprintError, match="already enrolled"):
        EnrollmentSession(store, "anna")
    with pytest.raises(VoiceprintError, match="no voiceprint of 'bob'"):
        EnrollmentSession(store, "bob", Mode.ADD)


def test_nobody_is_enrolled_without_consent(store: VoiceprintStore) -> None:
    with pytest.raises(EnrollmentError, match="'anna' has not consented"):
        EnrollmentSession(store, "anna").consent(None)
    assert not store.directory.exists()


def test_replacing_asks_for_consent_anew_and_needs_nobody_there(store: VoiceprintStore) -> None:
    first = enroll(store, "anna", Mode.REPLACE)
    with pytest.raises(EnrollmentError):
        EnrollmentSession(store, "anna", Mode.REPLACE).consent(None)
    second = enroll(store, "anna", Mode.REPLACE, seed=3)
    assert len(second.voiceprint.templates) == 1
    assert not np.array_equal(
        second.voiceprint.templates[0].embedding, first.voiceprint.templates[0].embedding
    )


def test_added_takes_need_no_second_consent_and_their_audio_joins_the_earlier(
    store: VoiceprintStore,
) -> None:
    enroll(store, keep_audio=True)
    added = enroll(store, "anna", Mode.ADD, keep_audio=True, seed=5)
    assert added.voiceprint.consent_at == NOW
    assert added.audio is not None
    assert [take.consent_at for take in added.audio.takes] == [NOW, LATER]
    kept = store.load_audio(store.load("anna"))
    assert kept is not None
    assert len(kept.takes) == len(added.voiceprint.templates) == 2
    without = enroll(store, "anna", Mode.ADD, seed=7)
    assert without.audio is None
    still = store.load_audio(store.load("anna"))
    assert still is not None
    assert len(still.takes) == 2, "what was kept of the same enrollment stays"


def test_an_encoder_that_cannot_be_compared_is_refused_before_anybody_reads(
    store: VoiceprintStore,
) -> None:
    enrolled = enroll(store).voiceprint
    store.save(replace(enrolled, encoder_id="0" * 16), overwrite=True)
    session = EnrollmentSession(store, "anna", Mode.ADD)
    session.consent()
    with pytest.raises(VoiceprintError, match=f"the one in use is {ENCODER_ID}"):
        session.begin(Kit())


def test_takes_are_not_added_to_what_somebody_else_has_changed_or_removed(
    store: VoiceprintStore,
) -> None:
    """A session at a microphone takes minutes; whoever was removed meanwhile stays removed."""
    enroll(store)
    session = EnrollmentSession(store, "anna", Mode.ADD)
    session.consent()
    takes = session.begin(Kit())
    takes.add(voice(4.0, seed=5), recorded_at=LATER)
    between = enroll(store, "anna", Mode.ADD, seed=6).voiceprint
    with pytest.raises(VoiceprintError, match="changed by somebody else"):
        session.finish(takes, now=LATER + timedelta(seconds=9))
    assert_same(store.load("anna"), between)
    store.remove("anna")
    with pytest.raises(VoiceprintError, match="no voiceprint of 'anna'"):
        session.finish(takes, now=LATER)
    assert not store.holds("anna")


def test_another_persons_takes_change_nothing(store: VoiceprintStore) -> None:
    before = enroll(store).voiceprint
    session = EnrollmentSession(store, "anna", Mode.ADD)
    session.consent()
    takes = session.begin(Kit())
    takes.add(voice(4.0, pitch_hz=BOB_HZ), recorded_at=LATER)
    with pytest.raises(EnrollmentError, match="don't sound like 'anna'"):
        session.finish(takes, now=LATER)
    assert_same(store.load("anna"), before)
