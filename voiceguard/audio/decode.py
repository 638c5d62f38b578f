"""Reads any audio file that FFmpeg knows (through PyAV); blocking, for the I/O executor.

Comes in: a path. Goes out: float32 blocks at the file's own rate and channels, bit-exact for PCM.
"""

from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING, Self, cast

import av
import av.error
import numpy as np
import structlog

from voiceguard.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

    from voiceguard.types import Samples

TRUNCATED_SHARE = 0.05
TRUNCATED_S = 0.2
"""A file that ends earlier than its header says by more than both is called truncated; less is
within the precision of compressed formats' headers."""

RIFF_UNKNOWN = 0x7FFF_0000
"""A size from here on was written by a program that could not seek back to correct it."""

_log = structlog.get_logger()


class AudioDecoder:
    """An open file; a context manager.

    A file that breaks off gives the audio that it has; ``truncated`` says so once it is read, and
    so does the log.

    Args:
        path: Of any container and codec that FFmpeg knows.

    Raises:
        AudioError: Missing, unreadable, a directory, empty, not audio, or without audio.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check(path)
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError) as error:
            raise self._not_audio(error) from error
        self.rate_hz = 0
        self.num_channels = 0
        self.num_decoded = 0
        """Samples decoded so far, at the file's rate."""
        self.truncated = False
        self._lock = threading.Lock()
        self._blocks = self._decode()
        try:
            # The first frame tells rate and channels; a header may not (HE-AAC says half the rate).
            self._pending = [next(self._blocks)]
        except AudioError:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the file, after the read that another thread may be in (milliseconds)."""
        with self._lock:
            self._blocks.close()
            self._container.close()

    def read(self, num_samples: int) -> Samples | None:
        """The next ``(num_samples, num_channels)``, fewer at the end, then None.

        Raises:
            AudioError: Nothing could be decoded, or samples are not numbers.
        """
        with self._lock:
            available = sum(map(len, self._pending))
            while available < num_samples and (block := next(self._blocks, None)) is not None:
                self._pending.append(block)
                available += len(block)
            if not available:
                return None
            joined = np.concatenate(self._pending)
            self._pending = [joined[num_samples:]]
            return joined[:num_samples]

    def _decode(self) -> Generator[Samples, None, None]:
        streams = self._container.streams.audio
        if not streams:
            raise AudioError(
                f"{self.path} has no audio in it", hint="give a file with an audio track"
            )
        resampler = av.AudioResampler(format="flt")
        reason = ""
        frames = self._container.decode(streams[0])
        frame: av.AudioFrame | None
        while True:
            try:
                frame = next(frames, None)
                converted = resampler.resample(frame)
            except (av.error.FFmpegError, ValueError) as error:
                reason = str(error)
                break
            for part in converted:
                self.rate_hz, self.num_channels = part.sample_rate, part.layout.nb_channels
                block = cast("Samples", part.to_ndarray()).reshape(-1, self.num_channels)
                self._check_block(block)
                self.num_decoded += len(block)
                yield block
            if frame is None:
                break
        self._check_end(streams[0], reason)

    def _check_block(self, block: Samples) -> None:
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            at_s = (self.num_decoded + int(np.argmin(finite))) / self.rate_hz
            raise AudioError(
                f"{self.path} has samples that are not finite numbers near {at_s:.1f} s",
                hint="write it anew: `ffmpeg -i FILE -c:a pcm_s16le NEW.wav`",
            )

    def _check_end(self, stream: av.AudioStream, reason: str) -> None:
        if not self.num_decoded:
            raise AudioError(
                f"{self.path} holds no audio that can be decoded"
                + (f": {reason}" if reason else ""),
                hint="it may have been cut off while it was written or copied; make it again",
            )
        decoded_s = self.num_decoded / self.rate_hz
        declared_s = decoded_s
        if stream.duration is not None and stream.time_base is not None:
            declared_s = float(stream.duration * stream.time_base)
        declared_s /= _share_present(self.path)
        margin_s = max(TRUNCATED_S, TRUNCATED_SHARE * declared_s)
        if reason or decoded_s < declared_s - margin_s:
            self.truncated = True
            _log.warning(
                "file_truncated",
                file=str(self.path),
                decoded_s=round(decoded_s, 2),
                declared_s=round(declared_s, 2),
                reason=reason,
            )

    def _not_audio(self, error: Exception) -> AudioError:
        return AudioError(
            f"{self.path} is not a readable audio file: {getattr(error, 'strerror', error)}",
            hint="give a recording (wav, flac, ogg, opus, mp3, m4a, ...); one that was cut off "
            "while it was written may be beyond reading",
        )


def _check(path: Path) -> None:
    hint = "check the file's name, its directory and their permissions"
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path} does not exist", hint=hint) from error
    except OSError as error:  # no permission to look into its directory, a name far too long
        raise AudioError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{path} is a directory, not an audio file", hint="name the files in it")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise AudioError(f"{path} is empty (0 bytes)", hint="record or copy it again")


def _share_present(path: Path) -> float:
    """How much of a WAV file is there, by its own header; 1.0 for all others.

    FFmpeg silently believes the file's size instead.
    """
    if not path.is_file():  # a pipe, or another thing that is read only once
        return 1.0
    with path.open("rb") as file:
        header = file.read(8)
    declared = int.from_bytes(header[4:], "little") + 8
    if header[:4] != b"RIFF" or declared >= RIFF_UNKNOWN:
        return 1.0
    return min(1.0, path.stat().st_size / declared)
