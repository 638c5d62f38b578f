"""Codecs and band limits: known tables, spectra, alignment."""

from __future__ import annotations

import pytest
import torch

from voiceguard.lab.training.corruption.codecs import (
    Law,
    clipped,
    companded,
    levels,
    requantised,
    telephone,
)
from voiceguard.lab.training.corruption.filters import BAND_TAPS, band_limit, convolve, fast_length


def white(num_crops: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.2 * torch.randn(num_crops, 32_000, generator=generator)


def gain_db(heard: torch.Tensor, clean: torch.Tensor, low_hz: int, high_hz: int) -> torch.Tensor:
    """Power out over power in, in a band; bins are 0.5 Hz apart."""
    band = slice(2 * low_hz, 2 * high_hz)
    powers = [torch.fft.rfft(x)[:, band].abs().square().mean(dim=1) for x in (heard, clean)]
    return 10 * torch.log10(powers[0] / powers[1])


def test_mu_law_has_the_levels_of_g711s_table() -> None:
    sizes = [round(level * 32768) for level in levels("mu")]
    assert len(sizes) == 128
    assert sizes[:18] == [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 132, 148]
    assert sizes[-16::5] == [16764, 21884, 27004, 32124]
    assert sizes == sorted(sizes)


def test_a_law_has_the_levels_of_g711s_table() -> None:
    sizes = [round(level * 32768) for level in levels("a")]
    assert len(sizes) == 128
    assert sizes[:4] == [8, 24, 40, 56]
    assert sizes[15:18] == [248, 264, 280]
    assert sizes[32:34] == [528, 560]
    assert sizes[-16::5] == [16896, 22016, 27136, 32256]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("law", ["mu", "a"])
def test_companding_keeps_sign_and_size_to_a_few_percent(law: Law) -> None:
    samples = torch.linspace(-1, 1, 4001)
    heard = companded(samples, law)
    loud = samples.abs() > 0.05
    assert ((heard - samples).abs()[loud] / samples.abs()[loud]).max() < 0.04
    assert (heard[loud].sign() == samples[loud].sign()).all()
    assert set(heard.abs().tolist()) <= set(torch.tensor(levels(law)).tolist())


@pytest.mark.parametrize("num_samples", [32_000, 31_999, 31_998, 31_997])
def test_a_telephone_passes_speechs_band_undelayed_and_stops_at_4_khz(num_samples: int) -> None:
    hz = torch.tensor([[500.0], [1500.0], [3000.0], [6000.0]])
    tones = 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(num_samples) / 16_000)
    heard = telephone(tones, "mu")
    assert heard.shape == tones.shape
    inner = slice(400, -400)
    errors = (heard - tones)[:3, inner].square().mean(dim=1) / 0.125
    assert (10 * torch.log10(errors)).max() < -30  # quantisation's, at 8 bits
    assert heard[3, inner].abs().max() < 5e-3  # the cut ends of the tone splash


def test_few_bits_leave_few_levels() -> None:
    heard = requantised(white(), torch.tensor([4.0, 8.0]))
    assert len(set(heard[0].tolist())) <= 2 * 2**4
    assert (heard[0] * 8 == (heard[0] * 8).round()).all()
    assert (heard - white()).abs().amax(dim=1).tolist() == pytest.approx(
        [1 / 16, 1 / 256], rel=0.01
    )


def test_clipping_cuts_at_the_depth_below_the_peak() -> None:
    clean = white()
    heard = clipped(clean, torch.tensor([6.0, 12.0]))
    depths_db = 20 * torch.log10(clean.abs().amax(dim=1) / heard.abs().amax(dim=1))
    assert torch.allclose(depths_db, torch.tensor([6.0, 12.0]), atol=1e-3)
    untouched = clean.abs() < heard.abs().amax(dim=1, keepdim=True)
    assert torch.equal(heard[untouched], clean[untouched])


def test_a_band_keeps_its_inside_and_stops_its_outside() -> None:
    clean = white()
    heard = band_limit(clean, torch.tensor([300.0, 0.0]), torch.tensor([3400.0, 5000.0]))
    assert gain_db(heard, clean, 500, 3200).abs()[0] < 0.2
    assert gain_db(heard, clean, 20, 200)[0] < -35
    assert gain_db(heard, clean, 3600, 7900)[0] < -35
    assert gain_db(heard, clean, 20, 4800).abs()[1] < 0.2
    assert gain_db(heard, clean, 5200, 7900)[1] < -35


def test_a_band_limit_does_not_delay() -> None:
    pulse = torch.zeros(1, 4000)
    pulse[0, 1234] = 1.0
    heard = band_limit(pulse, torch.tensor([0.0]), torch.tensor([4000.0]))
    assert int(heard.abs().argmax()) == 1234
    at_the_end = torch.zeros(1, BAND_TAPS)
    at_the_end[0, -1] = 1.0
    heard = band_limit(at_the_end, torch.tensor([0.0]), torch.tensor([4000.0]))
    assert int(heard.abs().argmax()) == BAND_TAPS - 1


def test_convolution_by_fft_equals_the_sum_that_defines_it() -> None:
    generator = torch.Generator().manual_seed(2)
    signals = torch.randn(3, 500, generator=generator)
    filters = torch.randn(3, 77, generator=generator)
    heard = convolve(signals, filters, zero_tap=10)
    # conv1d correlates, one group per signal.
    whole = torch.nn.functional.conv1d(
        signals[None], filters.flip(1)[:, None], padding=76, groups=3
    )[0]
    assert torch.allclose(heard, whole[:, 10:510], atol=1e-4)


def test_fast_lengths_are_even_products_of_small_primes() -> None:
    assert [fast_length(n) for n in (1, 7, 11, 13, 1025, 41_599)] == [
        2,
        8,
        12,
        16,
        1080,
        43_200,
    ]
