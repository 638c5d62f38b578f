"""An encoder without weights: it embeds a tone's frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import EncoderInfo

if TYPE_CHECKING:
    from voiceguard.types import Embedding, Samples, Window

ENCODER_ID = "0123456789abcdef"
NUM_BANDS = 32


class FakeEncoder:
    """Two tones are two directions: equal ones have cosine 1, others about 0.

    Args:
        encoder_id: 16 hexadecimal digits; voiceprints of another id are refused.
    """

    def __init__(self, encoder_id: str = ENCODER_ID) -> None:
        self.info = EncoderInfo(
            encoder_id=encoder_id,
            name="fake",
            embedding_dim=NUM_BANDS,
            num_parameters=0,
            min_window_s=0.1,
        )
        self.num_calls = 0
        """How often it was asked."""
        self.fails = False
        """Whether it raises instead of answering."""

    def embed(self, samples: Samples) -> Embedding:
        """The spectrum below 4 kHz in 32 bands, L2 norm 1.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz float32.

        Returns:
            ``(32,)`` float32.

        Raises:
            RuntimeError: ``fails`` is set.
        """
        self.num_calls += 1
        if self.fails:
            raise RuntimeError("the encoder is broken")
        power = np.abs(np.fft.rfft(samples)) ** 2
        band = np.arange(len(power)) * NUM_BANDS // (len(power) // 2)  # 125 Hz wide
        bands = np.bincount(band.clip(max=NUM_BANDS), weights=power)[:NUM_BANDS]
        return (bands / np.linalg.norm(bands)).astype(np.float32)

    def open_stream(self) -> FakeEncoderStream:
        """A view for one stream's windows."""
        return FakeEncoderStream(self)


class FakeEncoderStream:
    """A stream's view of the fake encoder; reuses nothing."""

    def __init__(self, encoder: FakeEncoder) -> None:
        self._encoder = encoder

    def embed(self, window: Window) -> Embedding:
        """Of the window's samples; raises as ``FakeEncoder.embed``."""
        return self._encoder.embed(window.samples)
