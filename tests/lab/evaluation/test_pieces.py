"""Pieces of speech to test with: the same places at every length, the same noise in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.lab.evaluation.voices import make_kit, write_wav
from voiceguard.lab.corpora.clips import Speech
from voiceguard.lab.corpora.conditions import Clean, Noisy
from voiceguard.lab.corpora.corpus import Recording
from voiceguard.lab.evaluation.pieces import estimated_snr_db, make_piece, pieces_of, within
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.utterances import Utterance


def utterance(name: str, hz: float, seconds: float) -> Utterance:
    samples = tone(hz, seconds)
    recording = Recording(
        path=Path(name), corpus="tones", speaker="tones/anna", session="first", half="a"
    )
    is_speech = np.ones(len(samples) // 160, np.bool_)
    return Utterance(recording, samples, Speech(samples, is_speech, quiet_rms=1e-3))


SESSION = [utterance("a.wav", 500, 1.5), utterance("b.wav", 700, 1.6)]


def test_shorter_crops_are_the_beginnings_of_longer_ones() -> None:
    pieces = list(pieces_of(SESSION, Plan(lengths_s=(1.0, 1.5), max_places=2)))
    assert [piece.length for piece in pieces] == ["1 s", "1.5 s", "1 s", "1.5 s", "full", "full"]
    for short, long in (pieces[:2], pieces[2:4]):
        assert short.place == long.place
        assert short.level_rms == long.level_rms
        samples = within(short.clip)
        np.testing.assert_array_equal(samples, within(long.clip)[: len(samples)])
    assert pieces[0].place != pieces[2].place


def test_whole_utterances_can_be_left_out() -> None:
    plan = Plan(lengths_s=(1.0,), max_places=1, with_whole=False)
    assert [piece.length for piece in pieces_of(SESSION, plan)] == ["1 s"]


def test_the_daemon_hears_whole_utterances_with_the_pauses_around_them() -> None:
    recorded = Utterance(
        SESSION[0].recording,
        np.concatenate([quiet(0.5), SESSION[0].samples]),
        SESSION[0].speech,
    )
    plan = Plan(lengths_s=(5.0,))
    (alone,) = pieces_of([recorded], plan)
    (whole,) = pieces_of([recorded], plan, as_recorded=True)
    np.testing.assert_array_equal(within(alone.clip), recorded.speech.samples)
    np.testing.assert_array_equal(within(whole.clip), recorded.samples)
    assert alone.level_rms == whole.level_rms


def test_what_is_embedded_is_the_speech_as_it_arrives(tmp_path: Path) -> None:
    write_wav(tmp_path / "fan.wav", quiet(3, level=0.1))
    noisy = Noisy(10.0, [tmp_path / "fan.wav"])
    short, long = list(pieces_of(SESSION, Plan(lengths_s=(1.0, 1.5), max_places=1)))[:2]
    spoken = np.concatenate([each.speech.samples for each in SESSION])
    np.testing.assert_array_equal(within(short.heard(Clean())), spoken[:16_000])
    one, other = (within(piece.heard(noisy)) - within(piece.clip) for piece in (short, long))
    assert len(one) == 16_000
    # The same stretch of noise from the start; its level is that of the stretch that is taken.
    assert np.corrcoef(one, other[: len(one)])[0, 1] > 0.999


@pytest.mark.parametrize("snr_db", [20.0, 5.0])
def test_the_snr_is_estimated_as_the_daemon_would(tmp_path: Path, snr_db: float) -> None:
    write_wav(tmp_path / "fan.wav", quiet(3, level=0.1))
    samples = np.concatenate([tone(600, 2.0) * np.float32(0.3)])
    speech = Speech(samples, np.ones(len(samples) // 160, np.bool_), quiet_rms=1e-4)
    piece = make_piece(speech, length="full", place=("anna",))
    clip = piece.heard(Noisy(snr_db, [tmp_path / "fan.wav"]))
    assert estimated_snr_db(clip, make_kit().make_gate()) == pytest.approx(snr_db, abs=4)


def test_where_the_gate_hears_nothing_the_snr_is_the_lowest() -> None:
    speech = Speech(np.zeros(16_000, np.float32), np.ones(100, np.bool_), quiet_rms=1e-4)
    piece = make_piece(speech, length="full", place=("nobody",), level_rms=1e-4)
    assert estimated_snr_db(piece.heard(Clean()), make_kit().make_gate()) == -10
