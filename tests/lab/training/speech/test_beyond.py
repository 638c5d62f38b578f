"""Beyond the speakers: as many windows change as was said, and what both hear is one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tests.fakes import tone
from voiceguard.lab.training.config import NO_MATCHING, MatchingConfig
from voiceguard.lab.training.corruption.augment import AugmentConfig, Augmenter, speech_rms
from voiceguard.lab.training.speech.beyond import Beyond, mixed

AUGMENTER = Augmenter(AugmentConfig(p_room=0.0))
UNTOUCHED = AugmentConfig(
    p_clean=1.0, p_room=0.0, p_noise=0.0, p_clipping=0.0, peak_dbfs=(-6.0, -6.0)
)


def only(**changes: Any) -> MatchingConfig:  # noqa: ANN401 - fields of the recipe
    return replace(NO_MATCHING, **changes)


def windows(num: int = 10) -> torch.Tensor:
    rng = np.random.default_rng(5)
    loudness = 0.1 + 0.1 * np.sin(np.arange(16_000) / 900)
    noises = loudness * rng.uniform(-1, 1, (num, 16_000)).cumsum(axis=1) % 0.5
    return torch.from_numpy(noises.astype(np.float32))


def num_changed(config: MatchingConfig) -> int:
    before = windows()
    kept = before.clone()
    after = Beyond(config, AUGMENTER).windows(before, np.random.default_rng(1))
    assert torch.equal(before, kept)
    assert after.abs().max() <= 1
    return int((after != before).any(dim=1).sum())


def test_each_kind_changes_its_share_of_the_windows_and_no_other() -> None:
    assert num_changed(NO_MATCHING) == 0
    for name in ("coloured_share", "bent_share", "mixed_share", "telephone_share"):
        assert num_changed(only(**{name: 0.4})) == 4, name
        assert num_changed(only(**{name: 1.0})) == 10, name


def test_the_default_leaves_some_as_they_are_and_draws_again() -> None:
    made = Beyond(MatchingConfig(), AUGMENTER)

    first, again = (made.windows(windows(), np.random.default_rng(2)) for _ in range(2))

    assert torch.equal(first, again)
    assert not torch.equal(first, made.windows(windows(), np.random.default_rng(3)))
    assert 4 <= num_changed(MatchingConfig()) <= 9


def test_the_other_voice_is_so_loud() -> None:
    one, other = (torch.from_numpy(tone(hz, 1.0))[None] / 8 for hz in (400.0, 1000.0))

    both = mixed(one, other / 3, torch.tensor([-6.0]))

    level = speech_rms(both - one) / speech_rms(one)
    assert abs(20 * float(level.log10()) + 6) < 0.1
    assert mixed(8 * one, 8 * other, torch.tensor([0.0])).abs().max() <= 1
    assert torch.isfinite(mixed(one, torch.zeros_like(one), torch.tensor([0.0]))).all()


def test_a_crop_is_of_one_voice_after_another_or_of_both() -> None:
    hz = (300.0, 700.0, 1500.0, 3100.0)
    crops = torch.from_numpy(np.stack([tone(each, 1.0) for each in hz]))

    def bands(config: MatchingConfig) -> tuple[torch.Tensor, torch.Tensor]:
        made = Beyond(config, AUGMENTER).crops(crops, torch.arange(4), np.random.default_rng(0))
        halves = torch.stack([made[:, :3200], made[:, -3200:]])  # a beginning, an end
        power = torch.fft.rfft(halves * torch.hann_window(3200)).abs().square()
        at = power[:, :, [int(each / 5) for each in hz]]
        first, last = at / at.amax(dim=2, keepdim=True)
        return first, last

    own, others = torch.eye(4), torch.eye(4).roll(3, dims=0)
    for share_of, beginning, end in (
        ("alike_joined_share", own, others),
        ("alike_mixed_share", own + others, own + others),
    ):
        shares = {"alike_joined_share": 0.0, "alike_mixed_share": 0.0, share_of: 1.0}
        first, last = bands(only(corruption=UNTOUCHED, **shares))
        assert torch.equal(first > 0.03, beginning > 0), share_of
        assert torch.equal(last > 0.03, end > 0), share_of
