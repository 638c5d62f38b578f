"""Sound files made on the spot, in any container that PyAV can write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.types import Samples


def tone(seconds: float, rate_hz: int, channels: int = 1) -> Samples:
    """A swelling 440 Hz tone, the second channel an octave higher; ``(num_samples, channels)``."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    envelope = 0.5 * np.sin(np.pi * time_s / seconds)
    columns = [envelope * np.sin(2 * np.pi * 440 * (n + 1) * time_s) for n in range(channels)]
    return np.stack(columns, axis=1).astype(np.float32)


def write_audio(
    path: Path,
    samples: Samples,
    rate_hz: int,
    *,
    codec: str = "pcm_s16le",
    sample_format: str = "s16",
    **options: Any,  # noqa: ANN401
) -> Path:
    """Encodes ``(num_samples, channels)``; the container follows from the path's suffix."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        stream.format = sample_format
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout=layout
        )
        frame.sample_rate = rate_hz
        frame.pts = 0
        resampler = av.AudioResampler(sample_format, layout, rate_hz, stream.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path
