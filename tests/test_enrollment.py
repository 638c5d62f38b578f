"""Takes become a voiceprint, or are sent back with the reason; nothing unusable is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import ENCODER_ID, PitchEncoder, quiet, tone
from tests.recordings import STRANGERS, TAKES
from voiceguard.audio.files import load_audio
from voiceguard.encoder import load_encoder
from voiceguard.enrollment import (
    MIN_TOTAL_SPEECH_S,
    Enrollment,
    Problem,
    TakeReport,
    assess_take,
    compare_takes,
    describe,
    enroll_recordings,
)
from voiceguard.errors import EnrollmentError, VoiceprintError
from voiceguard.vad import make_vad

if TYPE_CHECKING:
    from voiceguard.types import Samples

NOW = datetime(2026, 11, 5, 17, 20, tzinfo=UTC)
ANNA_HZ, BOB_HZ = 500.0, 1500.0


def voice(
    seconds: float, *, pitch_hz: float = ANNA_HZ, seed: int = 0, level: float = 0.2
) -> Samples:
    """Somebody speaks in a quiet room, with a moment of silence before and after."""
    return np.concatenate(
        (quiet(0.3), tone(pitch_hz, seconds, level=level, seed=seed), quiet(0.3, seed=2))
    )


def assess(samples: Samples) -> TakeReport:
    return assess_take(samples, PitchEncoder(), make_vad())


def new_enrollment() -> Enrollment:
    return Enrollment(PitchEncoder(), make_vad)


# --- one take -------------------------------------------------------------------------------


def test_a_good_take_is_usable_and_its_speech_is_measured() -> None:
    report = assess(voice(4.0))
    assert report.problems == ()
    assert 2.0 < report.net_speech_s <= 4.5
    assert report.snr_db > 20
    assert report.embedding is not None
    assert np.linalg.norm(report.embedding) == pytest.approx(1.0, abs=1e-5)
    assert "s of speech" in describe(report)


@pytest.mark.parametrize("num_samples", [0, 100, 80_000])
def test_silence_is_silence(num_samples: int) -> None:
    report = assess(np.zeros(num_samples, dtype=np.float32))
    assert report.problems == (Problem.SILENCE,)
    assert report.embedding is None
    assert "microphone" in describe(report)


@pytest.mark.parametrize("level", [1e-3, 1e-2, 0.1])
def test_steady_noise_is_no_take(level: float) -> None:
    noise = level * np.random.default_rng(3).standard_normal(6 * 16_000)
    report = assess(noise.astype(np.float32))
    assert not report.is_usable


def test_one_word_is_too_short() -> None:
    report = assess(voice(0.6))
    assert Problem.TOO_SHORT in report.problems
    assert f"{report.net_speech_s:.1f} s" in describe(report)


def test_clipping_is_noticed_with_how_much_of_it() -> None:
    report = assess(np.clip(voice(4.0, level=1.5), -1.0, 1.0))
    assert report.problems == (Problem.CLIPPED,)
    assert f"{100 * report.clipped_fraction:.1f} %" in describe(report)


def test_a_loud_room_is_too_noisy() -> None:
    report = assess(voice(4.0) + quiet(4.6, level=0.05))
    assert Problem.TOO_NOISY in report.problems


def test_two_voices_in_one_take_are_noticed() -> None:
    both = np.concatenate((voice(4.0, pitch_hz=ANNA_HZ), voice(4.0, pitch_hz=BOB_HZ)))
    report = assess(both)
    assert report.problems == (Problem.MORE_THAN_ONE_VOICE,)
    assert "cosine" in describe(report)


# --- takes among each other -----------------------------------------------------------------


def test_another_persons_take_is_found_whichever_came_first() -> None:
    takes = [
        voice(4.0, pitch_hz=BOB_HZ),
        voice(4.0, pitch_hz=ANNA_HZ, seed=1),
        voice(4.0, pitch_hz=ANNA_HZ, seed=2),
    ]
    enrollment = new_enrollment()
    first, second, third = (enrollment.add(take, recorded_at=NOW) for take in takes)
    assert first.is_usable
    assert second.problems == (Problem.DOES_NOT_MATCH,), "so far nobody knows who is right"
    assert third.is_usable
    assert [report.problems for report in enrollment.reports] == [
        (Problem.DOES_NOT_MATCH,),
        (),
        (),
    ]
    assert "cosine" in describe(enrollment.reports[0])


def test_without_a_majority_nobody_is_believed() -> None:
    takes = [assess(voice(4.0, pitch_hz=hz, seed=i)) for i, hz in enumerate((ANNA_HZ, BOB_HZ) * 2)]
    assert all(report.problems == (Problem.DOES_NOT_MATCH,) for report in compare_takes(takes))


def test_a_take_with_a_fault_of_its_own_is_no_measure_for_the_others() -> None:
    takes = [assess(voice(4.0)), assess(np.zeros(16_000, dtype=np.float32))]
    good, silent = compare_takes(takes)
    assert good.is_usable
    assert good.agreement is None
    assert silent.problems == (Problem.SILENCE,)


@settings(max_examples=40)
@given(st.permutations([0, 1, 2, 3, 4]))
def test_the_order_of_the_takes_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((5, 16)) + 1.0
    base = assess(np.zeros(0, dtype=np.float32))
    reports = [
        replace(base, problems=(), embedding=(v / np.linalg.norm(v)).astype(np.float32))
        for v in vectors
    ]
    straight = compare_takes(reports)
    shuffled = compare_takes([reports[i] for i in order])
    assert [r.agreement for r in shuffled] == pytest.approx([straight[i].agreement for i in order])


# --- the voiceprint -------------------------------------------------------------------------


def test_the_voiceprint_has_one_template_per_usable_take() -> None:
    enrollment = new_enrollment()
    enrollment.add(voice(4.0, seed=1), recorded_at=NOW, label="kitchen")
    enrollment.add(np.zeros(32_000, dtype=np.float32), recorded_at=NOW)
    enrollment.add(voice(5.0, seed=2), recorded_at=NOW + timedelta(minutes=1), label="kitchen")
    later = NOW + timedelta(minutes=2)
    voiceprint = enrollment.voiceprint("anna", display_name="Anna", consent_at=NOW, now=later)
    assert (voiceprint.speaker, voiceprint.display_name) == ("anna", "Anna")
    assert voiceprint.encoder_id == ENCODER_ID
    assert (voiceprint.consent_at, voiceprint.created_at) == (NOW, later)
    assert [template.label for template in voiceprint.templates] == ["kitchen", "kitchen"]
    assert voiceprint.templates[1].created_at == NOW + timedelta(minutes=1)
    total_s = sum(template.net_speech_s for template in voiceprint.templates)
    assert total_s == pytest.approx(enrollment.usable_speech_s)


def test_too_little_speech_is_refused_with_what_was_wrong_with_every_take() -> None:
    takes = [voice(1.5), np.zeros(32_000, dtype=np.float32)]
    with pytest.raises(EnrollmentError, match=f"at least {MIN_TOTAL_SPEECH_S:g} s") as caught:
        enroll_recordings(takes, PitchEncoder(), make_vad, speaker="anna", consent_at=NOW, now=NOW)
    assert "take 2: No speech" in str(caught.value)
    assert "take 1" not in str(caught.value)


def test_no_take_at_all_is_refused() -> None:
    with pytest.raises(EnrollmentError, match=r"0\.0 s of usable speech in 0 take"):
        new_enrollment().voiceprint("anna", consent_at=NOW, now=NOW)


def test_added_takes_join_the_earlier_ones() -> None:
    first = enroll_recordings(
        [voice(8.0, pitch_hz=ANNA_HZ)],
        PitchEncoder(),
        make_vad,
        speaker="anna",
        consent_at=NOW,
        now=NOW,
    )
    enrollment = new_enrollment()
    enrollment.add(voice(3.0, pitch_hz=ANNA_HZ, seed=5), recorded_at=NOW, label="car")
    later = NOW + timedelta(days=1)
    second = enrollment.added_to(first, now=later)
    assert [template.label for template in second.templates] == ["", "car"]
    assert second.templates[0] is first.templates[0]
    assert (second.consent_at, second.created_at, second.updated_at) == (NOW, NOW, later)


def test_another_persons_takes_cannot_be_added() -> None:
    anna = enroll_recordings(
        [voice(8.0, pitch_hz=ANNA_HZ)],
        PitchEncoder(),
        make_vad,
        speaker="anna",
        consent_at=NOW,
        now=NOW,
    )
    enrollment = new_enrollment()
    enrollment.add(voice(4.0, pitch_hz=BOB_HZ), recorded_at=NOW)
    with pytest.raises(EnrollmentError, match="don't sound like 'anna'"):
        enrollment.added_to(anna, now=NOW)


def test_takes_of_another_encoder_are_never_mixed() -> None:
    enrollment = new_enrollment()
    enrollment.add(voice(8.0), recorded_at=NOW)
    anna = enrollment.voiceprint("anna", consent_at=NOW, now=NOW)
    with pytest.raises(VoiceprintError, match="encoder 0123"):
        enrollment.added_to(replace(anna, encoder_id="0123"), now=NOW)


def test_with_the_shipped_encoder_one_voice_agrees_and_another_does_not() -> None:
    enrollment = Enrollment(load_encoder(device="cpu"), make_vad)
    for file in (TAKES[0], TAKES[1], STRANGERS[0], TAKES[2]):
        enrollment.add(load_audio(file), recorded_at=NOW)
    assert [report.problems for report in enrollment.reports] == [
        (),
        (),
        (Problem.DOES_NOT_MATCH,),
        (),
    ]
