"""Televisions and other tables: other people's voices, with pauses, at one level."""

from __future__ import annotations

import numpy as np
import torch

from tests.lab.training.overlap.test_teaching import CPU
from voiceguard.encoder.overlap.spectrogram import HOP_SAMPLES
from voiceguard.lab.training.corruption.recordings import Recordings
from voiceguard.lab.training.overlap.company import Company
from voiceguard.types import SAMPLE_RATE_HZ

NUM, NUM_SAMPLES = 60, 2 * SAMPLE_RATE_HZ
HZ = 400 + 300 * np.arange(10)


def drawn() -> tuple[torch.Tensor, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Company of ten people who whistle a note each; and whom each piece is of."""
    at_s = np.arange(2 * NUM_SAMPLES) / SAMPLE_RATE_HZ
    windows = torch.from_numpy(np.sin(2 * np.pi * HZ[:, None] * at_s).astype(np.float32))
    room = torch.zeros(2, 400)
    room[:, 48] = 1.0
    quiet = Recordings([torch.full((1000,), 1e-4)], CPU)
    rng = np.random.default_rng(1)
    of = rng.integers(len(HZ), size=NUM)
    company = Company(room, quiet, None)
    return company.draw(windows, np.arange(len(HZ)), of, NUM_SAMPLES, rng), of


def test_nobody_keeps_company_to_themselves() -> None:
    company, of = drawn()
    power = torch.fft.rfft(company).abs().square().numpy()
    bins = np.round(HZ * NUM_SAMPLES / SAMPLE_RATE_HZ).astype(int)
    of_notes = np.stack([power[:, each - 9 : each + 10].sum(1) for each in bins], axis=1)
    shares = of_notes / of_notes.sum(axis=1, keepdims=True).clip(1.0)
    own = shares[np.arange(NUM), of]
    assert own.max() < 0.02
    num_heard = (shares > 0.02).sum(axis=1)
    assert {1, 2} <= set(num_heard)
    assert num_heard.max() > 4


def test_it_pauses_and_its_level_is_taken_over_all_of_it() -> None:
    company, _ = drawn()
    level = company.square().mean(1)
    is_silent = level == 0
    assert float(is_silent.float().mean()) < 0.15
    assert torch.allclose(level[~is_silent], torch.ones(1), atol=1e-3)
    company = company[~is_silent]
    hops = company.unfold(1, HOP_SAMPLES, HOP_SAMPLES).square().mean(2)
    paused = (hops < 0.01 * hops.amax(1, keepdim=True)).float().mean(1)
    assert 0.03 < float((paused > 0.3).float().mean()) < 0.6
    assert 0.3 < float((paused < 0.02).float().mean()) < 0.9
