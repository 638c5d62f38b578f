"""Hop 2 of 6, first part: one channel out of several, and a word where that makes silence.

On the caller's thread; pure numpy. In: float32 ``(num_samples, channels)``. Out:
``(num_samples,)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog

from voiceguard.errors import AudioError
from voiceguard.speech.levels import SILENCE_POWER

if TYPE_CHECKING:
    from voiceguard.types import Channel, Samples

LISTENED_SAMPLES = 16_000
"""With sound in them, before it is said that channels cancel each other (1 s at 16 kHz)."""
CANCELLED = 0.01
"""The mean's power over the channels' own: 1 for equal channels, 1/2 for unlike ones. Stereo with
one channel's wires swapped has hardly any; a voice between two microphones never does."""

_log = structlog.get_logger()


def to_mono(samples: Samples, channel: Channel) -> Samples:
    """Picks one channel or averages all.

    Args:
        samples: ``(num_samples, channels)`` float32.
        channel: ``"downmix"`` or a channel number from 0.

    Returns:
        ``(num_samples,)`` float32, contiguous.

    Raises:
        AudioError: There is no such channel.
    """
    num_channels = samples.shape[1]
    if channel == "downmix":
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is looked for later
            return samples.mean(axis=1, dtype=np.float32) if num_channels > 1 else samples.ravel()
    if channel >= num_channels:
        raise AudioError(
            f"channel {channel} was asked for, counted from 0, but the audio has {num_channels}",
            hint=f'set audio.channel to "downmix" or to 0..{num_channels - 1}',
        )
    return np.ascontiguousarray(samples[:, channel])


class MonoMixer:
    """``to_mono`` for one stream or recording, which notices channels that cancel each other.

    Args:
        channel: ``"downmix"`` or a channel number from 0.
        name: Of the stream or file, for the log.
    """

    def __init__(self, channel: Channel, name: str = "") -> None:
        self.channels_cancel = False
        """Whether the mean of the channels was found to be next to nothing of what they hold."""
        self._channel = channel
        self._name = name
        self._num_heard = 0
        self._power = 0.0
        self._mono_power = 0.0

    def push(self, samples: Samples) -> Samples:
        """One channel, ``(num_samples,)``, of the next ``(num_samples, channels)``.

        Raises:
            AudioError: There is no such channel.
        """
        mono = to_mono(samples, self._channel)
        if self._channel == "downmix" and samples.shape[1] > 1 and not self.channels_cancel:
            self._compare(samples, mono)
        return mono

    def _compare(self, samples: Samples, mono: Samples) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number compares as no
            power = float(np.vdot(samples, samples)) / samples.shape[1]
            mono_power = float(np.dot(mono, mono))
        if not SILENCE_POWER * len(mono) < power < np.inf:
            return
        self._num_heard += len(mono)
        self._power += power
        self._mono_power += mono_power
        if self._num_heard < LISTENED_SAMPLES:
            return
        if self._mono_power < CANCELLED * self._power:
            self.channels_cancel = True
            _log.warning(
                "channels_cancel",
                source=self._name,
                num_channels=samples.shape[1],
                hint="their mean is silence (one has its polarity inverted): "
                "set audio.channel to one of them, for example 0",
            )
        self._num_heard = 0
        self._power = self._mono_power = 0.0
