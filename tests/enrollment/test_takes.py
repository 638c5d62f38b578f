"""Takes become a voiceprint, or are sent back with the reason; nothing unusable is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.enrollment.speaking import ANNA_HZ, BOB_HZ, NOW, no_takes, voice
from tests.fakes import ENCODER_ID
from tests.recordings import STRANGERS, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.enrollment import MIN_TOTAL_SPEECH_S, Problem, Takes
from voiceguard.errors import EnrollmentError, VoiceprintError
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.service.kit import assemble
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from voiceguard.types import Samples, Voiceprint


def anna_of(*recordings: Samples) -> Voiceprint:
    takes = no_takes(NO_LIMITS)
    for samples in recordings:
        takes.add(samples, recorded_at=NOW)
    return takes.voiceprint("anna", consent_at=NOW, now=NOW)


def test_the_voiceprint_has_one_template_per_usable_take() -> None:
    takes = no_takes()
    takes.add(voice(4.0, seed=1), recorded_at=NOW, label="kitchen")
    takes.add(np.zeros(32_000, dtype=np.float32), recorded_at=NOW)
    takes.add(voice(5.0, seed=2), recorded_at=NOW + timedelta(minutes=1), label="kitchen")
    later = NOW + timedelta(minutes=2)
    voiceprint = takes.voiceprint("anna", display_name="Anna", consent_at=NOW, now=later)
    assert (voiceprint.speaker, voiceprint.display_name) == ("anna", "Anna")
    assert voiceprint.encoder_id == ENCODER_ID
    assert (voiceprint.consent_at, voiceprint.created_at) == (NOW, later)
    assert [template.label for template in voiceprint.templates] == ["kitchen", "kitchen"]
    assert voiceprint.templates[1].created_at == NOW + timedelta(minutes=1)
    total_s = sum(template.net_speech_s for template in voiceprint.templates)
    assert total_s == pytest.approx(takes.usable_speech_s)


def test_too_little_speech_is_refused_with_what_was_wrong_with_every_take() -> None:
    takes = [voice(1.5), np.zeros(32_000, dtype=np.float32)]
    with pytest.raises(EnrollmentError, match=f"at least {MIN_TOTAL_SPEECH_S:g} s") as caught:
        anna_of(*takes)
    assert "take 2: No speech" in str(caught.value)
    assert "take 1" not in str(caught.value)


def test_no_take_at_all_is_refused() -> None:
    with pytest.raises(EnrollmentError, match=r"0\.0 s of usable speech in 0 take"):
        no_takes().voiceprint("anna", consent_at=NOW, now=NOW)


def test_added_takes_join_the_earlier_ones() -> None:
    first = anna_of(voice(8.0, pitch_hz=ANNA_HZ))
    takes = no_takes()
    takes.add(voice(3.0, pitch_hz=ANNA_HZ, seed=5), recorded_at=NOW, label="car")
    later = NOW + timedelta(days=1)
    second = takes.added_to(first, now=later)
    assert [template.label for template in second.templates] == ["", "car"]
    assert second.templates[0] is first.templates[0]
    assert (second.consent_at, second.created_at, second.updated_at) == (NOW, NOW, later)


def test_another_persons_takes_cannot_be_added() -> None:
    anna = anna_of(voice(8.0, pitch_hz=ANNA_HZ))
    takes = no_takes()
    takes.add(voice(4.0, pitch_hz=BOB_HZ), recorded_at=NOW)
    with pytest.raises(EnrollmentError, match="don't sound like 'anna'"):
        takes.added_to(anna, now=NOW)


def test_takes_of_another_encoder_are_never_mixed() -> None:
    takes = no_takes()
    takes.add(voice(8.0), recorded_at=NOW)
    anna = takes.voiceprint("anna", consent_at=NOW, now=NOW)
    with pytest.raises(VoiceprintError, match="encoder 0123"):
        takes.added_to(replace(anna, encoder_id="0123"), now=NOW)


def test_with_the_shipped_encoder_one_voice_agrees_and_another_does_not() -> None:
    takes = Takes(assemble(Settings()).take_judge)
    for file in (TAKES[0], TAKES[1], STRANGERS[0], TAKES[2]):
        takes.add(load_audio(file), recorded_at=NOW)
    assert [report.problems for report in takes.reports] == [
        (),
        (),
        (Problem.DOES_NOT_MATCH,),
        (),
    ]
