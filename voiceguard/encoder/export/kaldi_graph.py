"""Kaldi's filter bank as ONNX operators and, for their constants, in numpy; needs no torch.

The same steps as ``frontends.kaldi`` in the same order and precision, so that faint bands beside
loud ones come out alike: a test holds it to that. Frames are cut by a convolution whose kernel is
the identity, which multiplies by one and adds nothing: exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.frontends.kaldi_config import (
    FFT_SAMPLES,
    FLOOR,
    POVEY_EXPONENT,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
)
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

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
    first, most, _ = _cuts(graph, frames)
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


def _cuts(graph: Graph, frames: str) -> tuple[str, str, str]:
    """A frame's first sample; all but the last; the last."""
    most, last = graph.split(frames, [WINDOW_SAMPLES - 1, 1])
    first, _ = graph.split(frames, [1, WINDOW_SAMPLES - 1])
    return first, most, last


def frame_window(name: str) -> NDArray[np.float64]:
    """``(400,)``; Kaldi's windows are symmetric ones."""
    if name == "hamming":
        return np.hamming(WINDOW_SAMPLES)
    povey: NDArray[np.float64] = np.hanning(WINDOW_SAMPLES) ** POVEY_EXPONENT
    return povey


def _transform() -> NDArray[np.float64]:
    """``(2 * 256, 400)``: the Fourier transform of a frame with zeros behind it."""
    bins = np.arange(FFT_SAMPLES // 2)[:, None]
    phase = 2 * np.pi * (bins * np.arange(WINDOW_SAMPLES) % FFT_SAMPLES) / FFT_SAMPLES
    return np.concatenate([np.cos(phase), np.sin(phase)])


def mel_bands(config: KaldiFbankConfig) -> NDArray[np.float32]:
    """``(num_bands, 256)`` triangles, equally wide and linear on the mel scale.

    In single precision from the start, as Kaldi and torchaudio compute them.
    """
    lowest, highest = _mel(np.float64(config.min_hz)), _mel(np.float64(config.max_hz))
    step = (highest - lowest) / (config.num_bands + 1)
    index = np.arange(config.num_bands, dtype=np.float32)[:, None]
    left, centre, right = (np.float32(lowest) + (index + k) * np.float32(step) for k in range(3))
    hz = np.float32(SAMPLE_RATE_HZ / FFT_SAMPLES) * np.arange(FFT_SAMPLES // 2, dtype=np.float32)
    mel = _mel(hz)[None]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    triangles: NDArray[np.float32] = np.maximum(np.minimum(rising, falling), 0).astype(np.float32)
    return triangles


def _mel(hz: Any) -> Any:  # noqa: ANN401 - of the argument's kind
    """In mel, ``(...)`` of any shape."""
    return 1127.0 * np.log(1.0 + hz / 700.0)
