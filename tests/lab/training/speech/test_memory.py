"""What drawn voices leave behind: targets of earlier windows, and frames that stay bounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voiceguard.lab.training.speech.hearing import Heard
from voiceguard.lab.training.speech.memory import LARGEST_FRAME, Memory

DIM, CHANNELS, KEPT, WINDOWS = 5, 3, 12, 4


def heard(seed: int) -> Heard:
    generator = torch.Generator().manual_seed(seed)
    frames = 3 + 2 * torch.randn(WINDOWS, CHANNELS, 200, generator=generator)
    frames[:, 0] = 0.0  # a channel that is never heard
    return Heard(1 + torch.randn(WINDOWS, DIM, generator=generator), frames)


def begun() -> Memory:
    memory = Memory(DIM, CHANNELS, KEPT)
    for seed in range(3):
        memory.add(heard(seed))
    memory.begin()
    return memory


def test_frames_are_standardised() -> None:
    memory = begun()
    first = heard(0).frames
    assert first is not None

    found = memory.standardised(first)[:, 1:]

    assert float(found.mean()) == pytest.approx(0, abs=0.1)
    assert float(found.std()) == pytest.approx(1, abs=0.1)


def test_a_channel_that_was_quiet_and_speaks_does_not_outweigh_all_others() -> None:
    memory = begun()
    frames = torch.full((1, CHANNELS, 1), 3.0)

    found = memory.standardised(frames)[0, :, 0]

    assert float(found[0]) == LARGEST_FRAME
    assert float(found[1:].abs().max()) < 0.1
    silence = memory.standardised(torch.zeros(1, CHANNELS, 1))
    assert float(silence.abs().max()) < LARGEST_FRAME


def test_targets_are_centred_and_those_of_before_are_found_again() -> None:
    memory = begun()

    latest = [memory.remembered(heard(seed).embeddings) for seed in range(10, 15)]  # wraps around
    earlier = memory.earlier(KEPT - WINDOWS, WINDOWS, np.random.default_rng(0))

    assert torch.cat(latest).norm(dim=1) == pytest.approx(1, abs=1e-5)
    expected = torch.cat(latest[2:4])
    assert sorted(earlier[:, 0].tolist()) == sorted(expected[:, 0].tolist())


def test_begun_anew_from_a_checkpoint_it_goes_on_alike() -> None:
    memory, again = begun(), Memory(DIM, CHANNELS, KEPT)
    memory.remembered(heard(7).embeddings)
    again.load_state_dict(memory.state_dict())

    rng = [np.random.default_rng(1) for _ in range(2)]
    for one, other in zip(
        (memory.remembered(heard(8).embeddings), memory.earlier(3, WINDOWS, rng[0])),
        (again.remembered(heard(8).embeddings), again.earlier(3, WINDOWS, rng[1])),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_without_frames_it_keeps_targets_alone() -> None:
    memory = Memory(DIM, None, KEPT)
    memory.add(heard(0))
    memory.begin()

    assert memory.frame_mean.shape == (0,)
    assert memory.kept.norm(dim=1) == pytest.approx(1, abs=1e-5)
