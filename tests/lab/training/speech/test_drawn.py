"""Drawn voices: pitch goes where it was sent, own voices stay, and frames are those of the crop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from tests.fakes import tone
from tests.lab.training.tiny import TINY, drawn, tiny_teacher
from voiceguard.encoder.card import native
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.training.config import MatchingConfig
from voiceguard.lab.training.corruption.augment import Augmenter
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.speech.circles import Circles
from voiceguard.lab.training.speech.drawn import NUM_SPEEDS, DrawnVoices, sped
from voiceguard.lab.training.speech.hearing import FrameTeacher, Heard
from voiceguard.lab.training.speech.material import Passage, to_pcm
from voiceguard.lab.training.students.ecapa import network_of

if TYPE_CHECKING:
    from pathlib import Path

PITCHES_HZ = (400.0, 1000.0)
PASSAGES = tuple(
    Passage(f"s{number}", "tones", to_pcm(tone(hz, 2.0, seed=number)))
    for number, hz in enumerate(PITCHES_HZ)
)
CONFIG = replace(
    TINY, changed_speed=(0.8, 1.25), changed_formants=(1.0, 1.0), own_share=0.0, **drawn("fake")
)


CIRCLES = Circles(PASSAGES, ["s0", "s1"])


@dataclass
class Loudness:
    """Of the whole; and of each 20 ms, twice: a channel of samples and one of their squares."""

    dim: int = 4
    frame_channels: int | None = 2
    num_asked: list[int] = field(default_factory=list)

    def __call__(self, windows: torch.Tensor) -> Heard:
        self.num_asked.append(len(windows))
        each = windows.unfold(1, 400, 320).abs()
        frames = torch.stack([each.mean(dim=2), each.square().mean(dim=2)], dim=1)
        return Heard(windows[:, :: windows.shape[1] // self.dim][:, : self.dim], frames)


def source(passages: tuple[Passage, ...] = PASSAGES, **changes: Any) -> DrawnVoices:  # noqa: ANN401 - fields of the recipe
    circles = Circles(passages, [passage.speaker for passage in passages])
    config = replace(CONFIG, **changes)
    return DrawnVoices(circles, Loudness(), config, Augmenter(config.augment))


def peaks_hz(windows: torch.Tensor) -> np.ndarray:
    spectrum = np.abs(np.fft.rfft(windows.numpy() * np.hanning(windows.shape[1])))
    found: np.ndarray = spectrum.argmax(axis=1) * 16_000 / windows.shape[1]
    return found


def test_each_speed_moves_pitch_as_told_and_all_are_drawn_alike() -> None:
    windows, speakers = source().windows(2 * NUM_SPEEDS, np.random.default_rng(0))

    factors = peaks_hz(windows) / np.array(PITCHES_HZ)[speakers]
    expected = np.repeat(np.geomspace(0.8, 1.25, NUM_SPEEDS), 2)
    np.testing.assert_allclose(np.sort(factors), expected, rtol=0.01)


def test_faster_is_higher_and_the_level_stays() -> None:
    voice = torch.from_numpy(tone(1000.0, 1.25)).unsqueeze(0)

    faster = sped(voice, 16_000)

    assert peaks_hz(faster)[0] == pytest.approx(1250, abs=3)
    assert float(faster.std()) == pytest.approx(float(voice.std()), rel=0.01)
    assert sped(faster, 16_000) is faster


def test_a_share_keeps_the_speakers_own_voice_sample_by_sample() -> None:
    made = source(own_share=0.5, changed_formants=(0.84, 0.9))
    windows, speakers = made.windows(8, np.random.default_rng(1))

    drawn_speakers, places = CIRCLES.draw(8, np.random.default_rng(1))
    np.testing.assert_array_equal(speakers, drawn_speakers)
    own = CIRCLES.cut(speakers, places, made.window_samples)
    torch.testing.assert_close(windows[:4], own[:4], rtol=0, atol=0)
    assert (np.abs(peaks_hz(windows)[4:] / peaks_hz(own)[4:] - 1) > 0.01).any()


def test_a_window_goes_on_at_the_beginning_of_the_speakers_circle() -> None:
    pcm = [np.arange(first, first + 3, dtype=np.int16) for first in (1, 10, 100)]
    passages = [Passage(name, "c", each) for name, each in zip("bab", pcm, strict=True)]
    circles = Circles(passages, ["b", "a", "b"])

    cut = circles.cut(np.array([1, 0]), np.array([2, 1]), 7) * 32767

    assert circles.names == ["a", "b"]
    assert cut.round().int().tolist() == [
        [3, 100, 101, 102, 1, 2, 3],
        [11, 12, 10, 11, 12, 10, 11],
    ]


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    first, second = source(), source()
    second.begin()
    second.draw(4, 8000, seeded(9))

    expected, speakers = first.windows(6, seeded(5))
    found, again = second.windows(6, seeded(5))

    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    np.testing.assert_array_equal(speakers, again)


def test_the_order_of_passages_of_others_changes_nothing() -> None:
    windows, _ = source().windows(6, seeded(5))
    turned, _ = source(PASSAGES[::-1]).windows(6, seeded(5))

    torch.testing.assert_close(windows, turned, rtol=0, atol=0)


def test_frames_are_those_of_the_crop() -> None:
    noise = np.random.default_rng(3).uniform(-1, 1, 40_000) * np.linspace(0, 0.9, 40_000)
    made = source((Passage("s", "noise", to_pcm(noise.astype(np.float32))),))
    made.begin()

    batch = made.draw(20, 8100, np.random.default_rng(2))

    assert batch.frames is not None
    assert batch.crops.shape == (20, 8000)  # whole frames
    assert batch.frames.shape == (20, 24, 2)
    heard = Loudness()(batch.crops).frames
    assert heard is not None
    expected = made.state.standardised(heard).transpose(1, 2)
    torch.testing.assert_close(batch.frames, expected)


def test_the_last_crops_are_heard_as_they_will_be_by_the_student() -> None:
    made = source(matching=MatchingConfig())
    teacher = made._teacher
    assert isinstance(teacher, Loudness)
    made.begin()
    teacher.num_asked.clear()

    batch = made.draw(12, 8100, np.random.default_rng(2))

    assert teacher.num_asked == [6, 3]  # a quarter of 12 crops, after the windows
    assert batch.num_alike == 3
    heard = teacher(batch.crops[-3:])
    assert heard.frames is not None
    assert batch.targets is not None
    assert batch.embeddings is not None
    assert batch.frames is not None
    torch.testing.assert_close(batch.targets[-3:], made.state.centred(heard.embeddings))
    torch.testing.assert_close(batch.embeddings[-3:], normalize(heard.embeddings))
    frames = made.state.standardised(heard.frames).transpose(1, 2)
    torch.testing.assert_close(batch.frames[-3:], frames)
    assert batch.part(slice(4)).num_alike == 0


def test_the_teacher_is_asked_once_a_step_and_not_for_voices() -> None:
    made = source()
    teacher = made._teacher
    assert isinstance(teacher, Loudness)

    made.draw(9, 8000, np.random.default_rng(0))
    made.draw_targets(4, np.random.default_rng(0))
    voices = made.draw_voices(5, 8000, np.random.default_rng(0))

    assert teacher.num_asked == [6]  # as much speech as the crops have together: 6 s
    assert peaks_hz(voices.crops) == pytest.approx(np.array(PITCHES_HZ)[voices.labels], rel=0.01)


def test_a_frame_of_the_teacher_and_every_second_of_ours_look_at_the_same_20_ms(
    tmp_path: Path,
) -> None:
    card, network = native.load(tiny_teacher(tmp_path))
    hardware = find_hardware("cpu", "float32", num_threads=1)
    teacher = FrameTeacher(card, network, hardware)  # type: ignore[arg-type]
    torch.manual_seed(0)
    student, log_mel = network_of(TINY).eval(), LogMel(LogMelConfig())
    window = 0.01 * torch.randn(1, 32_000)
    first = 20  # the crop's first frame in the window

    def both(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            ours = student.with_frames(log_mel(samples[:, 320 * first : 320 * (first + 50)]))[1]
        theirs = teacher(samples).frames
        assert theirs is not None
        return theirs[0], ours[0, :, 1::2]

    found = []
    for number in (30, 41, 55):  # of the teacher's frames
        struck = window.clone()
        struck[0, 320 * number + 180] += 1.0
        moved = [
            (after - before).abs().sum(dim=0).argmax()
            for after, before in zip(both(struck), both(window), strict=True)
        ]
        assert int(moved[0]) == pytest.approx(number, abs=1)
        found.append(int(moved[0]) - first - int(moved[1]))
    assert np.mean(found) == pytest.approx(0, abs=0.5)
