"""The daemon's pipeline, listened to: notes that any judge can be asked afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import FakeOverlap, PitchEncoder, make_voiceprint, plain_calibration, quiet, tone
from tests.lab.evaluation.voices import make_kit
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.pipeline.judge import Judge
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.scorer import Scorer
from voiceguard.service.utterance import examine
from voiceguard.types import Outcome, Reason

ANNA_HZ, BERT_HZ = 440.0, 2500.0


def judge_of(speaker: str, hz: float) -> Judge:
    voiceprint = make_voiceprint(speaker, PitchEncoder().embed(tone(hz, 1.0)))
    calibration = plain_calibration()
    return Judge(
        encoder_id=calibration.encoder_id,
        scorer=Scorer([voiceprint], None, calibration),
        policy=PolicyConfig(),
        calibration=calibration,
    )


def test_one_hearing_answers_every_judge() -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1)])
    (segment,) = hear(make_kit(), audio, change_cosine=None)
    assert segment.final.evidence.is_final
    assert [look.evidence.look for look in segment.looks] == list(range(1, len(segment.looks) + 1))
    assert [look.evidence.net_speech_s >= 2.0 for look in segment.looks] == [
        True
    ]  # as the policy has it
    assert segment.final.put_to(judge_of("anna", ANNA_HZ)).outcome is Outcome.ACCEPTED
    assert segment.final.put_to(judge_of("bert", BERT_HZ)).outcome is Outcome.UNKNOWN
    assert (segment.start_s, segment.end_s) == pytest.approx((0.8, 4.0), abs=0.15)


def test_the_final_evidence_is_that_of_the_whole_recording() -> None:
    kit = make_kit()
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 6), quiet(1)])
    (segment,) = hear(kit, audio, change_cosine=None)
    whole = examine(kit, audio)
    assert segment.final.embedding is not None
    assert whole.embedding is not None
    np.testing.assert_allclose(segment.final.embedding, whole.embedding, atol=1e-6)
    assert segment.final.evidence.net_speech_s == pytest.approx(whole.evidence.net_speech_s)


def test_segments_come_one_by_one_and_silence_gives_none() -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 1.5), quiet(1), tone(BERT_HZ, 2), quiet(1)])
    first, second = hear(make_kit(), audio, change_cosine=None)
    assert first.final.put_to(judge_of("anna", ANNA_HZ)).outcome is Outcome.ACCEPTED
    assert second.final.put_to(judge_of("anna", ANNA_HZ)).outcome is Outcome.UNKNOWN
    assert first.overlap_s(0, 2.0) == pytest.approx(2.0 - first.start_s)
    assert first.overlap_s(3.0, 9.0) == 0
    assert hear(make_kit(), quiet(3), change_cosine=None) == ()


def test_a_change_of_voice_ends_the_segment_as_in_the_daemon() -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 4), tone(BERT_HZ, 4), quiet(1)])
    assert len(hear(make_kit(), audio, change_cosine=None)) == 1
    first, second = hear(make_kit(), audio, change_cosine=0.5)[:2]
    assert first.final.put_to(judge_of("anna", ANNA_HZ)).outcome is Outcome.ACCEPTED
    assert second.final.embedding is not None


def test_it_is_noted_when_a_decision_could_be_known() -> None:
    kit = make_kit()
    talk = np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1)])
    (segment,) = hear(kit, talk, change_cosine=None)
    # the look once 2 s are spoken, the final decision after the pause that ends the segment
    assert [look.known_s for look in segment.looks] == pytest.approx([3.0], abs=0.6)
    assert segment.final.known_s == pytest.approx(segment.end_s + kit.settings.gate.hangover_s)
    endless = np.concatenate([quiet(1), tone(ANNA_HZ, 12), quiet(1)])
    first, _ = hear(kit, endless, change_cosine=None)
    assert first.final.known_s == first.end_s
    assert first.final.evidence.net_speech_s == pytest.approx(kit.settings.gate.max_speech_s)


def test_two_voices_at_once_are_in_the_evidence_as_in_the_daemon() -> None:
    audio = np.concatenate([quiet(1), tone(ANNA_HZ, 3), quiet(1)])
    (segment,) = hear(replace(make_kit(), overlap=FakeOverlap()), audio, change_cosine=None)
    for note in (*segment.looks, segment.final):
        judgement = note.put_to(judge_of("anna", ANNA_HZ))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.reason is Reason.MORE_THAN_ONE_VOICE
