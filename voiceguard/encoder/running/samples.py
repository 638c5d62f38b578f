"""What every running encoder asks of samples, and does with the numbers that come out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder import golden
from voiceguard.errors import AudioError
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, EncoderInfo

if TYPE_CHECKING:
    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.types import Embedding, Samples


def describe(card: ModelCard, num_parameters: int, runtime: str) -> EncoderInfo:
    """What a card says of its encoder, and what runs it."""
    return EncoderInfo(
        encoder_id=card.encoder_id,
        name=card.name,
        embedding_dim=card.architecture.embedding_dim,
        num_parameters=num_parameters,
        min_window_s=card.min_window_s,
        runtime=runtime,
    )


def warm_up(info: EncoderInfo, num_frames: int) -> Samples:
    """What a new encoder embeds first, ``(num_samples,)``: so many frames, or its shortest audio.

    Some voice: behind the subtraction of a mean a constant is nothing, of which a network without
    biases makes zeros.
    """
    shortest = math.ceil(info.min_window_s * SAMPLE_RATE_HZ)
    return np.resize(golden.signal(0.3), max((num_frames - 1) * FRAME_SAMPLES, shortest))


def normalised(raw: Embedding) -> Embedding:
    """A network's output, ``(embedding_dim,)``, at norm 1.

    Raises:
        AudioError: Numbers have overflowed on the way: a NaN is never compared.
    """
    norm = float(np.linalg.norm(raw))
    if not np.isfinite(norm) or norm == 0.0:
        raise AudioError(
            "this audio has no embedding: its samples are far outside [-1, 1]",
            hint="Scale the samples so that full scale is 1.0.",
        )
    return raw / np.float32(norm)


def check_samples(samples: Samples, info: EncoderInfo) -> None:
    """Whether samples can be embedded.

    Args:
        samples: ``(num_samples,)``.
        info: Of the encoder.

    Raises:
        AudioError: Not mono, too short, or not finite.
    """
    if samples.ndim != 1:
        raise AudioError(
            f"an embedding needs mono samples in one dimension, not of shape {samples.shape}",
            hint="Choose a channel or mix them down.",
        )
    seconds = len(samples) / SAMPLE_RATE_HZ
    if seconds < info.min_window_s:
        raise AudioError(
            f"{seconds:.2f} s of audio are too short to embed: encoder {info.name} "
            f"needs at least {info.min_window_s:g} s",
            hint="Record more speech.",
        )
    if not np.isfinite(samples).all():
        raise AudioError(
            "the audio holds values that are not numbers (NaN or infinite)",
            hint="The recording is damaged; record or convert it again.",
        )
