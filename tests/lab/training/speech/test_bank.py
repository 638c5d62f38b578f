"""Voices and crops: what a batch is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.fakes import PitchEncoder, tone
from tests.lab.training.tiny import TINY
from voiceguard.lab.training.speech.bank import Round, VoiceBank, make_round
from voiceguard.lab.training.speech.material import Passage, to_pcm
from voiceguard.lab.training.speech.teachers import Teachers

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = replace(TINY, num_voices=4, changed_formants=(1.0, 1.0), teacher="default")
PASSAGES = tuple(
    Passage(f"s{number}", "tones", to_pcm(tone(500.0 + 300 * number, 1.0 + number)))
    for number in (0, 1, 1, 2)
)
SPEAKERS = ["s0", "s1", "s2"]
TEACHER = Teachers(PitchEncoder)


def rounds(folder: Path) -> list[Round]:
    return [make_round(PASSAGES, number, CONFIG, TEACHER, folder, key="k") for number in range(4)]


def test_the_first_voice_is_the_speakers_own_and_the_others_differ(tmp_path: Path) -> None:
    own, *changed = rounds(tmp_path)

    np.testing.assert_array_equal(own.passage(3), PASSAGES[3].pcm)
    lengths = {len(voice.passage(3)) for voice in changed}
    assert len(lengths) == 3  # other tempos
    low, high = (len(PASSAGES[3].pcm) / speed for speed in reversed(CONFIG.changed_speed))
    assert all(low - 2 <= length <= high + 2 for length in lengths)


def test_all_passages_of_a_speaker_change_alike(tmp_path: Path) -> None:
    voice = rounds(tmp_path)[2]

    speeds = [len(p.pcm) / len(voice.passage(i)) for i, p in enumerate(PASSAGES)]

    assert speeds[1] == pytest.approx(speeds[2], rel=1e-3)
    assert speeds[0] != pytest.approx(speeds[1], rel=1e-2)


def test_a_round_is_made_once_and_again_for_another_key(tmp_path: Path) -> None:
    first = make_round(PASSAGES, 1, CONFIG, TEACHER, tmp_path, key="k")
    stamp = (tmp_path / "voices-01.i16").stat().st_mtime_ns

    again = make_round(PASSAGES, 1, CONFIG, None, tmp_path, key="k")
    assert (tmp_path / "voices-01.i16").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.speech, again.speech)

    make_round(PASSAGES, 1, replace(CONFIG, seed=9), TEACHER, tmp_path, key="other")
    assert (tmp_path / "voices-01.i16").stat().st_mtime_ns != stamp


def test_targets_are_centred_and_of_norm_one(tmp_path: Path) -> None:
    bank = VoiceBank(rounds(tmp_path), PASSAGES, SPEAKERS)

    batch = bank.draw(200, 8000, np.random.default_rng(0))

    assert batch.targets is not None
    np.testing.assert_allclose(batch.targets.norm(dim=1), 1, atol=1e-5)
    assert set(batch.labels.tolist()) == set(range(bank.num_classes))
    assert bank.num_classes == 12


def test_crops_come_from_the_labelled_voice_and_short_ones_go_on(tmp_path: Path) -> None:
    bank = VoiceBank(rounds(tmp_path)[:1], PASSAGES, SPEAKERS)

    batch = bank.draw(30, 4 * 16_000, np.random.default_rng(0))  # longer than any

    assert batch.crops.dtype == torch.float32
    for crop, label in zip(batch.crops.numpy(), batch.labels, strict=True):
        spectrum = np.abs(np.fft.rfft(crop))
        hz = float(np.argmax(spectrum)) / 4
        assert hz == pytest.approx(500 + 300 * int(label), abs=4)


def test_heldout_speakers_are_never_drawn(tmp_path: Path) -> None:
    bank = VoiceBank(rounds(tmp_path), PASSAGES, ["s0", "s2"])

    batch = bank.draw(100, 8000, np.random.default_rng(0))

    assert bank.num_classes == 8
    assert batch.labels.max() < 8


def test_without_a_teacher_there_are_no_targets(tmp_path: Path) -> None:
    made = [make_round(PASSAGES, 0, CONFIG, None, tmp_path, key="k")]
    bank = VoiceBank(made, PASSAGES, SPEAKERS)

    assert bank.teacher_dim is None
    assert bank.draw(2, 8000, np.random.default_rng(0)).targets is None


def test_passages_that_the_teacher_hears_two_people_in_keep_targets_of_their_own() -> None:
    def targets(*, alike: bool) -> torch.Tensor:
        voices = np.eye(6, dtype=np.float32)
        voices[2] = voices[1] + 0.3 * voices[5] if alike else voices[4]
        speech = np.concatenate([passage.pcm for passage in PASSAGES])
        ends = np.cumsum([len(passage.pcm) for passage in PASSAGES])
        bank = VoiceBank([Round(speech, ends, voices[:4])], PASSAGES, SPEAKERS)
        drawn = bank.draw(200, 8000, np.random.default_rng(0))
        assert drawn.targets is not None
        found: torch.Tensor = torch.unique(
            drawn.targets[drawn.labels == 1].round(decimals=3), dim=0
        )
        return found

    together, apart = targets(alike=True), targets(alike=False)
    assert float(together[0] @ together[-1]) > 0.9
    assert float(apart[0] @ apart[-1]) < 0.2


def test_a_crop_that_is_too_long_goes_on_with_the_next_passage_in_a_circle() -> None:
    pcm = np.arange(1, 11, dtype=np.int16)
    passages = (Passage("a", "c", pcm[:4]), Passage("b", "c", pcm[4:7]), Passage("b", "c", pcm[7:]))
    bank = VoiceBank([Round(pcm, np.array([4, 7, 10]), None)], passages, ["a", "b"])

    crops = bank.crops_of(np.array([1] * 50), 8, np.random.default_rng(0)) * 32767
    circle = {tuple(np.roll(pcm[4:], -k).tolist()) for k in range(6)}

    assert {tuple(row[:6].round().int().tolist()) for row in crops} == circle
    torch.testing.assert_close(crops[:, 6:], crops[:, :2])
