"""Kaldi's filter bank as ONNX operators; needs no torch.

The same steps as ``frontends.kaldi`` in the same order and precision, so that faint bands beside
loud ones come out alike: a test holds it to that. Frames are cut by a convolution whose kernel is
the identity, which multiplies by one and adds nothing: exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder.frontends.kaldi_bands import frame_window, mel_bands
from voiceguard.encoder.frontends.kaldi_config import (
    FFT_SAMPLES,
    FLOOR,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
)
from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.encoder.export.graph import Graph
    from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig


def kaldi_fbank(graph: Graph, config: KaldiFbankConfig, samples: str) -> str:
    """``(batch, samples)`` to ``(batch, num_bands, frames)``, as ``KaldiFbank``."""
    x = graph.op("Unsqueeze", samples, graph.whole([1]))
    if config.sample_scale != 1:
        x = graph.op("Mul", x, graph.constant(config.sample_scale))
    identity = graph.constant(np.eye(WINDOW_SAMPLES)[:, None])
    frames = graph.op("Conv", x, identity, strides=[FRAME_SAMPLES])  # (batch, 400, frames)
    frames = graph.op("Sub", frames, graph.op("ReduceMean", frames, axes=[1], keepdims=1))
    most, _ = graph.split(frames, [WINDOW_SAMPLES - 1, 1])
    first, _ = graph.split(frames, [1, WINDOW_SAMPLES - 1])
    before = graph.op("Concat", first, most, axis=1)
    emphasised = graph.op("Sub", frames, graph.op("Mul", before, graph.constant(PRE_EMPHASIS)))
    windowed = graph.op("Mul", emphasised, graph.constant(frame_window(config.window)[:, None]))
    # Rows: a cosine for each bin below 8 kHz, then a sine; that at 8 kHz belongs to no band.
    spectrum = graph.op("Conv", windowed, graph.constant(_transform()[:, :, None]))
    cosines, sines = graph.split(spectrum, [FFT_SAMPLES // 2] * 2)
    power = graph.op(
        "Add", graph.op("Mul", cosines, cosines), graph.op("Mul", sines, sines)
    )  # (batch, bins, frames)
    bands = graph.op("Conv", power, graph.constant(mel_bands(config)[:, :, None]))
    bands = graph.op("Log", graph.op("Max", bands, graph.constant(FLOOR)))
    if config.subtract_mean:
        bands = graph.op("Sub", bands, graph.op("ReduceMean", bands, axes=[2], keepdims=1))
    return bands


def _transform() -> NDArray[np.float64]:
    """``(2 * 256, 400)``: the Fourier transform of a frame with zeros behind it."""
    bins = np.arange(FFT_SAMPLES // 2)[:, None]
    phase = 2 * np.pi * (bins * np.arange(WINDOW_SAMPLES) % FFT_SAMPLES) / FFT_SAMPLES
    return np.concatenate([np.cos(phase), np.sin(phase)])
