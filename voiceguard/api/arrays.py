"""Samples that callers hand over, in the one form that everything behind takes; or a refusal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.audio.files import SoundFile
from voiceguard.errors import AudioError
from voiceguard.speech.mixing import to_mono
from voiceguard.types import MonoBlock

if TYPE_CHECKING:
    from voiceguard.types import Channel, Recorded, Samples


def recorded(recording: object, channel: Channel) -> Recorded:
    """A recording as a caller names or has it.

    Args:
        recording: A file; samples at 16 kHz as of ``as_float``; or what gives MonoBlocks.
        channel: Which of several channels to listen to, or their mean.

    Raises:
        AudioError: It is none of that, or without that channel. A file is not opened yet.
    """
    if isinstance(recording, str | Path):
        return SoundFile(Path(recording), channel)
    is_blocks = hasattr(recording, "__iter__") and not isinstance(recording, np.ndarray)
    if isinstance(recording, list | tuple):
        is_blocks = all(isinstance(each, MonoBlock) for each in recording)
    if is_blocks:
        return recording  # type: ignore[return-value] # whose blocks show what they are
    samples = as_float(recording)
    return samples if samples.ndim == 1 else to_mono(samples, channel)


def as_float(samples: object) -> Samples:
    """Samples as a caller has them.

    Args:
        samples: ``(num_samples,)`` or ``(num_samples, channels)``; floats with full scale 1, or
            int16.

    Returns:
        The same, float32 with full scale 1.

    Raises:
        AudioError: Of another shape or type.
    """
    array = None
    with suppress(ValueError, TypeError):
        array = np.asarray(samples)
    if array is None or array.ndim not in {1, 2} or 0 in array.shape[1:]:
        shape = "no array" if array is None else f"shape {array.shape}"
        raise AudioError(
            f"samples of {shape} can't be heard",
            hint="pass (num_samples,) for mono, or (num_samples, channels)",
        )
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(32768)
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"samples of type {array.dtype} can't be heard",
            hint="pass floats with full scale 1, or int16",
        )
    return array.astype(np.float32, copy=False)
