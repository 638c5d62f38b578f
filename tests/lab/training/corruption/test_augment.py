"""Corruption of crops: asked-for levels, alignment, switches, seeds, silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from voiceguard.errors import ConfigError
from voiceguard.lab.training.corruption.augment import (
    AugmentConfig,
    Augmenter,
    at_peak,
    coloured_noise,
    speech_rms,
    with_noise,
)
from voiceguard.lab.training.corruption.rooms import DIRECT_TAP

NOTHING = AugmentConfig(
    p_clean=0.0, p_room=0.0, p_noise=0.0, p_clipping=0.0, p_band_limit=0.0, p_codec=0.0
)
NUM_SAMPLES = 12_000


def voices(num_crops: int = 8) -> Tensor:
    """Crops of syllables and pauses, each with a spectrum and a level of its own."""
    generator = torch.Generator().manual_seed(3)
    time_s = torch.arange(NUM_SAMPLES) / 16_000
    hz = torch.linspace(150, 3000, num_crops)[:, None]
    syllables = (torch.sin(2 * torch.pi * 4 * time_s) > 0).float()
    tones = torch.sin(2 * torch.pi * hz * time_s) * syllables
    hiss = torch.randn(num_crops, NUM_SAMPLES, generator=generator)
    return (tones + 0.003 * hiss) * torch.linspace(0.02, 0.5, num_crops)[:, None]


def recorded(seconds: float = 0.3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [0.1 * torch.randn(int(16_000 * seconds), generator=generator) for _ in range(3)]


def rooms() -> Tensor:
    """Two rooms: direct path, then noise that decays."""
    generator = torch.Generator().manual_seed(7)
    responses = torch.zeros(2, 4000)
    decay = torch.exp(-torch.arange(4000 - DIRECT_TAP) / 600)
    responses[:, DIRECT_TAP:] = 0.1 * decay * torch.randn(2, 4000 - DIRECT_TAP, generator=generator)
    responses[:, DIRECT_TAP] = 1.0
    return responses


def augmenter(config: AugmentConfig) -> Augmenter:
    return Augmenter(config, noises=recorded(), music=recorded(1.0), rooms=(rooms(),))


def same_up_to_level(heard: Tensor, clean: Tensor) -> bool:
    level = (heard * clean).sum(dim=1) / clean.square().sum(dim=1)
    return torch.allclose(heard, level[:, None] * clean, atol=1e-5)


def test_with_every_part_switched_off_only_the_level_changes() -> None:
    clean = voices()
    heard = augmenter(NOTHING)(clean, np.random.default_rng(1))
    assert same_up_to_level(heard, clean)
    peaks_dbfs = 20 * torch.log10(heard.abs().amax(dim=1))
    assert peaks_dbfs.min() >= -30.01
    assert peaks_dbfs.max() <= 0.01
    assert peaks_dbfs.max() - peaks_dbfs.min() > 5


@pytest.mark.parametrize("part", ["p_room", "p_noise", "p_clipping", "p_band_limit", "p_codec"])
def test_a_part_that_is_on_changes_more_than_the_level(part: str) -> None:
    config = replace(NOTHING, **{part: 1.0})  # type: ignore[arg-type]
    clean = voices()
    for heard, crop in zip(augmenter(config)(clean, np.random.default_rng(2)), clean, strict=True):
        assert not same_up_to_level(heard[None], crop[None])


def test_clean_crops_are_spared_all_parts() -> None:
    clean = voices()
    heard = augmenter(AugmentConfig(p_clean=1.0))(clean, np.random.default_rng(2))
    assert same_up_to_level(heard, clean)


def test_everything_at_once_is_finite_in_range_and_leaves_the_input_alone() -> None:
    everything = AugmentConfig(
        p_clean=0.0, p_room=1.0, p_noise=1.0, p_clipping=1.0, p_band_limit=1.0, p_codec=1.0
    )
    clean = voices(32)
    before = clean.clone()
    heard = augmenter(everything)(clean, np.random.default_rng(4))
    assert heard.shape == clean.shape
    assert heard.dtype == torch.float32
    assert heard.isfinite().all()
    assert heard.abs().max() <= 1
    assert torch.equal(clean, before)


def test_one_seed_gives_one_result_and_another_gives_another() -> None:
    corrupt, clean = augmenter(AugmentConfig()), voices(16)
    first = corrupt(clean, np.random.default_rng(11))
    torch.manual_seed(99)  # global state has no say
    assert torch.equal(first, corrupt(clean, np.random.default_rng(11)))
    assert not torch.equal(first, corrupt(clean, np.random.default_rng(12)))


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("kind", ["recorded", "p_music", "p_babble", "p_coloured"])
def test_the_signal_to_noise_ratio_is_the_one_asked_for(snr_db: float, kind: str) -> None:
    config = replace(
        NOTHING,
        p_noise=1.0,
        snr_db=(snr_db, snr_db),
        p_babble=float(kind == "p_babble"),
        p_music=float(kind == "p_music"),
        p_coloured=float(kind == "p_coloured"),
    )
    # The level changes too: what remains of the voice is known where the noise is orthogonal.
    clean = voices()
    heard = augmenter(config)(clean, np.random.default_rng(6))
    assert not same_up_to_level(heard, clean)
    noises = heard - (heard * clean).sum(1, True) / clean.square().sum(1, True) * clean
    gains = (heard * clean).sum(1, True) / clean.square().sum(1, True)
    speech = speech_rms(clean * gains)[:, 0]
    measured_db = 20 * torch.log10(speech / noises.square().mean(dim=1).sqrt())
    assert (measured_db - snr_db).abs().max() < 1.0


def test_pauses_do_not_count_towards_the_speechs_level() -> None:
    speech = torch.ones(1, 1600)
    padded = torch.cat((speech, torch.zeros(1, 14_400)), dim=1)
    assert speech_rms(padded).item() == pytest.approx(1.0)
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    added = with_noise(padded, noise, torch.tensor([10.0])) - padded
    assert 20 * np.log10(added.square().mean().sqrt().item()) == pytest.approx(-10, abs=0.01)


def test_nobody_babbles_behind_their_own_crop() -> None:
    config = replace(NOTHING, p_noise=1.0, p_babble=1.0, p_music=0.0, p_coloured=0.0)
    clean = voices(2)
    both = torch.tensor([7, 7])
    alone = augmenter(config)(clean, np.random.default_rng(1), speakers=both)
    assert same_up_to_level(alone, clean)
    heard = augmenter(config)(clean, np.random.default_rng(1), speakers=torch.tensor([7, 8]))
    assert not same_up_to_level(heard, clean)


def test_a_room_does_not_delay_a_voice() -> None:
    clean = torch.randn(8, NUM_SAMPLES, generator=torch.Generator().manual_seed(1))
    heard = augmenter(replace(NOTHING, p_room=1.0))(clean, np.random.default_rng(1))
    assert not same_up_to_level(heard, clean)
    spectra = torch.fft.rfft(heard, n=2 * NUM_SAMPLES)
    against = torch.fft.rfft(clean, n=2 * NUM_SAMPLES)
    assert torch.fft.irfft(spectra * against.conj()).argmax(dim=1).tolist() == [0] * 8


def test_the_room_is_the_voices_and_not_the_noises() -> None:
    click = torch.zeros(NUM_SAMPLES)
    click[0] = 1.0
    echo = torch.zeros(1, 2000)
    echo[0, DIRECT_TAP] = echo[0, DIRECT_TAP + 1000] = 1.0
    config = replace(NOTHING, p_room=1.0, p_noise=1.0, p_babble=0.0, p_music=0.0, p_coloured=0.0)
    corrupt = Augmenter(replace(config, snr_db=(-60, -60)), noises=[click], rooms=[echo])
    heard = corrupt(voices(), np.random.default_rng(1))
    assert ((heard.abs() > 0.5 * heard.abs().amax(1, keepdim=True)).sum(dim=1) == 1).all()


def test_silence_makes_no_nan_in_voice_or_noise() -> None:
    silent = torch.zeros(4, NUM_SAMPLES)
    everything = AugmentConfig(
        p_clean=0.0, p_room=1.0, p_noise=1.0, p_clipping=1.0, p_band_limit=1.0, p_codec=1.0
    )
    heard = augmenter(everything)(silent, np.random.default_rng(1))
    assert heard.isfinite().all()
    still = Augmenter(replace(NOTHING, p_noise=1.0, p_babble=0.0), noises=[torch.zeros(9000)])
    assert still(voices(), np.random.default_rng(1)).isfinite().all()


def test_without_recordings_noise_is_coloured_and_without_rooms_there_is_none() -> None:
    config = replace(NOTHING, p_noise=1.0, p_room=1.0, p_babble=0.0, p_music=1.0, p_coloured=0.0)
    heard = Augmenter(config)(voices(), np.random.default_rng(1))
    assert not same_up_to_level(heard, voices())
    quiet = Augmenter(replace(config, p_noise=0.0))(voices(), np.random.default_rng(1))
    assert same_up_to_level(quiet, voices())


def test_a_single_crop_has_nobody_to_babble() -> None:
    config = replace(NOTHING, p_noise=1.0, p_babble=1.0, p_music=0.0, p_coloured=0.0)
    clean = voices()[3:4]
    assert same_up_to_level(Augmenter(config)(clean, np.random.default_rng(1)), clean)


def test_coloured_noise_falls_as_its_exponent_says() -> None:
    noise = coloured_noise(torch.tensor([0.0, 1.0, 2.0]), 32_000, np.random.default_rng(1))
    powers = torch.fft.rfft(noise).abs().square()
    low = powers[:, 400:800].mean(dim=1)  # two octaves apart, octave against octave
    high = powers[:, 1600:3200].mean(dim=1)
    falls_db = 10 * torch.log10(low / high)
    assert torch.allclose(falls_db, torch.tensor([0.0, 6.02, 12.04]), atol=0.7)


def test_peaks_are_brought_to_the_level_and_never_beyond_full_scale() -> None:
    crops = at_peak(voices(), torch.zeros(8))
    assert torch.allclose(crops.abs().amax(dim=1), torch.ones(8))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"p_room": 1.5}, "p_room must be a probability"),
        ({"hall_share": -0.1}, "hall_share must be a probability"),
        ({"snr_db": (20.0, 0.0)}, "snr_db must be a range"),
        ({"p_babble": 0.6, "p_music": 0.5}, "must not exceed 1"),
        ({"babble_voices": (0, 3)}, "babble_voices"),
        ({"peak_dbfs": (-6.0, 3.0)}, "peak_dbfs"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**setting)  # type: ignore[arg-type]
