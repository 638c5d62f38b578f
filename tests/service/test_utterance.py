"""Whole recordings: speech found, embedded, pooled and judged once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import (
    ENCODER_ID,
    FakeOverlap,
    PitchEncoder,
    make_voiceprint,
    plain_calibration,
    quiet,
    tone,
)
from voiceguard.service.kit import Kit
from voiceguard.service.utterance import examine, judge_recording
from voiceguard.settings import Settings, load_settings
from voiceguard.types import Outcome, Reason, Samples

if TYPE_CHECKING:
    from pathlib import Path

ANNA_HZ, STRANGER_HZ = 440.0, 2500.0


@dataclass
class Home:
    """A kit around the pitch encoder, with anna enrolled."""

    kit: Kit

    def verify(self, samples: Samples) -> tuple[Outcome, Reason]:
        anna = make_voiceprint("anna", PitchEncoder().embed(tone(ANNA_HZ, 1.0)))
        judge = self.kit.make_judge([anna], claim="anna")
        judgement = judge_recording(self.kit, judge, samples)
        assert judgement.speaker == "anna"
        return judgement.outcome, judgement.reason


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings: Settings = load_settings(vad={"backend": "energy"})  # tones are no speech
    calibration = plain_calibration(ENCODER_ID)
    object.__setattr__(calibration, "change_cosine", 0.5)
    return Home(
        Kit(settings=settings, encoder=PitchEncoder(), cohort=None, calibration=calibration)
    )


def test_all_segments_of_a_recording_are_one_test_utterance(home: Home) -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 2), quiet(1), tone(ANNA_HZ, 1.5), quiet(1)])
    heard = examine(home.kit, audio)
    assert heard.num_segments == 2
    assert heard.evidence.net_speech_s == pytest.approx(3.5, abs=0.4)
    assert heard.embedding is not None


def test_the_claimed_speaker_is_accepted_and_another_rejected(home: Home) -> None:
    assert home.verify(np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1)])) == (
        Outcome.ACCEPTED,
        Reason.ABOVE_THRESHOLD,
    )
    assert home.verify(np.concatenate([quiet(1), tone(STRANGER_HZ, 3), quiet(1)])) == (
        Outcome.REJECTED,
        Reason.BELOW_THRESHOLD,
    )


@pytest.mark.parametrize(
    "samples",
    [quiet(5), np.zeros(80_000, dtype=np.float32), np.zeros(0, dtype=np.float32)],
    ids=["a quiet room", "digital silence", "nothing"],
)
def test_without_speech_it_is_inconclusive_never_a_score(home: Home, samples: Samples) -> None:
    """Silence is not compared with anybody."""
    assert home.verify(samples) == (Outcome.INCONCLUSIVE, Reason.TOO_SHORT)


def test_two_voices_in_one_recording_are_inconclusive(home: Home) -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 4.5), tone(STRANGER_HZ, 4.5), quiet(1)])
    assert home.verify(audio) == (Outcome.INCONCLUSIVE, Reason.MORE_THAN_ONE_VOICE)


def test_two_voices_at_once_in_one_recording_are_inconclusive(home: Home) -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1), tone(ANNA_HZ, 2), quiet(1)])
    detector = FakeOverlap(answer=False)
    home.kit = replace(home.kit, overlap=detector)
    assert home.verify(audio) == (Outcome.ACCEPTED, Reason.ABOVE_THRESHOLD)
    assert len(detector.lengths) == 2, "once for each stretch of speech"
    detector.answer = True
    assert home.verify(audio) == (Outcome.INCONCLUSIVE, Reason.MORE_THAN_ONE_VOICE)


def test_an_encoder_without_calibration_accepts_nobody(home: Home) -> None:
    kit = Kit(settings=home.kit.settings, encoder=PitchEncoder(), cohort=None, calibration=None)
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1)])
    assert Home(kit).verify(audio) == (Outcome.INCONCLUSIVE, Reason.UNCALIBRATED)
