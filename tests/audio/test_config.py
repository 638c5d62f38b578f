"""The [audio] table's limits."""

from __future__ import annotations

from typing import Any

import pytest

from voiceguard.audio.config import AudioConfig


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channel": -1}, "channel must be between 0 and 127, not -1"),
        ({"rate_hz": 100}, "rate_hz must be between 4000 and 768000 or 0, not 100"),
        ({"num_channels": 129}, "num_channels"),
        ({"channel": 2, "num_channels": 2}, "not among num_channels 2"),
        ({"block_ms": 5}, "block_ms"),
        ({"ring_s": 9.0}, "ring_s must be between 10.0"),
        ({"stall_after_s": 0.1}, "stall_after_s"),
        ({"mute_after_s": 0.5}, "mute_after_s"),
        ({"stdin_rate_hz": 1}, "stdin_rate_hz"),
        ({"stdin_channels": 0}, "stdin_channels"),
    ],
)
def test_what_cannot_work_is_refused_by_name(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AudioConfig(**settings)


def test_zero_means_the_device_s_own_rate_and_no_mute_detection() -> None:
    config = AudioConfig(rate_hz=0, mute_after_s=0.0, channel=1)
    assert config.sources == ("device",)
